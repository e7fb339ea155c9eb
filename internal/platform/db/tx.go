package db

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"time"
)

// Scope is the account and region that a transaction works in. Every table holds
// both.
type Scope struct {
	Account string
	Region  string
}

type scopeKey struct{}

// WithScope gives the context the scope of the transactions begun with it.
func WithScope(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// ScopeOf is the scope that the context carries.
func ScopeOf(ctx context.Context) Scope {
	s, _ := ctx.Value(scopeKey{}).(Scope)
	return s
}

type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tx is a transaction under way. It must not outlive its closure.
type Tx struct {
	Now   time.Time // UTC, whole microseconds; the only clock inside a transaction
	Scope Scope

	ctx   context.Context
	db    *DB
	conn  conn
	after []func()
}

// Context is the caller's context. Its end does not interrupt a statement of an
// Update: a transaction that has begun is finished.
func (t *Tx) Context() context.Context { return t.ctx }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	r, err := t.conn.ExecContext(t.quiet(), t.db.text(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Query runs a statement that returns rows; the caller closes them.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return t.conn.QueryContext(t.quiet(), t.db.text(query), args...)
}

// QueryRow runs a statement that returns at most one row.
func (t *Tx) QueryRow(query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.quiet(), t.db.text(query), args...)
}

// lend is Query with a function that tells when the rows were read: the statement
// may then be used again.
func (t *Tx) lend(query string, args []any) (*sql.Rows, func(), error) {
	if l, ok := t.conn.(interface {
		lend(ctx context.Context, query string, args []any) (*sql.Rows, func(), error)
	}); ok {
		return l.lend(t.quiet(), t.db.text(query), args)
	}
	rows, err := t.Query(query, args...)
	return rows, func() {}, err
}

// AfterCommit runs f once the transaction is durable, never when it is not.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// quiet keeps a cancelled caller from interrupting a statement: SQLite would roll
// back the whole transaction, and with it those that share the commit.
func (t *Tx) quiet() context.Context { return context.WithoutCancel(t.ctx) }

func (t *Tx) committed() {
	for _, f := range t.after {
		f()
	}
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

var (
	postgresWords = strings.NewReplacer("{lockskip}", "for update skip locked", "{lock}", "for update", "{json}", "jsonb", "{text}", `text collate "C"`, "{blob}", "bytea")
	sqliteWords   = strings.NewReplacer("{lockskip}", "", "{lock}", "", "{json}", "text", "{text}", "text", "{blob}", "blob")
)

// text turns the shared SQL text into the engine's.
func (d *DB) text(s string) string {
	if v, ok := d.texts.Load(s); ok {
		return v.(string)
	}
	var out string
	if d.pg {
		out = postgresWords.Replace(s)
	} else {
		out = placeholder.ReplaceAllString(sqliteWords.Replace(s), "?$1")
	}
	d.texts.Store(s, out)
	return out
}

// Micros is t in microseconds since 1970 UTC, the form of times in SQL; 0 for the
// zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the reverse of Micros.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Bool is b as SQL keeps it: 1 or 0.
func Bool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
