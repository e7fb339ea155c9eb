package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// receipt is what the node made of a job: the status code and text of its
// acknowledgement, and what is done once that is sent.
type receipt struct {
	code, text string
	then       func()
}

const successful = "Successful"

// receive takes a job from the hub.
func (n *node) receive(job mgs.AgentJob) receipt {
	commandID, nodeID, err := mgs.ParseJobID(job.JobID)
	if err != nil {
		return receipt{code: mgs.AckInvalid, text: err.Error()}
	}
	if nodeID != n.id {
		return receipt{code: mgs.AckInvalid, text: "the job is for node " + nodeID + ", this is " + n.id}
	}
	switch {
	case n.stop.Err() != nil:
		return receipt{code: mgs.AckWorkerClosed, text: "the node program is stopping"}
	case strings.HasPrefix(job.Topic, mgs.TopicCancelCommand):
		return n.cancel(job)
	case strings.HasPrefix(job.Topic, mgs.TopicSendCommand):
		return n.accept(commandID, job)
	}
	return receipt{code: mgs.AckWrongType, text: "topic " + job.Topic + " is not known"}
}

// accept puts a command on the disk and starts it as soon as a slot is free.
func (n *node) accept(commandID string, job mgs.AgentJob) receipt {
	if _, open := n.ledger.Get(commandID); !open && n.busy() {
		return receipt{code: mgs.AckBufferFull, text: "too many commands wait on this node"}
	}
	fresh, err := n.ledger.Accept(commandID, job.JobID, job.Content)
	if err != nil {
		n.log.Error("a command cannot be kept", "command", commandID, "error", err.Error())
		return receipt{code: mgs.AckOther, text: err.Error()}
	}
	if !fresh {
		return receipt{mgs.AckDuplicate, "the node has this command already", func() { n.resend(commandID) }}
	}
	rec, _ := n.ledger.Get(commandID)
	if _, err := parse(rec); err != nil {
		n.log.Warn("a command cannot be read", "command", commandID, "error", err.Error())
		reply := newReply(rec.JobID, runner.Failed, err.Error())
		return receipt{mgs.AckParseError, err.Error(), func() { n.finish(rec, reply) }}
	}
	return receipt{mgs.AckOK, successful, func() { n.launch(rec) }}
}

func (n *node) busy() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.cancels) >= maxRunning+maxWaiting
}

// parse reads the payload of a job, which must be about the job's command.
func parse(rec ledger.Record) (runner.Job, error) {
	var about mgs.SendCommand
	if err := mgs.Decode([]byte(rec.Payload), &about); err != nil {
		return runner.Job{}, err
	}
	if about.CommandID != "" && about.CommandID != rec.CommandID {
		return runner.Job{}, errors.New("the payload is about another command")
	}
	return runner.ParseJob([]byte(rec.Payload))
}

// launch runs a job in the background when a slot is free. When the node is
// stopping the job stays in the ledger for its next run.
func (n *node) launch(rec ledger.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop.Err() != nil || n.leaving {
		return
	}
	ctx, cancel := context.WithCancelCause(n.stop)
	n.cancels[rec.CommandID] = cancel
	n.jobs.Go(func() {
		defer cancel(nil)
		defer n.forget(rec.CommandID)
		select {
		case n.slots <- struct{}{}:
			defer func() { <-n.slots }()
		case <-ctx.Done():
		}
		n.execute(ctx, rec)
	})
}

func (n *node) forget(commandID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cancels, commandID)
}

// execute runs one job. A job that was not started when the node stops stays
// in the ledger for the next run.
func (n *node) execute(ctx context.Context, rec ledger.Record) {
	if errors.Is(context.Cause(ctx), runner.ErrStopped) {
		return
	}
	job, err := parse(rec)
	if err != nil {
		n.finish(rec, newReply(rec.JobID, runner.Failed, err.Error()))
		return
	}
	from, err := n.start(rec)
	if err != nil {
		n.log.Error("a command was not started", "command", rec.CommandID, "error", err.Error())
		n.notStarted(rec, err)
		return
	}
	n.log.Info("command started", "command", rec.CommandID, "document", job.DocumentName, "step", from.Step+1)
	n.send(newReply(rec.JobID, runner.InProgress, ""))
	began := time.Now()
	n.outputs.begin(rec.CommandID, rec.JobID, job.StepNames())
	defer n.outputs.end(rec.CommandID)
	var results []runner.Result
	status, at := n.runner.Run(ctx, n.ledger.Dir(rec.CommandID), job, from, func(r runner.Result) {
		results = append(results, r)
		n.step(rec, r)
	})
	if status == runner.Suspended {
		n.suspend(rec, at)
		return
	}
	if len(job.StepNames()) > 1 {
		results = nil // as the stock agent does it
	}
	n.finish(rec, newReply(rec.JobID, status, "", results...))
	n.log.Info("command ended", "command", rec.CommandID, "status", string(status), "after", time.Since(began).Round(time.Millisecond).String())
}

func (n *node) step(rec ledger.Record, r runner.Result) {
	reply := newReply(rec.JobID, runner.InProgress, "", r)
	if err := n.ledger.Step(rec.CommandID, reply); err != nil {
		n.log.Error("the result of a step cannot be kept", "command", rec.CommandID, "step", r.Name, "error", err.Error())
	}
	n.send(reply)
}

// notStarted ends a job whose start could not be recorded. When the end cannot
// be recorded either the hub is told nothing: the job may still run later.
func (n *node) notStarted(rec ledger.Record, err error) {
	reply := newReply(rec.JobID, runner.Failed, "the node cannot record the start: "+err.Error())
	if n.ledger.Finish(rec.CommandID, reply) == nil {
		n.send(reply)
	}
}

func (n *node) finish(rec ledger.Record, reply ledger.Reply) {
	if err := n.ledger.Finish(rec.CommandID, reply); err != nil {
		n.log.Error("the result of a command cannot be kept", "command", rec.CommandID, "error", err.Error())
	}
	n.send(reply)
}

// interrupted ends a job that an earlier run of the program started and did
// not end.
func (n *node) interrupted(rec ledger.Record) error {
	n.log.Warn("a command was interrupted, its result is unknown", "command", rec.CommandID)
	job, err := parse(rec)
	if err != nil {
		return n.ledger.Finish(rec.CommandID, newReply(rec.JobID, runner.Failed, err.Error()))
	}
	results := runner.Interrupted(n.ledger.Dir(rec.CommandID), job, rec.Reported)
	for _, r := range results {
		if err := n.ledger.Step(rec.CommandID, newReply(rec.JobID, runner.InProgress, "", r)); err != nil {
			return err
		}
	}
	if len(job.StepNames()) > 1 {
		results = nil
	}
	return n.ledger.Finish(rec.CommandID, newReply(rec.JobID, runner.Failed, "the node program ended while the command ran", results...))
}

// cancel ends a command that waits or runs; one that has ended keeps its
// result.
func (n *node) cancel(job mgs.AgentJob) receipt {
	var c mgs.CancelCommand
	if err := mgs.Decode([]byte(job.Content), &c); err != nil {
		return receipt{code: mgs.AckParseError, text: err.Error()}
	}
	commandID, nodeID, err := mgs.ParseJobID(c.CancelMessageID)
	if err != nil || nodeID != n.id {
		return receipt{code: mgs.AckInvalid, text: "the command to cancel is not one of this node"}
	}
	n.mu.Lock()
	cancel := n.cancels[commandID]
	n.mu.Unlock()
	if cancel == nil {
		return receipt{mgs.AckOK, "the command does not run", func() { n.resend(commandID) }}
	}
	n.log.Info("command cancelled", "command", commandID)
	return receipt{mgs.AckOK, successful, func() { cancel(runner.ErrCancelled) }}
}
