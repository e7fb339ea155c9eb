package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// target is a node of a command and the state its invocation begins in.
type target struct {
	node   node.Node
	status detail
	why    string
}

// targets finds the nodes. One that is named and cannot be used refuses the
// command; one that is selected gets an invocation that says why.
func (s *Service) targets(tx *db.Tx, in *ssm.SendCommandInput, doc *Document, allowed func(string) bool) ([]target, error) {
	nodes, err := s.nodes(tx, in)
	if err != nil {
		return nil, err
	}
	out := make([]target, 0, len(nodes))
	for _, n := range nodes {
		t := target{node: n, status: pending}
		switch {
		case !allowed(n.ID):
			t.status, t.why = accessDenied, "the caller may not run the document on this node"
		case runsOn(doc, n.PlatformType):
		case len(in.InstanceIds) > 0:
			return nil, &ssm.UnsupportedPlatformType{Message: fmt.Sprintf("The document %s does not run on %s, the platform of %s.", doc.Name, n.PlatformType, n.ID)}
		default:
			t.status, t.why = invalidPlatform, "the document "+doc.Name+" does not run on "+n.PlatformType
		}
		out = append(out, t)
	}
	return out, nil
}

// Permit says whether the caller of ctx may do what is about to be done on a
// node, by its ARN. Nil allows all.
type Permit func(ctx context.Context, nodeARN string) error

// maySendTo asks whether the caller may send commands to a node.
func (s *Service) maySendTo() Permit {
	if s.Allow == nil {
		return nil
	}
	return func(ctx context.Context, nodeARN string) error { return s.Allow(ctx, "ssm:SendCommand", nodeARN) }
}

// authorize asks about each node that the targets select now. A node that
// they select only later, when the command is made, is not allowed.
func (s *Service) authorize(ctx context.Context, may Permit, in *ssm.SendCommandInput) (func(nodeID string) bool, error) {
	if len(in.Targets) == 0 || may == nil {
		return func(string) bool { return true }, nil
	}
	var nodes []node.Node
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		nodes, err = s.nodes(tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	yes := map[string]bool{}
	for _, n := range nodes {
		err := may(ctx, arn.SSM(n.Scope, "managed-instance/"+n.ID))
		if err != nil && fault.Of(err).HTTPStatus() >= http.StatusInternalServerError {
			return nil, err
		}
		yes[n.ID] = err == nil
	}
	return func(id string) bool { return yes[id] }, nil
}

func (s *Service) nodes(tx *db.Tx, in *ssm.SendCommandInput) ([]node.Node, error) {
	if len(in.InstanceIds) == 0 {
		return s.Nodes.Match(tx, in.Targets)
	}
	nodes, err := s.Nodes.Find(tx, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	for _, id := range in.InstanceIds {
		if !slices.ContainsFunc(nodes, func(n node.Node) bool { return n.ID == id }) {
			return nil, &ssm.InvalidInstanceId{Message: "The instance " + id + " is not a managed node of this account and region."}
		}
	}
	return nodes, nil
}

// runsOn says whether the document is for the platform. A node that has not
// said what it is may try.
func runsOn(doc *Document, platform string) bool {
	return platform == "" || len(doc.PlatformTypes) == 0 || slices.Contains(doc.PlatformTypes, platform)
}

// place keeps the invocations of a new command. Those whose turn it is get
// their job at once.
func (s *Service) place(tx *db.Tx, c *command, p *plan, targets []target) error {
	for _, t := range targets {
		c.Tally[t.status]++
	}
	c.Waiting = c.Tally[pending]
	start, _ := ramp(c)
	c.Version++
	invocations, steps, jobs := []any{}, []any{}, []mailbox.Message{}
	for _, t := range targets {
		i := newInvocation(c, t)
		if t.status.final() {
			i.Finished = tx.Now
			if err := s.recordFinish(tx, i); err != nil {
				return err
			}
		} else if len(jobs) < start {
			i.Dispatched = true
			jobs = append(jobs, c.job(i.NodeID))
		}
		invocations = append(invocations, i.values(tx)...)
		for _, st := range p.steps {
			st.Status = t.status
			steps = append(steps, st.values(tx, i)...)
		}
	}
	c.Waiting -= len(jobs)
	return errors.Join(insertInvocations.Run(tx, invocations), insertSteps.Run(tx, steps), s.Mailbox.Put(tx, jobs...))
}

func newInvocation(c *command, t target) *invocation {
	return &invocation{
		CommandID: c.ID, NodeID: t.node.ID, NodeName: t.node.ComputerName, DocumentName: c.DocumentName, Requested: c.Requested, Status: t.status,
		Version: c.Version, Why: t.why, Code: -1,
	}
}

// job is the job of a command for a node's mailbox. The job's id is made
// from command and node, so no second one can be there. The message is empty:
// Job makes its payload when it is sent.
func (c *command) job(nodeID string) mailbox.Message {
	return mailbox.Message{Node: nodeID, ID: mgs.JobID(c.ID, nodeID), Kind: mgs.TypeAgentJob, Payload: []byte{}, Deadline: c.Expires}
}
