package identity

import (
	"context"
	"crypto/cipher"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations are the tables of this package.
var Migrations = db.Migrations{Name: "identity", FS: migrateFS}

// AdminUser is the user that Bootstrap makes a key for.
const AdminUser = "admin"

// refresh is how often the identity file and the rows of other replicas are looked at.
const refresh = 2 * time.Second

// Sealer encrypts secrets for a place; *seal.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, plaintext []byte, aad string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, aad string) ([]byte, error)
}

// Config is what the service stands on.
type Config struct {
	DB      *db.DB
	Journal *journal.Journal // nil: nothing is recorded
	Sealer  Sealer
	Account string   // twelve digits
	Regions []string // served; the first one is home
	File    string   // identity.yaml; "" or a missing file defines nobody
	Managed func(arn string) (*iampolicy.Policy, bool)
	Logger  *slog.Logger
}

// Service knows users, roles and credentials.
type Service struct {
	config   Config
	state    atomic.Pointer[state]
	revoked  atomic.Pointer[map[string]time.Time] // principal -> sessions from before are over
	verifier sigv4.Verifier
	aead     cipher.AEAD // seals session tokens
	keys     cache[cachedKey]
	sessions cache[*session]

	mu       sync.Mutex
	stamp    stamp
	loaded   time.Time
	problem  error
	warnings []string
}

// stamp tells one content of the file from the next.
type stamp struct {
	modified time.Time
	size     int64
	mode     fs.FileMode
}

// Open starts the service on a migrated store. A bad identity file is no error:
// the service runs with nobody but the administrator, and Status tells why.
func Open(ctx context.Context, c Config) (*Service, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{config: c}
	s.state.Store(newState())
	if err := s.openSessionKey(ctx); err != nil {
		return nil, fmt.Errorf("identity: session key: %w", err)
	}
	if err := s.loadRevocations(ctx); err != nil {
		return nil, fmt.Errorf("identity: revocations: %w", err)
	}
	if err := s.Reload(ctx); err != nil {
		c.Logger.ErrorContext(ctx, "identity file refused", slog.Any("err", err))
	}
	return s, nil
}

// scoped is the scope of this package's rows: identities have no region.
func (s *Service) scoped(ctx context.Context) context.Context {
	return db.WithScope(ctx, db.Scope{Account: s.config.Account})
}

// Status tells when the identity file was read with success, what its policies
// were warned for, and why its present content is refused (nil when it is not).
func (s *Service) Status() (loaded time.Time, warnings []string, problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded, s.warnings, s.problem
}

// Reload reads the identity file now. On an error, which names the line and the
// reason, the last good content stays in force.
func (s *Service) Reload(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, now, err := s.readFile()
	s.stamp = now
	if err == nil {
		var next *state
		if next, err = s.read(data); err == nil {
			s.state.Store(next)
			s.loaded, s.warnings, s.problem = time.Now(), next.warnings, nil
			return nil
		}
	}
	s.problem = fmt.Errorf("identity: %s: %w", s.config.File, err)
	return s.problem
}

func (s *Service) readFile() ([]byte, stamp, error) {
	now := s.look()
	if s.config.File == "" {
		return nil, now, nil
	}
	info, err := os.Stat(s.config.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, now, nil
	}
	if err == nil && info.Mode().Perm()&0o002 != 0 {
		return nil, now, errors.New("everybody can write the file, and so become anybody: chmod o-w")
	}
	if err != nil {
		return nil, now, err
	}
	data, err := os.ReadFile(s.config.File)
	return data, now, err
}

func (s *Service) look() stamp {
	info, err := os.Stat(s.config.File)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size(), info.Mode()}
}

// Watch follows the identity file and the revocations of other replicas until
// ctx ends.
func (s *Service) Watch(ctx context.Context) error {
	t := time.NewTicker(refresh)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			s.tick(ctx)
		}
	}
}

func (s *Service) tick(ctx context.Context) {
	if err := s.loadRevocations(ctx); err != nil && ctx.Err() == nil {
		s.config.Logger.WarnContext(ctx, "revocations not read", slog.Any("err", err))
	}
	s.mu.Lock()
	same := s.look() == s.stamp
	s.mu.Unlock()
	if same {
		return
	}
	if err := s.Reload(ctx); err != nil {
		s.config.Logger.ErrorContext(ctx, "identity file refused", slog.Any("err", err))
		return
	}
	s.config.Logger.InfoContext(ctx, "identity file read")
}

// record leaves a fact, when there is a journal.
func (s *Service) record(tx *db.Tx, kind, subject string, body any) error {
	if s.config.Journal == nil {
		return nil
	}
	return s.config.Journal.Record(tx, journal.Fact{Kind: kind, Subject: subject, Body: body})
}

// Principal is a user or an assumed role, by the ARN that a Caller had, with
// today's policies: for work that goes on after its request. It carries no
// session policies. False when there is no such principal any more.
func (s *Service) Principal(arn string) (Caller, bool) {
	if name, ok := strings.CutPrefix(arn, "arn:aws:iam::"+s.config.Account+":user/"); ok {
		return s.user(name)
	}
	rest, ok := strings.CutPrefix(arn, "arn:aws:sts::"+s.config.Account+":assumed-role/")
	name, session, full := strings.Cut(rest, "/")
	if !ok || !full {
		return Caller{}, false
	}
	role, ok := s.Role("arn:aws:iam::" + s.config.Account + ":role/" + name)
	if !ok {
		return Caller{}, false
	}
	return role.caller(s.config.Account, session), true
}

func (r *RoleInfo) caller(account, session string) Caller {
	return Caller{
		ARN: "arn:aws:sts::" + account + ":assumed-role/" + r.Name + "/" + session, Account: account,
		UserID: r.ID + ":" + session, Kind: Role, SessionName: session, Tags: r.Tags, Policies: r.Policies,
	}
}
