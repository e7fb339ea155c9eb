package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var files embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "journal", FS: files}

const topic = "journal"

// Fact is something that happened. Kind is in the past tense, as
// "command.finished"; Body becomes JSON and holds no secret.
type Fact struct {
	Kind    string
	Subject string   // ARN or id of what it happened to
	Related []string // ARNs or ids of what else it concerns
	Body    any
}

// Row is a recorded fact. Position is 0 until the dispatcher gave it one.
type Row struct {
	Position  int64
	At        time.Time
	Scope     db.Scope
	Actor     string
	RequestID string
	Kind      string
	Subject   string
	Related   []string
	Body      json.RawMessage

	id      string
	related string
}

// Decode reads the body into v.
func (r *Row) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("journal: body of %s at %d: %w", r.Kind, r.Position, err)
	}
	return nil
}

// Journal records facts and hands them on.
type Journal struct {
	db     *db.DB
	log    *slog.Logger
	signer *Signer
	subs   []*subscriber
	cache  hashCache
}

// New makes the journal of d. The signer may be nil in tests: no checkpoint is made
// then.
func New(d *db.DB, signer *Signer, log *slog.Logger) *Journal {
	return &Journal{db: d, signer: signer, log: log}
}

type actorKey struct{}

// WithActor names who acts; the facts recorded with the context bear the name.
func WithActor(ctx context.Context, arn string) context.Context {
	return context.WithValue(ctx, actorKey{}, arn)
}

// ActorOf is the name that WithActor gave, "" without one.
func ActorOf(ctx context.Context) string {
	arn, _ := ctx.Value(actorKey{}).(string)
	return arn
}

// Record adds a fact in the caller's transaction.
func (j *Journal) Record(tx *db.Tx, f Fact) error {
	body, err := json.Marshal(f.Body)
	if err != nil {
		return fmt.Errorf("journal: body of %s: %w", f.Kind, err)
	}
	related, err := json.Marshal(f.Related)
	if err != nil {
		return fmt.Errorf("journal: %s: %w", f.Kind, err)
	}
	ctx := tx.Context()
	_, err = tx.Exec(`insert into journal_row(id, position, at, account, region, actor, request_id, kind, subject, related, body)
		values($1, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		newID(), db.Micros(tx.Now), tx.Scope.Account, tx.Scope.Region, ActorOf(ctx), wire.RequestID(ctx),
		f.Kind, f.Subject, string(related), string(body))
	if err != nil {
		return fmt.Errorf("journal: record %s: %w", f.Kind, err)
	}
	return tx.Notify(topic)
}

var recorded atomic.Uint64

// newID keeps the facts of one instant in the order in which they were recorded.
func newID() string { return fmt.Sprintf("%016x%s", recorded.Add(1), rand.Text()[:10]) }

const columns = "id, position, at, account, region, actor, request_id, kind, subject, related, body"

func scanRow(rows *sql.Rows) (*Row, error) {
	r := &Row{}
	var at int64
	var body string
	err := rows.Scan(&r.id, &r.Position, &at, &r.Scope.Account, &r.Scope.Region, &r.Actor, &r.RequestID, &r.Kind, &r.Subject, &r.related, &body)
	if err != nil {
		return nil, err
	}
	r.At, r.Body = db.FromMicros(at), json.RawMessage(body)
	if err := json.Unmarshal([]byte(r.related), &r.Related); err != nil {
		return nil, fmt.Errorf("journal: row %s: %w", r.id, err)
	}
	return r, nil
}

// About lists the facts whose subject is one of subjects, in their order, after a
// position, at most limit.
func (j *Journal) About(tx *db.Tx, subjects []string, after int64, limit int) ([]*Row, error) {
	f := new(db.Filter).And("position > 0").And("position > ?", after).In("subject", subjects)
	f.Args = append(f.Args, limit)
	return db.Rows(tx, fmt.Sprintf("select %s from journal_row%s order by position limit $%d", columns, f.Where(), len(f.Args)), f.Args, scanRow)
}

func scanInt(rows *sql.Rows) (n int64, err error) {
	err = rows.Scan(&n)
	return n, err
}
