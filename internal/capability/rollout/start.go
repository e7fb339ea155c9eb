package rollout

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

var idSpace = uuid.MustParse("c1d6ab0e-0f3b-4a53-9d0e-50a6de1f7d21")

// StartRollout starts a rollout. The documents and parameters of all its
// commands are checked now, and the versions that they have now are the ones
// that run. The same client token answers the same rollout.
func (s *Service) StartRollout(ctx context.Context, in *api.StartRolloutInput) (*api.StartRolloutOutput, error) {
	id, request, err := identify(ctx, in)
	if err != nil {
		return nil, err
	}
	o := ordersOf(in)
	order, err := s.check(ctx, id, in, o)
	if err != nil {
		return nil, err
	}
	sealed, err := s.sealOrders(ctx, id, o)
	if err != nil {
		return nil, err
	}
	out := &api.StartRolloutOutput{RolloutId: &id}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		old, err := findRollout(tx, id, true)
		if err != nil || old != nil {
			return sameRequest(old, request, err)
		}
		r := &rollout{ID: id, Request: request, Requested: tx.Now, RequestedBy: journal.ActorOf(ctx), Version: 1, Orders: sealed}
		return s.open(tx, r, in, order)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// identify makes the id of a rollout from the client token, if there is one, and
// the hash of the request.
func identify(ctx context.Context, in *api.StartRolloutInput) (id, request string, err error) {
	b, err := json.Marshal(in)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(b)
	if in.ClientToken == nil {
		return uuid.NewString(), hex.EncodeToString(sum[:]), nil
	}
	scope := db.ScopeOf(ctx)
	key := strings.Join([]string{scope.Account, scope.Region, journal.ActorOf(ctx), *in.ClientToken}, "\x00")
	return uuid.NewSHA1(idSpace, []byte(key)).String(), hex.EncodeToString(sum[:]), nil
}

func sameRequest(old *rollout, request string, err error) error {
	if err == nil && old.Request != request {
		err = &api.ConflictException{Message: "The client token was used for another rollout."}
	}
	return err
}

func ordersOf(in *api.StartRolloutInput) *orders {
	return &orders{Command: in.Command, Health: in.HealthCheck, RollBack: in.RollBack, MaxConcurrency: in.MaxConcurrency, TimeoutSeconds: in.TimeoutSeconds}
}

// check reads all documents, and pins their versions. The order that it answers
// is the one that finds the nodes.
func (s *Service) check(ctx context.Context, id string, in *api.StartRolloutInput, o *orders) (*command.Order, error) {
	targets := make([]ssm.Target, len(in.Targets))
	for i, t := range in.Targets {
		targets[i] = ssm.Target{Key: t.Key, Values: t.Values}
	}
	var first *command.Order
	for _, part := range []**api.RolloutCommand{&o.Command, &o.Health, &o.RollBack} {
		if *part == nil {
			continue
		}
		send := o.input(*part)
		if part == &o.Command {
			send.InstanceIds, send.Targets = in.InstanceIds, targets
		}
		order, err := s.Commands.Prepare(ctx, id, s.may, send)
		if err != nil {
			return nil, err
		}
		pinned := **part
		pinned.DocumentVersion = new(order.Version())
		*part = &pinned
		first = cmp.Or(first, order)
	}
	return first, nil
}

// may asks whether the caller may start a rollout on a node.
func (s *Service) may(ctx context.Context, nodeARN string) error {
	if s.Allow == nil {
		return nil
	}
	return s.Allow(ctx, "watchbill:StartRollout", nodeARN)
}

// input is the call that a command of the rollout is like, without its nodes.
func (o *orders) input(c *api.RolloutCommand) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{
		DocumentName: c.DocumentName, DocumentVersion: c.DocumentVersion, Parameters: c.Parameters, MaxConcurrency: o.MaxConcurrency, TimeoutSeconds: o.TimeoutSeconds,
	}
}

// open keeps a rollout and begins its first wave.
func (s *Service) open(tx *db.Tx, r *rollout, in *api.StartRolloutInput, order *command.Order) error {
	nodes, err := s.Commands.Resolve(tx, order)
	if err != nil {
		return err
	}
	wanted := in.Waves
	if wanted == nil {
		wanted = defaultWaves
	}
	list, waves := allot(nodes, wanted)
	usable := 0
	for _, w := range waves {
		usable += w.Targets
	}
	if usable == 0 {
		return fault.Validation("The targets select no node that the document can run on.")
	}
	maxErrors := cmp.Or(ptr.Value(in.MaxErrors), "0")
	r.State = state{
		Status: api.RolloutStatusPending, Waves: waves, Budget: budget(maxErrors, len(nodes)), Health: in.HealthCheck != nil, RollBack: in.RollBack != nil,
	}
	r.Spec = spec{
		DocumentName: *in.Command.DocumentName, DocumentVersion: order.Version(), Comment: ptr.Value(in.Comment), MaxErrors: maxErrors,
		Targets: len(nodes), Times: make([]times, len(waves)),
	}
	if err := insertRollout(tx, r); err != nil {
		return err
	}
	if err := saveTargets(tx, r.ID, list); err != nil {
		return err
	}
	if err := s.record(tx, "rollout.started", r, map[string]any{"targets": len(nodes), "waves": len(waves), "comment": r.Spec.Comment}); err != nil {
		return err
	}
	return s.apply(tx, r, event{Kind: started})
}
