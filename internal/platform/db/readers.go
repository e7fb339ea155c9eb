package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

const (
	maxReaders       = 8
	readerStatements = 128
)

// readers are the connections of SQLite that Views run on. The one used last is
// taken first: its statements and its pages are the warmest.
type readers struct {
	db    *DB
	pool  *sql.DB
	slots chan struct{} // one for each View under way

	mu   sync.Mutex
	idle []*reader
	shut bool
}

// reader is one connection with its statements.
type reader struct{ prepared }

func newReaders(d *DB, pool *sql.DB) *readers {
	pool.SetMaxOpenConns(maxReaders)
	pool.SetMaxIdleConns(maxReaders)
	return &readers{db: d, pool: pool, slots: make(chan struct{}, maxReaders)}
}

func (p *readers) view(ctx context.Context, f func(*Tx) error) error {
	r, err := p.take(ctx)
	if err != nil {
		return err
	}
	if err := r.exec("begin"); err != nil {
		p.discard(r)
		return fmt.Errorf("db: %w", err)
	}
	defer p.giveBack(r)
	return f(p.db.newTx(ctx, r))
}

func (p *readers) take(ctx context.Context) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := p.pop(ctx)
	if err != nil {
		<-p.slots
	}
	return r, err
}

func (p *readers) pop(ctx context.Context) (*reader, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return nil, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return r, nil
	}
	c, err := p.pool.Conn(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	return &reader{newPrepared(c, readerStatements)}, nil
}

// giveBack ends the transaction of a reader. One that cannot end it
// is not used again.
func (p *readers) giveBack(r *reader) {
	if err := r.exec("rollback"); err != nil {
		p.discard(r)
		return
	}
	p.mu.Lock()
	shut := p.shut
	if !shut {
		p.idle = append(p.idle, r)
	}
	p.mu.Unlock()
	if shut {
		p.discard(r)
		return
	}
	<-p.slots
}

func (p *readers) discard(r *reader) {
	r.forget()
	_ = r.conn.Close()
	<-p.slots
}

func (p *readers) close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.shut = nil, true
	p.mu.Unlock()
	var errs []error
	for _, r := range idle {
		r.forget()
		errs = append(errs, r.conn.Close())
	}
	return errors.Join(append(errs, p.pool.Close())...)
}
