package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// ErrForeign says that a node spoke about a command that is not its own. A
// fact of it was recorded, nothing else has changed.
var ErrForeign = errors.New("command: the node speaks about a command that is not its own")

// ErrContent says that the content of a report cannot be used, ever.
var ErrContent = errors.New("command: the content of the report is not valid")

// busyPause is when a node that had no room is asked again.
const busyPause = 15 * time.Second

// Acked takes a node's answer to a job. Error: ErrForeign.
func (s *Service) Acked(ctx context.Context, nodeID string, ack mgs.AgentJobAck) error {
	return s.reported(ctx, nodeID, ack.JobID, func(tx *db.Tx, c *command, i *invocation) error {
		e := ackEvent(ack.StatusCode)
		if e == nodeBusy {
			if err := s.Mailbox.Postpone(tx, nodeID, ack.JobID, tx.Now.Add(busyPause)); err != nil {
				return err
			}
		} else if err := s.Mailbox.Ack(tx, nodeID, ack.JobID); err != nil {
			return err
		}
		if i == nil { // a job that cancels has no invocation
			return nil
		}
		return s.apply(tx, c, i, e, ackWhy(e, &ack))
	})
}

// ackWhy is the reason that a node gave for not taking a job.
func ackWhy(e event, ack *mgs.AgentJobAck) string {
	switch e {
	case nodeBusy:
		return "the node has no room for the job now and is asked again"
	case nodeRefused:
		return clean(strings.TrimSpace("the node refused the job: "+ack.StatusCode+" "+ack.ErrorMessage), 500)
	}
	return ""
}

// ackEvent: a parse error is followed by a Failed reply, so it counts as taken.
func ackEvent(code string) event {
	switch code {
	case mgs.AckOK, mgs.AckDuplicate, mgs.AckParseError:
		return nodeAccepted
	case mgs.AckBufferFull, mgs.AckWorkerClosed:
		return nodeBusy
	}
	return nodeRefused
}

// Replied takes a node's report on a job; its content is checked here.
// Errors: ErrForeign, ErrContent.
func (s *Service) Replied(ctx context.Context, nodeID string, reply mgs.AgentJobReply) error {
	var content mgs.ReplyContent
	if err := mgs.Decode([]byte(reply.Content), &content); err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	e := replyEvent(content.DocumentStatus)
	if e == nodeProgress && len(content.RuntimeStatus) == 0 && content.DocumentTraceOutput == "" && s.runs(ctx, nodeID, reply.JobID) {
		return nil // nothing new
	}
	return s.reported(ctx, nodeID, reply.JobID, func(tx *db.Tx, c *command, i *invocation) error {
		if i == nil {
			return nil
		}
		if e == nodeProgress { // it has the job; else the end takes the message away
			if err := s.Mailbox.Ack(tx, nodeID, reply.JobID); err != nil {
				return err
			}
		}
		if err := merge(tx, c, i, &content); err != nil {
			return err
		}
		return s.apply(tx, c, i, e, "")
	})
}

// runs says that the invocation of a job is known to be under way.
func (s *Service) runs(ctx context.Context, nodeID, jobID string) (yes bool) {
	commandID, of, err := mgs.ParseJobID(jobID)
	if err != nil || of != nodeID {
		return false
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		i, err := findInvocation(tx, commandID, nodeID)
		yes = i != nil && i.Status == inProgress
		return err
	})
	return yes && err == nil
}

func replyEvent(status string) event {
	switch status {
	case mgs.StatusSuccess, mgs.StatusSkipped:
		return nodeSucceeded
	case mgs.StatusFailed:
		return nodeFailed
	case mgs.StatusTimedOut:
		return nodeTimedOut
	case mgs.StatusCancelled:
		return nodeCancelled
	}
	return nodeProgress
}

// reported runs f on the invocation that a job belongs to, nil for a job that
// cancels one, if the job is this node's.
func (s *Service) reported(ctx context.Context, nodeID, jobID string, f func(*db.Tx, *command, *invocation) error) error {
	commandID, of, err := mgs.ParseJobID(jobID)
	if err != nil || of != nodeID {
		return s.refuse(ctx, nodeID, jobID)
	}
	known := true
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		c, err := findCommand(tx, commandID, true)
		if err != nil {
			return err
		}
		if c == nil {
			_, known, err = s.Mailbox.StateOf(tx, nodeID, jobID)
			if err != nil || !known {
				return err
			}
			return f(tx, nil, nil)
		}
		i, err := findInvocation(tx, commandID, nodeID)
		if err != nil {
			return err
		}
		if known = i != nil && i.Dispatched; !known {
			return nil
		}
		before := c.Version
		if err := f(tx, c, i); err != nil || c.Version == before {
			return err
		}
		return s.advance(tx, c)
	})
	if err == nil && !known {
		return s.refuse(ctx, nodeID, jobID)
	}
	return err
}

func (s *Service) refuse(ctx context.Context, nodeID, jobID string) error {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		return s.Journal.Record(tx, journal.Fact{Kind: "command.report.refused", Subject: nodeID, Body: map[string]any{"jobId": clean(jobID, 200)}})
	})
	return errors.Join(ErrForeign, err)
}

// merge takes over what a reply says of steps. A finished step stays as it is.
func merge(tx *db.Tx, c *command, i *invocation, content *mgs.ReplyContent) error {
	if content.DocumentTraceOutput != "" && i.Finished.IsZero() {
		i.Trace = clean(content.DocumentTraceOutput, mgs.MaxStepOutput)
	}
	if len(content.RuntimeStatus) == 0 {
		if i.Trace == "" {
			return nil
		}
		return saveInvocation(tx, i)
	}
	steps, err := listSteps(tx, i.CommandID, i.NodeID)
	if err != nil {
		return err
	}
	for name, report := range content.RuntimeStatus {
		for n := range steps {
			st := &steps[n]
			if st.Status.final() || !st.named(name, &report, len(steps)) {
				continue
			}
			st.take(&report)
			if err := saveStep(tx, i, st); err != nil {
				return err
			}
		}
	}
	c.Version++
	i.Code, i.Version = exitCode(steps), c.Version
	return saveInvocation(tx, i)
}

// named says that a report under a name is about the step: stock nodes name the
// step, or in schema 1.2 its plugin.
func (st *step) named(name string, report *mgs.StepStatus, steps int) bool {
	return st.Name == name || report.StepName != "" && st.Name == report.StepName || st.Plugin == name && steps == 1
}

// exitCode is the code of the first step that failed, else of the last that
// ended; -1 when none has.
func exitCode(steps []step) int {
	code := -1
	for n := range steps {
		st := &steps[n]
		switch {
		case !st.Status.final():
		case st.Status != success && st.Code != 0:
			return st.Code
		default:
			code = st.Code
		}
	}
	return code
}

// take moves a step by a report.
func (st *step) take(r *mgs.StepStatus) {
	switch replyEvent(r.Status) {
	case nodeSucceeded:
		st.Status = success
	case nodeFailed:
		st.Status = failed
	case nodeTimedOut:
		st.Status = executionTimedOut
	case nodeCancelled:
		st.Status = cancelled
	default:
		st.Status = inProgress
	}
	st.Output = clean(r.Output, mgs.MaxStepOutput)
	st.Stdout = clean(r.StandardOutput, mgs.MaxStepText)
	st.Stderr = clean(r.StandardError, mgs.MaxStepText)
	if t, ok := mgs.ParseTime(r.StartDateTime); ok {
		st.Started = t
	}
	if !st.Status.final() {
		return
	}
	st.Code = int(int32(r.Code))
	if t, ok := mgs.ParseTime(r.EndDateTime); ok {
		st.Finished = t
	}
}

// clean makes a node's text fit for storing: at most n characters, valid, and
// without the zero character, which PostgreSQL has no place for.
func clean(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return s
}

// Limits of the full output that is kept.
const (
	maxOutput  = 64 << 20         // bytes of a stream
	lateOutput = 10 * time.Minute // after the end of the invocation
)

// Output keeps a piece of a step's full output and answers how long the
// stream is here; the node goes on from there. A stream that is over the limit
// is taken and forgotten. Errors: ErrForeign, ErrContent.
func (s *Service) Output(ctx context.Context, nodeID string, out mgs.JobOutput) (length int64, err error) {
	err = s.reported(ctx, nodeID, out.JobID, func(tx *db.Tx, _ *command, i *invocation) error {
		if i == nil || out.Stream != "stdout" && out.Stream != "stderr" || len(out.Data) > mgs.MaxOutputChunk {
			return fmt.Errorf("%w: a piece of output that no step has", ErrContent)
		}
		if !i.Finished.IsZero() && tx.Now.Sub(i.Finished) > lateOutput {
			length = out.Offset + int64(len(out.Data))
			return nil
		}
		length, err = appendOutput(tx, i, &out)
		return err
	})
	return length, err
}

func appendOutput(tx *db.Tx, i *invocation, out *mgs.JobOutput) (int64, error) {
	steps, err := listSteps(tx, i.CommandID, i.NodeID)
	if err != nil {
		return 0, err
	}
	found := false
	for _, st := range steps {
		found = found || st.Name == out.Step
	}
	if !found {
		return 0, fmt.Errorf("%w: a piece of output that no step has", ErrContent)
	}
	f := scoped(tx).And("command_id = ?", i.CommandID).And("node_id = ?", i.NodeID).And("step = ?", out.Step).And("stream = ?", out.Stream)
	var length int64
	if err := tx.QueryRow("select coalesce(max(position + length(data)), 0) from command_output"+f.Where(), f.Args...).Scan(&length); err != nil {
		return 0, err
	}
	switch {
	case out.Offset != length || len(out.Data) == 0:
		return length, nil
	case length >= maxOutput:
		return out.Offset + int64(len(out.Data)), nil
	}
	_, err = tx.Exec(`insert into command_output(account, region, command_id, node_id, step, stream, position, data) values($1, $2, $3, $4, $5, $6, $7, $8)`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, out.Step, out.Stream, out.Offset, out.Data)
	return length + int64(len(out.Data)), err
}

// Stream is the full output of a step, from a position on; at most one piece,
// none at the end. Stream is "stdout" or "stderr". Of an output that came with
// the report only, as a short one does, it is the text of the report.
func (s *Service) Stream(tx *db.Tx, commandID, nodeID, step, stream string, from int64) ([]byte, error) {
	f := scoped(tx).And("command_id = ?", commandID).And("node_id = ?", nodeID).And("step = ?", step).And("stream = ?", stream)
	var kept int64
	if err := tx.QueryRow("select coalesce(max(position + length(data)), 0) from command_output"+f.Where(), f.Args...).Scan(&kept); err != nil {
		return nil, err
	}
	if kept == 0 {
		return reportText(tx, commandID, nodeID, step, stream, from)
	}
	if from >= kept {
		return nil, nil
	}
	f.And("position <= ?", from)
	var position int64
	var data []byte
	err := tx.QueryRow("select position, data from command_output"+f.Where()+" order by position desc limit 1", f.Args...).Scan(&position, &data)
	if err != nil {
		return nil, err
	}
	return data[from-position:], nil
}

// reportText is the text of a step's report from a position on, if it is whole.
func reportText(tx *db.Tx, commandID, nodeID, step, stream string, from int64) ([]byte, error) {
	steps, err := listSteps(tx, commandID, nodeID)
	if err != nil {
		return nil, err
	}
	for _, st := range steps {
		text := map[string]string{"stdout": st.Stdout, "stderr": st.Stderr}[stream]
		if st.Name == step && from < int64(len(text)) && !strings.HasSuffix(text, cutMark) {
			return []byte(text[from:]), nil
		}
	}
	return nil, nil
}
