package db

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned by Update and View after Close.
var ErrClosed = errors.New("db: closed")

// DB is an open store.
type DB struct {
	engine  engine
	pg      bool
	url     string
	texts   sync.Map // shared SQL text -> the engine's
	hooks   []func(*Tx) error
	signals signals
	stop    context.CancelFunc
	done    sync.WaitGroup
	closing sync.Once
	closed  error
	frozen  atomic.Pointer[error]
}

// engine is what differs between the two stores.
type engine interface {
	update(ctx context.Context, f func(*Tx) error, durable bool) error
	view(ctx context.Context, f func(*Tx) error) error
	close() error
}

// Open opens the store that url names: "sqlite:PATH" or "postgres://…". A SQLite
// file is made when there is none.
func Open(ctx context.Context, url string) (*DB, error) {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	d := &DB{url: url, stop: stop}
	var err error
	switch {
	case strings.HasPrefix(url, "sqlite:"):
		err = d.openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"))
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		d.pg = true
		err = d.openPostgres(ctx, life)
	default:
		err = errors.New(`db: the address must begin with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		stop()
		return nil, err
	}
	return d, nil
}

// Postgres says that the store is PostgreSQL, which other hubs may share.
func (d *DB) Postgres() bool { return d.pg }

// Close waits for the transactions under way and closes the store.
func (d *DB) Close() error {
	d.closing.Do(func() {
		d.stop()
		d.closed = d.engine.close()
		d.done.Wait()
	})
	return d.closed
}

// BeforeCommit adds a hook that runs inside each Update after its closure
// succeeded. Hooks are added before the store is used.
func (d *DB) BeforeCommit(hook func(*Tx) error) { d.hooks = append(d.hooks, hook) }

// Update runs f in a durable transaction: when Update returns nil, what f wrote
// survives a crash. An error of f rolls it back and is returned as it is.
func (d *DB) Update(ctx context.Context, f func(*Tx) error) error { return d.change(ctx, f, true) }

// UpdateLoosely is Update without waiting for the disk: what f wrote survives the end
// of this process, but a failure of the machine may undo it, unless an Update came
// after it. It is for what may as well not have happened, such as a lease.
func (d *DB) UpdateLoosely(ctx context.Context, f func(*Tx) error) error {
	return d.change(ctx, f, false)
}

func (d *DB) change(ctx context.Context, f func(*Tx) error, durable bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.frozen.Load(); err != nil {
		return *err
	}
	return explain(d.engine.update(ctx, f, durable))
}

// View runs f in a read-only transaction on one snapshot.
func (d *DB) View(ctx context.Context, f func(*Tx) error) error { return d.engine.view(ctx, f) }

// apply runs f and the hooks on a fresh Tx over c.
func (d *DB) apply(ctx context.Context, c conn, f func(*Tx) error) (*Tx, error) {
	tx := d.newTx(ctx, c)
	if err := f(tx); err != nil {
		return nil, err
	}
	for _, hook := range d.hooks {
		if err := hook(tx); err != nil {
			return nil, err
		}
	}
	return tx, nil
}

func (d *DB) newTx(ctx context.Context, c conn) *Tx {
	return &Tx{Now: time.Now().UTC().Truncate(time.Microsecond), Scope: ScopeOf(ctx), ctx: ctx, db: d, conn: c}
}
