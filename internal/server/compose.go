package server

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/file"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Names of files in the data directory.
const (
	sealFile     = "seal.key"
	linkFile     = "link.key"
	placeFile    = "place.id"
	regionFile   = "region"
	identityFile = "identity.yaml"
	intakeFile   = "intake.yaml"
)

// hub is everything that runs.
type hub struct {
	cfg        Config
	log        *slog.Logger
	db         *db.DB
	blobs      *blob.Store
	platform   platform
	all        capabilities
	router     *wire.Router
	background map[string]func(context.Context) error
	ready      atomic.Bool
	frozen     error
	metrics    *metrics
	limits     *limits
}

// platform is what the capabilities stand on.
type platform struct {
	sealer   *seal.Sealer
	journal  *journal.Journal
	tasks    *task.Engine
	audit    *audit.Service
	identity *identity.Service
	authz    *authz.Authorizer
	mailbox  *mailbox.Mailbox
	locks    *lock.Service
	linkKey  []byte
}

// compose opens the platform and the capabilities on a store.
func compose(ctx context.Context, cfg Config, d *db.DB, log *slog.Logger) (*hub, error) {
	h := &hub{cfg: cfg, log: log, db: d, metrics: newMetrics(), limits: newLimits(cfg.Connections, cfg.AddressConnections)}
	if err := d.Migrate(ctx, migrations); err != nil {
		return nil, err
	}
	if err := h.openBlobs(ctx); err != nil {
		return nil, err
	}
	if err := h.openPlatform(ctx); err != nil {
		return nil, err
	}
	if err := h.openCapabilities(); err != nil {
		return nil, err
	}
	if err := h.openRouter(); err != nil {
		return nil, err
	}
	if err := h.bootstrap(ctx); err != nil {
		return nil, err
	}
	h.metrics.register(h.platform.tasks.Collectors()...)
	h.metrics.register(h.limits.collectors()...)
	h.metrics.register(h.all.intake.Collectors()...)
	h.background = map[string]func(context.Context) error{
		"identity": h.platform.identity.Watch,
	}
	if h.frozen == nil {
		h.background["tasks"] = h.platform.tasks.Start
		h.background["journal"] = h.platform.journal.Start
		h.background["audit"] = h.platform.audit.Start
		h.background["blobs"] = h.blobs.Sweep
		if c := h.newClock(); c != nil {
			c.check(ctx) // before the first task
			h.background["clock"] = c.watch
		}
		h.addBackground()
	}
	return h, nil
}

func (h *hub) openPlatform(ctx context.Context) (err error) {
	p, dir := &h.platform, h.cfg.Data
	if p.sealer, err = seal.OpenFile(filepath.Join(dir, sealFile)); err != nil {
		return err
	}
	if p.linkKey, err = file.Key(filepath.Join(dir, linkFile)); err != nil {
		return err
	}
	signer, err := journal.OpenSigner(dir)
	if err != nil {
		return err
	}
	if err := h.checkKeys(ctx); err != nil {
		return err
	}
	p.journal = journal.New(h.db, signer, h.log)
	if err := h.checkHead(ctx); err != nil {
		return err
	}
	if p.tasks, err = h.openTasks(); err != nil {
		return err
	}
	p.mailbox = mailbox.New(h.db)
	p.locks = lock.New(h.db, p.tasks, p.journal, h.log)
	if err := p.locks.Load(ctx); err != nil {
		return err
	}
	p.authz = authz.New(h.tagsOf)
	p.authz.NodeRole = h.nodeRole
	p.authz.Locks = locks{p.locks}
	p.identity, err = identity.Open(ctx, identity.Config{
		DB: h.db, Journal: p.journal, Sealer: p.sealer, Account: h.cfg.Account, Regions: h.cfg.Regions,
		File: filepath.Join(dir, identityFile), Managed: authz.Managed, Logger: h.log,
	})
	if err != nil {
		return err
	}
	p.audit = audit.New(audit.Service{DB: h.db, Journal: p.journal, Tasks: p.tasks, Sealer: p.sealer, Log: h.log, Classify: classify, Repeatable: repeatable})
	return nil
}

// checkHead refuses changes when the store is older than the head kept outside.
func (h *hub) checkHead(ctx context.Context) error {
	err := h.platform.journal.CheckHead(ctx)
	if !errors.Is(err, journal.ErrHead) {
		return err
	}
	h.frozen = err
	h.log.ErrorContext(ctx, "changes are refused: the store is not the one that the journal's head tells of", "error", err)
	h.db.Freeze(fault.Unavailable("The hub refuses changes: its store does not hold what the signed head of its journal says."))
	return nil
}

// openTasks makes the engine. The lock on the data directory keeps it the only one of
// its place; a copy of the directory on another machine is another place.
func (h *hub) openTasks() (*task.Engine, error) {
	e := task.New(h.db, h.log)
	if !dataLocked {
		return e, nil
	}
	id, err := file.Key(h.path(placeFile))
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err == nil {
		e.Place(hex.EncodeToString(id[:16]) + "@" + host + ":" + h.cfg.Data)
	}
	return e, err
}

// openRouter makes the front door.
func (h *hub) openRouter() error {
	p := &h.platform
	h.router = wire.NewRouter(wire.Config{
		Models: models, Bindings: bindings(&h.all), Raw: h.all.gateway.Raw(),
		Authenticate: func(r *http.Request, body []byte) (context.Context, string, error) {
			return p.identity.Authenticate(r, body)
		},
		Authorize: func(ctx context.Context, m *shape.Model, op *shape.Operation, input any) (context.Context, error) {
			return p.authz.Authorize(ctx, m.SigningName, op.Name, input)
		},
		AuthorizeRaw: func(ctx context.Context, service, operation string, input map[string]any) (context.Context, error) {
			return p.authz.Authorize(ctx, service, operation, input)
		},
		Around: p.audit.Around, Large: p.identity.HoldsNodeToken, Observe: h.observe, Logger: h.log,
	})
	h.all.caller.router.Store(h.router)
	return nil
}

// observe counts and records a call that is over.
func (h *hub) observe(ctx context.Context, c wire.Call) {
	h.metrics.observe(c)
	if h.frozen == nil {
		h.platform.audit.Observe(ctx, c)
	}
}

// lateCaller is the front door for those who are made before it.
type lateCaller struct{ router atomic.Pointer[wire.Router] }

// Call calls an operation through the front door.
func (l *lateCaller) Call(ctx context.Context, service, operation string, input []byte) ([]byte, error) {
	return l.router.Load().Call(ctx, service, operation, input)
}

// bootstrap makes the first administrator's key and keeps what clients need.
func (h *hub) bootstrap(ctx context.Context) error {
	if err := file.Write(filepath.Join(h.cfg.Data, regionFile), []byte(h.cfg.HomeRegion()+"\n"), 0o644); err != nil {
		return err
	}
	if h.frozen != nil {
		return nil
	}
	var fixed *[2]string
	if id, secret, ok := strings.Cut(h.cfg.AdminKey, ":"); ok {
		fixed = &[2]string{id, secret}
	}
	ctx = journal.WithActor(db.WithScope(ctx, db.Scope{Account: h.cfg.Account}), "watchbill")
	id, secret, made, err := h.platform.identity.Bootstrap(ctx, fixed)
	if err != nil || !made && fixed == nil {
		return err
	}
	return writeCredentials(h.cfg.Data, id, secret)
}

// classify says how a call is recorded, from the table of operations.
func classify(service, operation string, input any) audit.Class {
	row, ok := authz.Lookup(service, operation)
	switch {
	case !ok:
		return audit.Read
	case row.Mutating:
		return audit.Mutation
	case row.SecretOut && revealing(input):
		return audit.SecretRead
	}
	return audit.Read
}

// repeatable are the operations that recognize their own repetition: the id of what
// they make follows from the invocation id, or they keep the client token with it.
func repeatable(service, operation string) bool {
	switch service + ":" + operation {
	case "ssm:SendCommand", "ssm:StartAutomationExecution", "ssm-contacts:StartEngagement", "ssm-contacts:CreateContact", "ssm-contacts:CreateContactChannel":
		return true
	}
	return false
}
