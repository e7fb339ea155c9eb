package task

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var files embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "task", FS: files}

// ErrFenced says that the task is no longer this run's: its lease ran out and
// another engine has it, or it was cancelled. The transaction must be given up.
var ErrFenced = errors.New("task: another run owns this task now")

// Spec is a task to enqueue.
type Spec struct {
	Kind string
	Key  string    // unique within scope and kind; "" makes one up
	Args any       // JSON
	Due  time.Time // zero means now
}

const topic = "task"

// Enqueue adds a task in the caller's transaction. A task with the same key that
// waits already is kept as it is; one that runs right now runs again afterwards,
// with the new arguments, at its new due time.
func (e *Engine) Enqueue(tx *db.Tx, s Spec) error {
	args, err := json.Marshal(s.Args)
	if err != nil {
		return fmt.Errorf("task: arguments of %s: %w", s.Kind, err)
	}
	if s.Due.IsZero() {
		s.Due = tx.Now
	}
	id := rand.Text()
	if s.Key == "" {
		s.Key = id
	}
	due := db.Micros(s.Due)
	_, err = tx.Exec(`insert into task_task(id, account, region, kind, key, args, due, wake, owner, attempt, again, actor, dead)
		values($1, $2, $3, $4, $5, $6, $7, $7, '', 0, 0, '', 0)
		on conflict(account, region, kind, key) do update set
			again = case when task_task.owner = '' then 0 else excluded.due end,
			args = case when task_task.owner = '' and task_task.dead = 0 then task_task.args else excluded.args end,
			due = case when task_task.dead = 1 then excluded.due else task_task.due end,
			wake = case when task_task.dead = 1 then excluded.due else task_task.wake end,
			attempt = case when task_task.dead = 1 then 0 else task_task.attempt end,
			dead = 0`,
		id, tx.Scope.Account, tx.Scope.Region, s.Kind, s.Key, string(args), due)
	if err != nil {
		return fmt.Errorf("task: enqueue %s: %w", s.Kind, err)
	}
	return e.announce(tx, s.Due)
}

// announce wakes the engines: this one for its due time, the others at once, so
// that they look at the table anew.
func (e *Engine) announce(tx *db.Tx, due time.Time) error {
	tx.AfterCommit(func() { e.alarm.at(due) })
	if !e.db.Postgres() {
		return nil
	}
	return tx.Notify(topic)
}

// Reschedule moves a waiting task to another time and says whether there was one.
func (e *Engine) Reschedule(tx *db.Tx, kind, key string, due time.Time) (bool, error) {
	n, err := tx.Exec(`update task_task set due = $1, wake = $1 where account = $2 and region = $3 and kind = $4 and key = $5 and owner = '' and dead = 0`,
		db.Micros(due), tx.Scope.Account, tx.Scope.Region, kind, key)
	if err != nil || n == 0 {
		return false, err
	}
	return true, e.announce(tx, due)
}

// Cancel takes a task away and says whether there was one. A run under way is
// fenced: its Done fails.
func (e *Engine) Cancel(tx *db.Tx, kind, key string) (bool, error) {
	n, err := tx.Exec("delete from task_task where account = $1 and region = $2 and kind = $3 and key = $4",
		tx.Scope.Account, tx.Scope.Region, kind, key)
	return n > 0, err
}

// Run is one attempt at a task.
type Run struct {
	Kind    string
	Key     string
	Due     time.Time
	Attempt int // 1 for the first

	id       string
	owner    string
	args     []byte
	scope    db.Scope
	finished bool
	next     time.Time // when the handler asked for it again
}

// Decode reads the arguments into args.
func (r *Run) Decode(args any) error {
	if err := json.Unmarshal(r.args, args); err != nil {
		return fmt.Errorf("task: arguments of %s %s: %w", r.Kind, r.Key, err)
	}
	return nil
}

// Done takes the task away inside the caller's transaction.
func (r *Run) Done(tx *db.Tx) error {
	tx.AfterCommit(func() { r.finished = true })
	n, err := tx.Exec("delete from task_task where id = $1 and owner = $2 and attempt = $3 and again = 0", r.id, r.owner, r.Attempt)
	if err != nil || n == 1 {
		return err
	}
	return r.fenced(tx.Exec(`update task_task set due = again, wake = again, owner = '', attempt = 0, again = 0
		where id = $1 and owner = $2 and attempt = $3`, r.id, r.owner, r.Attempt))
}

// Again puts the task back to wait until due, inside the caller's transaction, as
// if it were new.
func (r *Run) Again(tx *db.Tx, due time.Time) error {
	tx.AfterCommit(func() { r.finished, r.next = true, due })
	return r.fenced(tx.Exec(`update task_task set due = $4, wake = $4, owner = '', attempt = 0, again = 0
		where id = $1 and owner = $2 and attempt = $3`, r.id, r.owner, r.Attempt, db.Micros(due)))
}

func (r *Run) fenced(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrFenced
	}
	return err
}

// Failure is one failed attempt.
type Failure struct {
	Key     string
	Attempt int
	At      time.Time
	Error   string
}

// Failures lists the failed attempts of a task, oldest first.
func (e *Engine) Failures(ctx context.Context, kind, key string) (out []Failure, err error) {
	err = e.db.View(ctx, func(tx *db.Tx) error {
		out, err = db.Rows(tx, `select key, attempt, at, error from task_failure
			where account = $1 and region = $2 and kind = $3 and key = $4 order by at, attempt`,
			[]any{tx.Scope.Account, tx.Scope.Region, kind, key}, scanFailure)
		return err
	})
	return out, err
}
