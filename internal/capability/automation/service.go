package automation

import (
	"context"
	"embed"
	"log/slog"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var files embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "automation", FS: files}

// Roles gives the identity that steps call under.
type Roles interface {
	// AssumeRole answers a context whose caller is a session of the role.
	AssumeRole(ctx context.Context, roleARN, sessionName string) (context.Context, error)
	// Resume answers a context whose caller is the principal as it is now, within
	// the bounds of the session that it started the work in.
	Resume(ctx context.Context, principalARN, session string) (context.Context, error)
}

// Sealer keeps at rest what steps read and write. What it seals opens only with
// the same aad.
type Sealer interface {
	Seal(ctx context.Context, plaintext []byte, aad string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, aad string) ([]byte, error)
}

// Service is the automation capability.
type Service struct {
	DB        *db.DB
	Tasks     *task.Engine
	Journal   *journal.Journal
	Sealer    Sealer
	Documents *document.Service
	Roles     Roles
	Caller    wire.Caller
	Log       *slog.Logger

	// PassRole refuses when the caller of ctx may not give the role to a runbook.
	PassRole func(ctx context.Context, roleARN string) error

	parsed *cache
}

// New adds the service's task kinds and subscriptions, and lets executions be
// tagged.
func New(s Service) *Service {
	s.parsed = &cache{}
	s.Tasks.Handle("automation.begin", s.begin)
	s.Tasks.Handle("automation.run", s.run)
	s.Tasks.Handle("automation.collect", s.collect)
	s.Tasks.Handle("automation.timer", s.timer)
	s.Tasks.Handle("automation.wake", s.wake)
	s.Tasks.HandleWith("automation.interrupt", task.Options{MaxAttempts: 5}, s.interrupt)
	s.Tasks.Handle("automation.unwind", s.unwind)
	s.Journal.Subscribe(journal.Subscription{
		Name: "automation.far", Kinds: []string{"command.finished", "automation.finished"}, Handle: s.farEnded,
	})
	tagging.Register(tagKind, func(tx *db.Tx, id string) error {
		ex, err := s.findExecution(tx, id, false)
		if err == nil && ex == nil {
			err = &ssm.InvalidResourceId{Message: "No automation execution has the id " + id + "."}
		}
		return err
	})
	return &s
}
