package db

import (
	"context"
	"database/sql"
)

// prepared runs statements on one connection of SQLite. Parsing and
// planning cost more than running a small statement does.
type prepared struct {
	conn  *sql.Conn
	limit int // how many are kept
	kept  map[string]*sql.Stmt
	lent  map[string]bool // whose rows are being read: one statement has one cursor
}

func newPrepared(c *sql.Conn, limit int) prepared {
	return prepared{conn: c, limit: limit, kept: map[string]*sql.Stmt{}, lent: map[string]bool{}}
}

func (s *prepared) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.kept[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(s.kept) >= s.limit {
		s.forget()
	}
	s.kept[query] = st
	return st, nil
}

// forget drops all statements but those whose rows are being read.
func (s *prepared) forget() {
	for query, st := range s.kept {
		if !s.lent[query] {
			_ = st.Close()
			delete(s.kept, query)
		}
	}
}

func (s *prepared) exec(query string) error {
	_, err := s.ExecContext(context.Background(), query)
	return err
}

// ExecContext runs a prepared statement.
func (s *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

// QueryContext runs a query that is not kept: nobody knows when its rows are read.
func (s *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a prepared query.
func (s *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	st, err := s.prepare(ctx, query)
	if err != nil || s.lent[query] {
		return s.conn.QueryRowContext(ctx, query, args...) // reports the same error
	}
	return st.QueryRowContext(ctx, args...)
}

// lend runs a prepared query whose rows are read until back is called.
func (s *prepared) lend(ctx context.Context, query string, args []any) (rows *sql.Rows, back func(), err error) {
	if s.lent[query] {
		rows, err = s.QueryContext(ctx, query, args...)
		return rows, func() {}, err
	}
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	if rows, err = st.QueryContext(ctx, args...); err != nil {
		return nil, nil, err
	}
	s.lent[query] = true
	return rows, func() { delete(s.lent, query) }, nil
}
