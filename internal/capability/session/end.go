package session

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Cause says why a session ended.
type Cause string

// The causes.
const (
	Terminated      Cause = "Terminated" // TerminateSession
	IdleTimeout     Cause = "IdleTimeout"
	MaxDuration     Cause = "MaxSessionDuration"
	Locked          Cause = "Locked"
	NodeEnded       Cause = "NodeEnded" // the shell, the command or the forwarding came to its end
	NodeFailed      Cause = "NodeFailed"
	NodeSilent      Cause = "NodeSilent"   // the node never opened its end
	NodeLost        Cause = "NodeLost"     // the node's end did not come back
	ClientAbsent    Cause = "ClientAbsent" // no client of the owner ever came
	ClientLost      Cause = "ClientLost"   // the owner's client did not come back
	RecordingFailed Cause = "RecordingFailed"
	Refused         Cause = "Refused" // the hub ends it for what happens in it, such as a slow reader
)

const (
	closeWait  = 30 * time.Second // for the node's word that it ended
	closedMail = 24 * time.Hour   // a node that is away is told for so long
	maxOutput  = 1024             // characters of Details
)

var zeroTime time.Time

// gone makes nothing of the error that there is no such session.
func gone(err error) error {
	if errors.Is(err, ErrEnded) {
		return nil
	}
	return err
}

// End ends a session. Its clients are told output, its node to end the shell. A
// session that has ended, or is not there, stays as it is.
func (s *Service) End(ctx context.Context, id string, cause Cause, output string) error {
	return gone(s.change(ctx, id, func(tx *db.Tx, r *row) error { return s.end(tx, r, cause, output) }))
}

func (s *Service) end(tx *db.Tx, r *row, cause Cause, output string) error {
	if closing(r.Status) {
		return nil
	}
	r.Cause, r.Output = cause, text.Clip(output, maxOutput)
	e := stop
	if cause == NodeSilent {
		e = silent
	}
	if err := s.Mailbox.Put(tx, s.closedMessage(tx, r)); err != nil {
		return err
	}
	return s.ending(tx, r, e)
}

// closedMessage tells the node to end a session, over its control channel: its
// data channel may be down.
func (s *Service) closedMessage(tx *db.Tx, r *row) mailbox.Message {
	payload, err := json.Marshal(mgs.ChannelClosed{
		MessageType: mgs.TypeChannelClosed, MessageID: uuid.NewString(), DestinationID: r.Node, SessionID: r.ID, SchemaVersion: 1,
		CreatedDate: mgs.FormatTime(tx.Now), Output: r.Output,
	})
	if err != nil {
		panic(err) // texts and a number
	}
	return mailbox.Message{Node: r.Node, ID: closedID(r.ID), Kind: mgs.TypeChannelClosed, Payload: payload, Deadline: tx.Now.Add(closedMail)}
}

func closedID(id string) string { return "close." + id }

// ending applies an event that ends the session and tells everybody.
func (s *Service) ending(tx *db.Tx, r *row, e event) error {
	r.Status = next(r.state(), e).Status
	if err := s.Mailbox.Remove(tx, r.Node, r.ID); err != nil {
		return err
	}
	for _, kind := range []string{silenceTask, absenceTask, idleTask, longestTask} {
		if _, err := s.Tasks.Cancel(tx, kind, r.ID); err != nil {
			return err
		}
	}
	if err := tx.Notify(Topic(r.Scope, r.ID)); err != nil {
		return err
	}
	if final(r.Status) {
		return s.finish(tx, r)
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: closeTask, Key: r.ID, Due: tx.Now.Add(closeWait)}); err != nil {
		return err
	}
	return s.record(tx, "session.terminating", r, map[string]any{"cause": r.Cause})
}

// finish closes a session that just became final.
func (s *Service) finish(tx *db.Tx, r *row) error {
	r.Ended = tx.Now
	r.NodeAt, r.ClientAt = zeroTime, zeroTime
	if err := errors.Join(dropNodeTokens(tx, r.ID), dropPlaces(tx, r.ID)); err != nil {
		return err
	}
	if err := peopleLeft(tx, r.ID); err != nil {
		return err
	}
	if _, err := s.Tasks.Cancel(tx, closeTask, r.ID); err != nil {
		return err
	}
	if r.recordingUnderway() { // its recorder closes it, if that is still there
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: closeTask, Key: r.ID, Due: tx.Now.Add(closeWait)}); err != nil {
			return err
		}
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: purgeTask, Key: r.ID, Due: tx.Now.Add(keepFor)}); err != nil {
		return err
	}
	body := map[string]any{
		"status": r.Status, "cause": r.Cause, "bytesIn": r.In, "bytesOut": r.Out, "seconds": int64(r.Ended.Sub(r.Started) / time.Second), "kind": r.Kind,
	}
	if r.Kind == Port {
		body["host"], body["port"] = r.Host, r.Port
	}
	return s.record(tx, "session.ended", r, body)
}

// Completion is what the node says at the end of a session: agent_task_complete.
type Completion struct {
	SessionID   string
	Status      string // Success, Failed, TimedOut or Cancelled
	Output      string
	S3Bucket    string
	S3UrlSuffix string
	CwlGroup    string
	CwlStream   string
}

// Completed takes the node's word that a session is over. It may come any number
// of times. Error: ErrForeign for a session of another node.
func (s *Service) Completed(ctx context.Context, nodeID string, c Completion) error {
	return gone(s.change(ctx, c.SessionID, func(tx *db.Tx, r *row) error {
		if r.Node != nodeID {
			return ErrForeign
		}
		if err := s.Mailbox.Remove(tx, r.Node, closedID(r.ID)); err != nil {
			return err
		}
		r.keep(c)
		if final(r.Status) {
			return nil
		}
		e := nodeEnded
		if c.Status == mgs.StatusFailed && !closing(r.Status) {
			e = nodeFailed
		}
		if r.Cause == "" {
			r.Cause = map[event]Cause{nodeEnded: NodeEnded, nodeFailed: NodeFailed}[e]
		}
		return s.ending(tx, r, e)
	}))
}

// keep takes over what the node says about output.
func (r *row) keep(c Completion) {
	if r.Output == "" {
		r.Output = text.Clip(c.Output, maxOutput)
	}
	if c.S3Bucket != "" && c.S3UrlSuffix != "" {
		r.S3URL = text.Clip("https://s3."+r.Scope.Region+".amazonaws.com/"+c.S3Bucket+"/"+c.S3UrlSuffix, maxOutput)
	}
	if c.CwlGroup != "" {
		r.LogURL = text.Clip("https://console.aws.amazon.com/cloudwatch/home?region="+r.Scope.Region+"#logEventViewer:group="+c.CwlGroup+";stream="+c.CwlStream, maxOutput)
	}
}

// Closing says whether the session is over for its clients, and what they are
// told. A session that nobody knows is over.
func (s *Service) Closing(ctx context.Context, id string) (output string, ended bool, err error) {
	r, err := s.find(ctx, id)
	if errors.Is(err, ErrEnded) {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	return r.Output, closing(r.Status), nil
}

// TerminateSession ends a session. It may be called again.
func (s *Service) TerminateSession(ctx context.Context, in *ssm.TerminateSessionInput) (*ssm.TerminateSessionOutput, error) {
	out := &ssm.TerminateSessionOutput{SessionId: in.SessionId}
	err := s.inScopeOf(ctx, *in.SessionId, out, func(tx *db.Tx, r *row) error {
		return s.end(tx, r, Terminated, "The session was terminated.")
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Told stops telling a node that a session is over; message is the id of the
// channel_closed in its mailbox.
func (s *Service) Told(ctx context.Context, nodeID, message string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error { return s.Mailbox.Remove(tx, nodeID, message) })
}
