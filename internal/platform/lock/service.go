package lock

import (
	"context"
	"embed"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "lock", FS: migrateFS}

const (
	topic      = "lock"
	lookEvery  = time.Second // the net under the wake-ups
	expireTask = "lock.expire"
)

// Service keeps the locks of a store. Methods of a nil Service that ask for locks
// find none. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	tasks   *task.Engine
	journal *journal.Journal
	log     *slog.Logger
	known   atomic.Pointer[[]Lock]
}

// New makes the service and registers its tasks. Run keeps its copy of the locks
// up to date.
func New(d *db.DB, tasks *task.Engine, j *journal.Journal, log *slog.Logger) *Service {
	s := &Service{db: d, tasks: tasks, journal: j, log: log}
	tasks.Handle(expireTask, s.expire)
	return s
}

// Operations are the operations that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		watchbill.BindCreateLock(s.CreateLock),
		watchbill.BindDeleteLock(s.DeleteLock),
		watchbill.BindListLocks(s.ListLocks),
	}
}

// Load reads the locks. It is called before the first decision.
func (s *Service) Load(ctx context.Context) error {
	var all []Lock
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		all, err = list(tx, &db.Filter{}, 0)
		return err
	})
	if err == nil {
		s.known.Store(&all)
	}
	return err
}

// Run reads the locks anew when they change, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	news, stop := s.db.Listen(topic)
	defer stop()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-news:
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		if err := s.Load(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "locks cannot be read; those known stay in force", "error", err)
		}
	}
}

// Locked says that a lock names the principal.
func (s *Service) Locked(p Principal) bool { return s.any(func(l *Lock) bool { return l.Names(p) }) }

// Resource says that a lock is on a node, by its id, or on a document, by its name.
func (s *Service) Resource(scope db.Scope, kind Kind, id string) bool {
	return s.any(func(l *Lock) bool { return l.Covers(scope, kind, id) })
}

// ARN says that a lock is on a resource by its ARN. Documents of AWS have no account
// in theirs: account is then that of the caller.
func (s *Service) ARN(account, name string) bool {
	known := s.all()
	if len(known) == 0 {
		return false
	}
	a, err := arn.Parse(name)
	if err != nil {
		return false
	}
	if a.Account == "" {
		a.Account = account
	}
	kind, id := a.Type()
	of, ok := map[string]Kind{"managed-instance": ManagedInstance, "instance": ManagedInstance, "document": Document, "automation-definition": Document}[kind]
	if !ok {
		return false
	}
	if kind == "automation-definition" {
		id = cutVersion(id)
	}
	return s.Resource(db.Scope{Account: a.Account, Region: a.Region}, of, id)
}

func cutVersion(id string) string {
	for i := range len(id) {
		if id[i] == ':' {
			return id[:i]
		}
	}
	return id
}

func (s *Service) any(f func(*Lock) bool) bool {
	known := s.all()
	for i := range known {
		l := &known[i]
		if f(l) && (l.Expires.IsZero() || time.Now().Before(l.Expires)) {
			return true
		}
	}
	return false
}

func (s *Service) all() []Lock {
	if s == nil {
		return nil
	}
	p := s.known.Load()
	if p == nil {
		return nil
	}
	return *p
}
