package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	maxGroup         = 256 // transactions that share one commit
	writerStatements = 512
)

const sqlitePragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)"

type sqlite struct {
	prepared // of the writer's connection
	db       *DB
	pool     *sql.DB
	readers  *readers
	loose    bool // the connection does not wait for the disk
	queue    chan *request
	gate     sync.RWMutex // held for reading while a request is handed in
	shut     bool
}

// request is one Update on its way through the writer.
type request struct {
	ctx     context.Context
	f       func(*Tx) error
	durable bool
	tx      *Tx
	err     error
	panic   any
	done    chan struct{}
}

func (d *DB) openSQLite(ctx context.Context, path string) error {
	// Its log and index take over the mode of the store.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + sqlitePragmas
	pool, err := sql.Open("sqlite", name)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	pool.SetMaxOpenConns(1)
	c, err := pool.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("db: open %s: %w", path, err), pool.Close())
	}
	reading, err := sql.Open("sqlite", name+"&_pragma=query_only(1)")
	if err != nil {
		return errors.Join(fmt.Errorf("db: %w", err), pool.Close())
	}
	s := &sqlite{db: d, pool: pool, prepared: newPrepared(c, writerStatements), readers: newReaders(d, reading), queue: make(chan *request, maxGroup)}
	d.engine = s
	d.done.Go(s.run)
	return nil
}

func (s *sqlite) update(ctx context.Context, f func(*Tx) error, durable bool) error {
	r := &request{ctx: ctx, f: f, durable: durable, done: make(chan struct{})}
	s.gate.RLock()
	if s.shut {
		s.gate.RUnlock()
		return ErrClosed
	}
	s.queue <- r
	s.gate.RUnlock()
	<-r.done
	if r.panic != nil {
		panic(r.panic)
	}
	if r.err == nil {
		r.tx.committed()
	}
	return r.err
}

func (s *sqlite) close() error {
	s.gate.Lock()
	s.shut = true
	close(s.queue)
	s.gate.Unlock()
	s.db.done.Wait()
	return errors.Join(s.readers.close(), s.conn.Close(), s.pool.Close())
}

func (s *sqlite) view(ctx context.Context, f func(*Tx) error) error { return s.readers.view(ctx, f) }

// run is the one writer: it takes what waits and commits it together.
func (s *sqlite) run() {
	for r := range s.queue {
		group := s.gather(r)
		s.commit(group)
		for _, r := range group {
			close(r.done)
		}
	}
}

func (s *sqlite) gather(first *request) []*request {
	group := []*request{first}
	for len(group) < maxGroup {
		select {
		case r, ok := <-s.queue:
			if !ok {
				return group
			}
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

func (s *sqlite) commit(group []*request) {
	if len(group) == 0 {
		return
	}
	if err := s.begin(group); err != nil {
		failAll(group, err)
		return
	}
	wrote := false
	for i, r := range group {
		if err := s.one(r); err != nil { // the transaction is gone, and with it what succeeded before
			_ = s.exec("rollback")
			failAll(group[:i], err)
			s.commit(group[i+1:])
			return
		}
		wrote = wrote || r.err == nil
	}
	if !wrote {
		_ = s.exec("rollback")
		return
	}
	if err := s.exec("commit"); err != nil {
		_ = s.exec("rollback")
		failAll(group, err)
	}
}

// begin opens the shared transaction, which waits for the disk when one of the group
// asks for it. The pragma is not prepared: it takes effect while it is parsed.
func (s *sqlite) begin(group []*request) error {
	loose := !slices.ContainsFunc(group, func(r *request) bool { return r.durable })
	if loose != s.loose {
		mode := "pragma synchronous = full"
		if loose {
			mode = "pragma synchronous = normal"
		}
		if _, err := s.conn.ExecContext(context.Background(), mode); err != nil {
			return err
		}
		s.loose = loose
	}
	return s.exec("begin immediate")
}

// one runs a request inside its savepoint. Its own error says that the shared
// transaction is lost: SQLite gives it up as a whole when the disk is full.
func (s *sqlite) one(r *request) error {
	if r.err = s.exec("savepoint one"); r.err != nil {
		return r.err
	}
	r.tx, r.err = s.protect(r)
	if r.err != nil {
		if err := s.exec("rollback to one"); err != nil {
			return r.err
		}
	}
	if err := s.exec("release one"); err != nil {
		r.err = errors.Join(r.err, err)
		return r.err
	}
	return nil
}

var errPanicked = errors.New("db: the transaction panicked")

// protect carries a panic of the closure over to its caller, so that it does not
// take the writer down.
func (s *sqlite) protect(r *request) (tx *Tx, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.panic, err = p, errPanicked
		}
	}()
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	return s.db.apply(r.ctx, s, r.f)
}

// failAll gives those that had succeeded the error of the shared commit.
func failAll(group []*request, err error) {
	for _, r := range group {
		if r.err == nil {
			r.err = fmt.Errorf("db: %w", err)
		}
	}
}
