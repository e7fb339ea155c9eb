package command

import (
	"context"
	"fmt"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Order is a command that is ready to be made: its document was read, its
// parameters were checked and sealed under its id.
type Order struct {
	ID      string
	in      *ssm.SendCommandInput
	plan    *plan
	allowed func(nodeID string) bool
}

// Prepare makes ready the command that in asks for, under an id of the
// caller's choice, outside a transaction. Nodes that in.Targets selects and may
// refuses are shown as AccessDenied by Resolve. The errors are those of
// SendCommand.
func (s *Service) Prepare(ctx context.Context, id string, may Permit, in *ssm.SendCommandInput) (*Order, error) {
	p, err := s.plan(ctx, id, in)
	if err != nil {
		return nil, err
	}
	allowed, err := s.authorize(ctx, may, in)
	return &Order{ID: id, in: in, plan: p, allowed: allowed}, err
}

// Version is the document's version, a number.
func (o *Order) Version() string { return o.plan.doc.Version }

// Target is a node that an order names or selects.
type Target struct {
	NodeID  string
	Online  bool
	Details string // Pending: it may run; else why it may not, as StatusDetails
	Why     string // for people
}

// Resolve finds the nodes of an order. The errors are those of SendCommand.
func (s *Service) Resolve(tx *db.Tx, o *Order) ([]Target, error) {
	if err := checkTargets(o.in); err != nil {
		return nil, err
	}
	list, err := s.targets(tx, o.in, o.plan.doc, o.allowed)
	out := make([]Target, len(list))
	for n, t := range list {
		out[n] = Target{NodeID: t.node.ID, Online: t.node.Online, Details: string(t.status), Why: t.why}
	}
	return out, err
}

// Launch makes an order's command for nodes that were authorized before, in
// the caller's transaction. Nodes that are gone are left out. A second Launch
// of the same id changes nothing.
func (s *Service) Launch(tx *db.Tx, o *Order, nodeIDs []string, wave int) error {
	c, err := findCommand(tx, o.ID, true)
	if err != nil || c != nil {
		return err
	}
	nodes, err := s.Nodes.Find(tx, nodeIDs)
	if err != nil {
		return err
	}
	targets := make([]target, len(nodes))
	for n := range nodes {
		targets[n] = target{node: nodes[n], status: pending}
		if !runsOn(o.plan.doc, nodes[n].PlatformType) {
			targets[n].status, targets[n].why = invalidPlatform, fmt.Sprintf("the document %s does not run on %s", o.plan.doc.Name, nodes[n].PlatformType)
		}
	}
	c = newCommand(o.ID, o.in, o.plan, tx.Now, len(targets))
	c.Wave, c.Spec.InstanceIds = wave, nodeIDs
	_, err = s.start(tx, c, o.plan, targets)
	return err
}

// Outcome is what became of a command on a node.
type Outcome struct {
	NodeID  string
	Details string // as StatusDetails
	Why     string
	Ran     bool // the node had the job, so it may have been changed
}

// Outcomes are those of all nodes of a command, in the order of their ids.
func (s *Service) Outcomes(tx *db.Tx, commandID string) ([]Outcome, error) {
	list, err := listInvocations(tx, scoped(tx).And("command_id = ?", commandID), "node_id", 0)
	out := make([]Outcome, len(list))
	for n := range list {
		i := &list[n]
		out[n] = Outcome{NodeID: i.NodeID, Details: string(i.Status), Why: i.why(&command{}, nil), Ran: !i.Delivered.IsZero() || i.Status == success || i.Status == failed || i.Status == executionTimedOut}
	}
	return out, err
}

// Withdraw takes back what of a command was not sent to its node. With stop
// the rest is asked to stop as well. A command that does not exist or is over
// stays as it is.
func (s *Service) Withdraw(tx *db.Tx, commandID string, stop bool) error {
	c, err := findCommand(tx, commandID, true)
	if err != nil || c == nil || c.Status.final() {
		return err
	}
	list, err := open(tx, commandID)
	if err != nil {
		return err
	}
	for n := range list {
		sent, err := s.maySend(tx, c, &list[n])
		if err == nil && (stop || !sent) {
			err = s.cancelOne(tx, c, &list[n])
		}
		if err != nil {
			return err
		}
	}
	return s.advance(tx, c)
}

// maySend says that the job of an invocation may be with its node.
func (s *Service) maySend(tx *db.Tx, c *command, i *invocation) (bool, error) {
	if !i.Dispatched {
		return false, nil
	}
	state, there, err := s.Mailbox.StateOf(tx, i.NodeID, mgs.JobID(c.ID, i.NodeID))
	return !there || state != mailbox.Queued, err
}
