package command

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Defaults of SendCommand. Source: SendCommand in the API reference.
const (
	defaultTimeout     = 3600
	defaultConcurrency = "50"
	defaultErrors      = "0"
	maxTargets         = 10_000 // more than that: RateExceeded
	maxRelated         = 50     // nodes named in the fact of a sending
)

// SendCommand starts a document on nodes. A call with the invocation id of an
// earlier one and the same input answers the earlier command.
func (s *Service) SendCommand(ctx context.Context, in *ssm.SendCommandInput) (*ssm.SendCommandOutput, error) {
	if err := checkTargets(in); err != nil {
		return nil, err
	}
	id, err := commandID(ctx, in)
	if err != nil {
		return nil, err
	}
	c, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if c != nil {
		return sent(c, in), nil
	}
	return s.create(ctx, id, in)
}

// sent is the answer of a command that in asked for, now or in an earlier call.
func sent(c *command, in *ssm.SendCommandInput) *ssm.SendCommandOutput {
	out := c.project()
	if len(in.Parameters) > 0 {
		out.Parameters = in.Parameters
	}
	return &ssm.SendCommandOutput{Command: out}
}

func (s *Service) find(ctx context.Context, id string) (c *command, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		c, err = readCommand(tx, id)
		return err
	})
	return c, err
}

// create prepares a command outside the transaction that makes it.
func (s *Service) create(ctx context.Context, id string, in *ssm.SendCommandInput) (*ssm.SendCommandOutput, error) {
	p, err := s.plan(ctx, id, in)
	if err != nil {
		return nil, err
	}
	allowed, err := s.authorize(ctx, s.maySendTo(), in)
	if err != nil {
		return nil, err
	}
	var out *ssm.SendCommandOutput
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		c, err := findCommand(tx, id, true)
		if err == nil && c == nil { // else the same call came twice at once
			c, err = s.send(tx, id, in, p, allowed)
		}
		if err != nil {
			return err
		}
		out = sent(c, in)
		audit.Answer(tx, out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// send makes a command for the nodes that in names or selects.
func (s *Service) send(tx *db.Tx, id string, in *ssm.SendCommandInput, p *plan, allowed func(string) bool) (*command, error) {
	targets, err := s.targets(tx, in, p.doc, allowed)
	if err != nil {
		return nil, err
	}
	return s.start(tx, newCommand(id, in, p, tx.Now, len(targets)), p, targets)
}

// start keeps a command with its invocations and gives the first ones their
// turn.
func (s *Service) start(tx *db.Tx, c *command, p *plan, targets []target) (*command, error) {
	if len(targets) > maxTargets {
		c.Status, targets = rateExceeded, nil
	}
	if err := insertCommand(tx, c); err != nil {
		return nil, err
	}
	related := []string{}
	for _, t := range targets[:min(len(targets), maxRelated)] {
		related = append(related, t.node.ID)
	}
	body := map[string]any{"documentName": c.DocumentName, "documentVersion": c.DocumentVersion, "targets": c.Targets, "comment": ptr.Value(c.Spec.Comment)}
	if err := s.Journal.Record(tx, journal.Fact{Kind: "command.sent", Subject: c.ID, Related: related, Body: body}); err != nil {
		return nil, err
	}
	if err := s.place(tx, c, p, targets); err != nil {
		return nil, err
	}
	if err := s.advance(tx, c); err != nil || c.Status.final() {
		return c, err
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: deliveryTask, Key: c.ID, Due: c.Expires}); err != nil {
		return nil, err
	}
	return c, s.Tasks.Enqueue(tx, task.Spec{Kind: endTask, Key: c.ID, Due: c.Ends})
}

func checkTargets(in *ssm.SendCommandInput) error {
	switch {
	case len(in.InstanceIds) > 0 && len(in.Targets) > 0:
		return fault.Validation("InstanceIds and Targets cannot be used together.")
	case len(in.InstanceIds) == 0 && len(in.Targets) == 0:
		return fault.Validation("InstanceIds or Targets is required.")
	}
	ids := slices.Clone(in.InstanceIds)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(in.InstanceIds) {
		return &ssm.DuplicateInstanceId{Message: "An instance id is given more than once."}
	}
	return nil
}

var idSpace = uuid.MustParse("5b0a4f0e-3a0c-4f5e-9c56-0d4d3c0f6a11")

// commandID is a new id, or the one that belongs to the caller's invocation id
// and input: a repeated call finds the command of the first one.
func commandID(ctx context.Context, in *ssm.SendCommandInput) (string, error) {
	invocation := wire.InvocationID(ctx)
	if invocation == "" {
		return uuid.NewString(), nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	scope := db.ScopeOf(ctx)
	key := strings.Join([]string{scope.Account, scope.Region, journal.ActorOf(ctx), invocation, string(b)}, "\x00")
	return uuid.NewSHA1(idSpace, []byte(key)).String(), nil
}

func newCommand(id string, in *ssm.SendCommandInput, p *plan, now time.Time, targets int) *command {
	timeout := cmp.Or(ptr.Value(in.TimeoutSeconds), defaultTimeout)
	concurrency := cmp.Or(ptr.Value(in.MaxConcurrency), defaultConcurrency)
	budget := cmp.Or(ptr.Value(in.MaxErrors), defaultErrors)
	c := &command{
		ID: id, DocumentName: p.doc.Name, DocumentVersion: cmp.Or(ptr.Value(in.DocumentVersion), "$DEFAULT"), Requested: now,
		Expires: now.Add(time.Duration(timeout) * time.Second), Status: pending, Tally: tally{}, Targets: targets,
		MaxConcurrency: limit(concurrency, targets), MaxErrors: limit(budget, targets), Job: p.job, Parameters: p.parameters,
	}
	c.Ramped = (in.MaxConcurrency != nil || in.MaxErrors != nil) && c.MaxErrors < targets
	c.Ends = c.Expires.Add(p.execution)
	c.Spec = ssm.Command{
		AlarmConfiguration: in.AlarmConfiguration, CloudWatchOutputConfig: in.CloudWatchOutputConfig, Comment: in.Comment, InstanceIds: in.InstanceIds,
		MaxConcurrency: &concurrency, MaxErrors: &budget, NotificationConfig: in.NotificationConfig, OutputS3BucketName: in.OutputS3BucketName,
		OutputS3KeyPrefix: in.OutputS3KeyPrefix, OutputS3Region: in.OutputS3Region, ServiceRole: in.ServiceRoleArn,
		Targets: in.Targets, TimeoutSeconds: &timeout,
	}
	return c
}
