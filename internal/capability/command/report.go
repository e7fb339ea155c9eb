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
		if err := s.merge(tx, c, i, &content); err != nil {
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
func (s *Service) merge(tx *db.Tx, c *command, i *invocation, content *mgs.ReplyContent) error {
	if content.DocumentTraceOutput != "" && i.Finished.IsZero() {
		i.Trace = clean(content.DocumentTraceOutput, mgs.MaxStepOutput)
	}
	if len(content.RuntimeStatus) == 0 {
		if i.Trace == "" {
			return nil
		}
		return saveInvocation(tx, i)
	}
	steps, err := s.listSteps(tx, i.CommandID, i.NodeID)
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
			if err := s.saveStep(tx, i, st); err != nil {
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
