package rollout

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "rollout", FS: migrateFS}

// Service serves the operations on rollouts. It is safe for concurrent use.
type Service struct {
	DB       *db.DB
	Tasks    *task.Engine
	Journal  *journal.Journal
	Commands *command.Service
	Sealer   command.Sealer // of orders, whose parameters may hold secrets

	// Allow says whether the caller of ctx may do the action on resources
	// (ARNs), for nodes that targets select. Nil allows all.
	Allow func(ctx context.Context, action string, resources ...string) error
}

// New completes a service and registers its tasks and subscription.
func New(s Service) *Service {
	out := &s
	s.Tasks.Handle(launchTask, out.launch)
	s.Tasks.Handle(bakeTask, out.bakeIsOver)
	s.Journal.Subscribe(journal.Subscription{Name: "rollout.commands", Kinds: []string{"command.finished"}, Handle: out.commandIsOver})
	return out
}

// Operations are the operations that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		api.BindStartRollout(s.StartRollout),
		api.BindGetRollout(s.GetRollout),
		api.BindListRollouts(s.ListRollouts),
		api.BindHaltRollout(s.HaltRollout),
		api.BindResumeRollout(s.ResumeRollout),
		api.BindRollBackRollout(s.RollBackRollout),
	}
}

func (s *Service) record(tx *db.Tx, kind string, r *rollout, body map[string]any) error {
	full := map[string]any{"rolloutId": r.ID, "documentName": r.Spec.DocumentName, "status": r.State.Status}
	for k, v := range body {
		full[k] = v
	}
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: r.ID, Body: full})
}

func sealPlace(scope db.Scope, id string) string {
	return "rollout_rollout/" + scope.Account + "/" + scope.Region + "/" + id
}

func (s *Service) sealOrders(ctx context.Context, id string, o *orders) ([]byte, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return s.Sealer.Seal(ctx, b, sealPlace(db.ScopeOf(ctx), id))
}

func (s *Service) openOrders(ctx context.Context, r *rollout) (o orders, err error) {
	b, err := s.Sealer.Open(ctx, r.Orders, sealPlace(db.ScopeOf(ctx), r.ID))
	if err != nil {
		return o, fmt.Errorf("rollout: orders of %s: %w", r.ID, err)
	}
	return o, json.Unmarshal(b, &o)
}

func errUnknown(id string) error {
	return &api.DoesNotExistException{Message: "The rollout " + id + " does not exist."}
}
