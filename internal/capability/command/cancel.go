package command

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// CancelCommand asks to stop a command, on all its nodes or on some. What was
// never sent is cancelled at once; the rest when its node says so.
func (s *Service) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput) (*ssm.CancelCommandOutput, error) {
	ids := slices.Clone(in.InstanceIds)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(in.InstanceIds) {
		return nil, &ssm.DuplicateInstanceId{Message: "An instance id is given more than once."}
	}
	out := &ssm.CancelCommandOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := findCommand(tx, *in.CommandId, true)
		if err != nil {
			return err
		}
		if c == nil {
			return errCommand(*in.CommandId)
		}
		return s.cancel(tx, c, in.InstanceIds)
	})
	return out, err
}

func (s *Service) cancel(tx *db.Tx, c *command, ids []string) error {
	for _, id := range ids {
		i, err := findInvocation(tx, c.ID, id)
		if err != nil {
			return err
		}
		if i == nil {
			return &ssm.InvalidInstanceId{Message: "The command was not sent to the instance " + id + "."}
		}
	}
	if c.Status.final() {
		return nil
	}
	list, err := open(tx, c.ID)
	if err != nil {
		return err
	}
	for i := range list {
		if len(ids) > 0 && !slices.Contains(ids, list[i].NodeID) {
			continue
		}
		if err := s.cancelOne(tx, c, &list[i]); err != nil {
			return err
		}
	}
	c.Cancel = c.Cancel || len(ids) == 0
	if err := s.Journal.Record(tx, journal.Fact{Kind: "command.cancel.requested", Subject: c.ID, Related: ids}); err != nil {
		return err
	}
	return s.advance(tx, c)
}

func (s *Service) cancelOne(tx *db.Tx, c *command, i *invocation) error {
	sent, err := s.maySend(tx, c, i)
	if err != nil {
		return err
	}
	if !sent {
		return s.apply(tx, c, i, cancelUnsent, "")
	}
	if err := s.apply(tx, c, i, cancelSent, ""); err != nil {
		return err
	}
	// The node may not have it: it must not get it from now on.
	if err := s.Mailbox.Remove(tx, i.NodeID, mgs.JobID(c.ID, i.NodeID)); err != nil {
		return err
	}
	content, err := json.Marshal(mgs.CancelCommand{CancelMessageID: mgs.JobID(c.ID, i.NodeID)})
	if err != nil {
		return err
	}
	job, err := json.Marshal(mgs.AgentJob{Content: string(content), JobID: cancelJobID(i), Topic: mgs.TopicCancelCommand, SchemaVersion: 1})
	if err != nil {
		return err
	}
	return s.Mailbox.Put(tx, mailbox.Message{Node: i.NodeID, ID: cancelJobID(i), Kind: mgs.TypeAgentJob, Payload: job, Deadline: c.Ends})
}

func errCommand(id string) error {
	return &ssm.InvalidCommandId{Message: "The command " + id + " does not exist."}
}
