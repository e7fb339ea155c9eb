package command

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const (
	deliveryTask = "command.delivery" // the delivery timeout of a command
	endTask      = "command.end"      // delivery and execution timeout together
	purgeTask    = "command.purge"    // forgets a command that ended long ago
)

// lateReplies is how long after the end a stock agent may still be about to
// report: it repeats replies that were not acknowledged every five minutes.
const lateReplies = 6 * time.Minute

// apply moves an invocation by an event and keeps what follows from it, the
// command itself excepted: see advance. Why is the reason when the event alone
// does not say it.
func (s *Service) apply(tx *db.Tx, c *command, i *invocation, e event, why string) error {
	d := next(i.Status, e)
	if d == i.Status {
		return nil
	}
	c.Tally.move(i.Status, d)
	c.Version++
	before := i.Status
	i.Status, i.Version, i.Why = d, c.Version, cmp.Or(why, reason(c, e))
	if d == inProgress && i.Delivered.IsZero() {
		i.Delivered = tx.Now
		if err := s.record(tx, "command.delivered", i, nil); err != nil {
			return err
		}
	}
	if err := s.notifyInvocation(tx, c, i, before); err != nil {
		return err
	}
	if d.final() {
		return s.finish(tx, c, i, e)
	}
	return saveInvocation(tx, i)
}

// finish closes an invocation that just became final.
func (s *Service) finish(tx *db.Tx, c *command, i *invocation, e event) error {
	i.Finished = tx.Now
	if !i.Dispatched {
		c.Waiting--
	} else if err := s.Mailbox.Remove(tx, i.NodeID, mgs.JobID(i.CommandID, i.NodeID), cancelJobID(i)); err != nil {
		return err
	}
	follow := func() error { return s.planUpload(tx, c, i) }
	if !fromNode(e) {
		follow = func() error { return closeSteps(tx, i) }
	}
	return errors.Join(follow(), s.recordFinish(tx, i), saveInvocation(tx, i))
}

// fromNode: the node's own word; what its steps did, it says or will say.
func fromNode(e event) bool {
	switch e {
	case nodeSucceeded, nodeFailed, nodeTimedOut, nodeCancelled:
		return true
	}
	return false
}

func (s *Service) recordFinish(tx *db.Tx, i *invocation) error {
	body := map[string]any{"status": i.Status.invocationStatus(), "statusDetails": i.Status}
	if i.Why != "" {
		body["why"] = i.Why
	}
	return s.record(tx, "command.invocation.finished", i, body)
}

func (s *Service) record(tx *db.Tx, kind string, i *invocation, body map[string]any) error {
	full := map[string]any{"commandId": i.CommandID, "instanceId": i.NodeID, "documentName": i.DocumentName}
	maps.Copy(full, body)
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: i.CommandID, Related: []string{i.NodeID}, Body: full})
}

// advance gives waiting invocations their turn and brings the command's own
// state up to date. The caller holds the lock of the command's row.
func (s *Service) advance(tx *db.Tx, c *command) error {
	if c.Status.final() && c.Status != rateExceeded {
		return nil
	}
	if err := s.turn(tx, c); err != nil {
		return err
	}
	before := c.Status
	if c.Status != rateExceeded {
		c.Status = commandDetail(c.Tally, c.MaxErrors, c.Cancel)
	}
	if before != c.Status {
		c.Version++
	}
	if err := s.notifyCommand(tx, c, before); err != nil {
		return err
	}
	if c.Status.final() {
		if err := s.close(tx, c); err != nil {
			return err
		}
	}
	return saveCommand(tx, c)
}

// turn starts invocations as far as the limits allow, or stops those that wait.
func (s *Service) turn(tx *db.Tx, c *command) error {
	if c.Waiting == 0 {
		return nil
	}
	start, stop := ramp(c)
	if stop {
		return s.stopWaiting(tx, c)
	}
	if start == 0 {
		return nil
	}
	list, err := waiting(tx, c.ID, start)
	if err != nil || len(list) == 0 {
		return err
	}
	c.Version++
	c.Waiting -= len(list)
	jobs := make([]mailbox.Message, len(list))
	for n := range list {
		jobs[n] = c.job(list[n].NodeID)
	}
	return errors.Join(markDispatched(tx, c, list), s.Mailbox.Put(tx, jobs...))
}

// stopWaiting ends the invocations that wait: there were too many errors.
func (s *Service) stopWaiting(tx *db.Tx, c *command) error {
	list, err := waiting(tx, c.ID, 0)
	if err != nil {
		return err
	}
	for n := range list {
		if err := s.apply(tx, c, &list[n], errorsExceeded, ""); err != nil {
			return err
		}
	}
	return nil
}

// cancelJobID is the id of the job that cancels an invocation.
func cancelJobID(i *invocation) string {
	return mgs.JobID(uuid.NewSHA1(idSpace, []byte("cancel\x00"+i.CommandID)).String(), i.NodeID)
}

// keepFor is how long a command is kept after its end. Source: the user guide
// gives 30 days for the history of commands.
const keepFor = 30 * 24 * time.Hour

// purge forgets a command.
func (s *Service) purge(ctx context.Context, r *task.Run) error {
	if err := s.forgetBlobs(ctx, r.Key); err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"command_output", "command_stream", "command_step", "command_invocation"} {
			f := scoped(tx).And("command_id = ?", r.Key)
			if _, err := tx.Exec("delete from "+table+f.Where(), f.Args...); err != nil {
				return err
			}
		}
		f := scoped(tx).And("id = ?", r.Key)
		if _, err := tx.Exec("delete from command_command"+f.Where(), f.Args...); err != nil {
			return err
		}
		return r.Done(tx)
	})
}

// close ends a command that just became final.
func (s *Service) close(tx *db.Tx, c *command) error {
	if err := forgetJob(tx, c.ID); err != nil {
		return err
	}
	for _, kind := range []string{deliveryTask, endTask} {
		if _, err := s.Tasks.Cancel(tx, kind, c.ID); err != nil {
			return err
		}
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: purgeTask, Key: c.ID, Due: tx.Now.Add(keepFor)}); err != nil {
		return err
	}
	return s.Journal.Record(tx, journal.Fact{Kind: "command.finished", Subject: c.ID, Body: map[string]any{
		"commandId": c.ID, "documentName": c.DocumentName, "status": c.Status.commandStatus(), "statusDetails": c.Status,
		"targets": c.Targets, "completed": c.Tally.completed(), "errors": c.Tally.errors(), "deliveryTimedOut": c.Tally[deliveryTimedOut],
	}})
}

// deliveryIsOver ends the invocations that their nodes did not take in time.
func (s *Service) deliveryIsOver(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if err := s.expire(tx, r.Key, deliveryOver, func(*invocation) bool { return true }); err != nil {
			return err
		}
		return finished(tx, r)
	})
}

// timeIsOver ends the invocations of which no end was heard. Nodes with a
// stock agent get the time in which it repeats its replies.
func (s *Service) timeIsOver(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		c, err := findCommand(tx, r.Key, true)
		if err != nil || c == nil {
			return err
		}
		last := !tx.Now.Before(c.Ends.Add(lateReplies))
		waits := false
		err = s.expire(tx, r.Key, executionOver, func(i *invocation) bool {
			if last || s.ownAgent(tx, i.NodeID) {
				return true
			}
			waits = true
			return false
		})
		if err != nil {
			return err
		}
		if waits {
			return r.Again(tx, c.Ends.Add(lateReplies))
		}
		return finished(tx, r)
	})
}

// finished takes the task away, unless the end of its command has done so.
func finished(tx *db.Tx, r *task.Run) error {
	if err := r.Done(tx); err != nil && !errors.Is(err, task.ErrFenced) {
		return err
	}
	return nil
}

func (s *Service) ownAgent(tx *db.Tx, nodeID string) bool {
	n, err := s.Nodes.Get(tx, nodeID)
	return err != nil || n.AgentName == mgs.OwnAgent
}

// expire applies an event to the open invocations that which selects.
func (s *Service) expire(tx *db.Tx, commandID string, e event, which func(*invocation) bool) error {
	c, err := findCommand(tx, commandID, true)
	if err != nil || c == nil {
		return err
	}
	list, err := open(tx, commandID)
	if err != nil {
		return err
	}
	for i := range list {
		if !which(&list[i]) {
			continue
		}
		if err := s.apply(tx, c, &list[i], e, ""); err != nil {
			return err
		}
	}
	return s.advance(tx, c)
}

// nodeIsGone ends what a deregistered node had to do.
func (s *Service) nodeIsGone(_ context.Context, tx *db.Tx, row journal.Row) error {
	f := scoped(tx).And("node_id = ?", row.Subject).And("finished = 0")
	list, err := listInvocations(tx, f, "command_id", 0)
	if err != nil {
		return err
	}
	for i := range list {
		c, err := findCommand(tx, list[i].CommandID, true)
		if err != nil {
			return err
		}
		if err := s.apply(tx, c, &list[i], nodeGone, ""); err != nil {
			return err
		}
		if err := s.advance(tx, c); err != nil {
			return err
		}
	}
	return nil
}
