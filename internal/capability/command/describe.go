package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const mostTargets = 200 // of a page of DescribeCommandTargets, as the model says

// changes is where a page of targets ends: they come in the order of their last
// change.
type changes struct {
	Version int64  `json:"v"`
	Node    string `json:"n"`
}

// DescribeCommandTargets shows each node of a command, its state and why it has
// it. With SinceVersion only what has changed since that version; when nothing
// has, the answer waits up to WaitSeconds. A target that changes while its
// pages are read may come twice.
func (s *Service) DescribeCommandTargets(ctx context.Context, in *api.DescribeCommandTargetsInput) (*api.DescribeCommandTargetsOutput, error) {
	from := changes{Version: ptr.Value(in.SinceVersion)}
	if in.NextToken != nil {
		if err := page.Parse(*in.NextToken, &from); err != nil {
			return nil, &api.InvalidNextToken{Message: "The specified token is not valid."}
		}
	}
	var out *api.DescribeCommandTargetsOutput
	err := s.await(ctx, *in.CommandId, ptr.Value(in.WaitSeconds), func(tx *db.Tx) (ready bool, err error) {
		c, err := findCommand(tx, *in.CommandId, false)
		if err != nil {
			return false, err
		}
		if c == nil {
			return false, &api.DoesNotExistException{Message: "The command " + *in.CommandId + " does not exist."}
		}
		out, err = s.describe(tx, c, from, in)
		return c.Version > from.Version || c.Status.final(), err
	})
	return out, err
}

// await reads until what it reads is ready, or for a number of seconds. It is
// woken by the changes of the command.
func (s *Service) await(ctx context.Context, commandID string, seconds int32, read func(tx *db.Tx) (ready bool, err error)) error {
	news, stop := s.DB.Listen(topic(db.ScopeOf(ctx), commandID))
	defer stop()
	over := time.NewTimer(time.Duration(seconds) * time.Second)
	defer over.Stop()
	for {
		ready := false
		err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
			ready, err = read(tx)
			return err
		})
		if err != nil || ready || seconds == 0 {
			return err
		}
		select {
		case <-news:
		case <-over.C:
			seconds = 0
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) describe(tx *db.Tx, c *command, from changes, in *api.DescribeCommandTargetsInput) (*api.DescribeCommandTargetsOutput, error) {
	out := &api.DescribeCommandTargetsOutput{
		CommandId: &c.ID, Status: new(string(c.Status.commandStatus())), StatusDetails: new(string(c.Status)), Version: &c.Version,
		TargetCount: new(int32(c.Targets)), CompletedCount: new(int32(c.Tally.completed())), ErrorCount: new(int32(c.Tally.errors())),
		Targets: []api.CommandTarget{},
	}
	f := scoped(tx).And("command_id = ?", c.ID).And("(version > ? or version = ? and node_id > ?)", from.Version, from.Version, from.Node)
	if from.Node == "" && from.Version > 0 {
		f = scoped(tx).And("command_id = ?", c.ID).And("version > ?", from.Version)
	}
	size := page.Limit(in.MaxResults, mostTargets)
	list, err := listInvocations(tx, f, "version, node_id", size+1)
	if err != nil {
		return nil, err
	}
	if len(list) > size {
		list = list[:size]
		out.NextToken = new(page.Token(changes{list[size-1].Version, list[size-1].NodeID}))
	}
	nodes, err := s.pendingNodes(tx, list)
	if err != nil {
		return nil, err
	}
	for n := range list {
		t := list[n].target(c, nodes)
		if ptr.Value(in.IncludeOutput) && list[n].Status.final() {
			if err := s.addOutput(tx, &list[n], &t); err != nil {
				return nil, err
			}
		}
		out.Targets = append(out.Targets, t)
	}
	return out, nil
}

// pendingNodes is the nodes that have not taken their jobs, by id.
func (s *Service) pendingNodes(tx *db.Tx, list []invocation) (map[string]node.Node, error) {
	var ids []string
	for n := range list {
		if list[n].Status == pending && list[n].Dispatched {
			ids = append(ids, list[n].NodeID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	nodes, err := s.Nodes.Find(tx, ids)
	out := map[string]node.Node{}
	for _, n := range nodes {
		out[n.ID] = n
	}
	return out, err
}

func (i *invocation) target(c *command, nodes map[string]node.Node) api.CommandTarget {
	t := api.CommandTarget{
		InstanceId: &i.NodeID, Name: ptr.OrNil(i.NodeName), Status: new(string(i.Status.invocationStatus())), StatusDetails: new(string(i.Status)),
		Why: ptr.OrNil(i.why(c, nodes)), StartedAt: ptr.OrNil(i.Delivered), EndedAt: ptr.OrNil(i.Finished),
	}
	if i.Code >= 0 && i.Status.final() {
		t.ResponseCode = new(int32(i.Code))
	}
	if c.Wave > 0 {
		t.Wave = new(int32(c.Wave))
	}
	return t
}

// why tells the reason of an invocation's state.
func (i *invocation) why(c *command, nodes map[string]node.Node) string {
	n, known := nodes[i.NodeID]
	switch {
	case i.Why != "":
		return i.Why
	case i.Status == failed && i.Trace != "":
		return i.Trace
	case i.Status == failed && i.Code > 0:
		return fmt.Sprintf("a step ended with exit code %d", i.Code)
	case i.Status == pending && !i.Dispatched:
		return fmt.Sprintf("waits for its turn: at most %d at a time", max(1, c.MaxConcurrency))
	case i.Status == pending && known && !n.Online:
		return fmt.Sprintf("the node is not connected, it was last heard of at %s; tried until %s", n.LastPing.Format(time.RFC3339), c.Expires.Format(time.RFC3339))
	case i.Status == pending:
		return "sent, the node has not taken it yet"
	}
	return ""
}

// addOutput gives the output of an invocation whose steps' outputs are whole in
// their reports.
func (s *Service) addOutput(tx *db.Tx, i *invocation, t *api.CommandTarget) error {
	steps, err := s.listSteps(tx, i.CommandID, i.NodeID)
	if err != nil {
		return err
	}
	var stdout, stderr strings.Builder
	whole := true
	for n := range steps {
		st := &steps[n]
		whole = whole && st.whole()
		stdout.WriteString(st.Stdout)
		stderr.WriteString(st.Stderr)
	}
	t.StandardOutputContent, t.StandardErrorContent, t.OutputComplete = new(stdout.String()), new(stderr.String()), &whole
	return nil
}

// whole says that the report holds all that the step wrote.
func (st *step) whole() bool {
	return !strings.HasSuffix(st.Stdout, cutMark) && !strings.HasSuffix(st.Stderr, cutMark)
}
