package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

const (
	postgresConns = 24
	maxRetries    = 8
)

type postgres struct {
	db   *DB
	pool *sql.DB
}

func (d *DB) openPostgres(ctx, life context.Context) error {
	pool, err := sql.Open("pgx", d.url)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresConns)
	if err := pool.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("db: %w", err), pool.Close())
	}
	c, err := d.subscribe(ctx)
	if err != nil {
		return errors.Join(err, pool.Close())
	}
	d.engine = &postgres{db: d, pool: pool}
	d.done.Go(func() { d.listen(life, c) })
	return nil
}

func (p *postgres) close() error { return p.pool.Close() }

func (p *postgres) view(ctx context.Context, f func(*Tx) error) error {
	stx, err := p.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	defer func() { _ = stx.Rollback() }()
	return f(p.db.newTx(ctx, stx))
}

func (p *postgres) update(ctx context.Context, f func(*Tx) error, durable bool) error {
	if !durable {
		f = loosely(f)
	}
	for try := 0; ; try++ {
		err := p.once(ctx, f)
		if err == nil || try == maxRetries || !mayRetry(err) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// loosely lets a transaction end before the server has it on disk.
func loosely(f func(*Tx) error) func(*Tx) error {
	return func(tx *Tx) error {
		if _, err := tx.Exec("set local synchronous_commit = off"); err != nil {
			return err
		}
		return f(tx)
	}
}

func (p *postgres) once(ctx context.Context, f func(*Tx) error) error {
	stx, err := p.pool.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	defer func() { _ = stx.Rollback() }()
	tx, err := p.db.apply(ctx, stx, f)
	if err != nil {
		return err
	}
	if err := stx.Commit(); err != nil {
		return fmt.Errorf("db: commit: %w", err)
	}
	tx.committed()
	return nil
}

// mayRetry tells serialization failures and deadlocks from other errors.
func mayRetry(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}

func pause(ctx context.Context, try int) error {
	t := time.NewTimer(time.Duration(rand.Int64N(int64(time.Millisecond) << try)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// subscribe opens the connection that hears the server's notifications.
func (d *DB) subscribe(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	if _, err := c.Exec(ctx, "listen "+notifyChannel); err != nil {
		return nil, errors.Join(fmt.Errorf("db: %w", err), c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// listen passes the server's notifications on to the in-process signals, and
// connects again when the connection breaks. Everybody is woken after each new
// connection, because what came meanwhile was missed.
func (d *DB) listen(ctx context.Context, c *pgx.Conn) {
	for try := 0; ; try = min(try+1, 10) {
		if c != nil {
			d.relay(ctx, c)
			try = 0
		}
		if pause(ctx, try) != nil {
			return
		}
		if c, _ = d.subscribe(ctx); c != nil {
			d.signals.sendAll()
		}
	}
}

// relay passes notifications on until the connection breaks.
func (d *DB) relay(ctx context.Context, c *pgx.Conn) {
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return
		}
		d.signals.send(n.Payload)
	}
}
