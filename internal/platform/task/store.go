package task

import (
	"context"
	"crypto/rand"
	"database/sql"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// claim takes at most n due tasks that this engine has a handler for. With a time
// it takes those due by then instead of by now. A claim that a failure of the machine
// undoes is made again by whoever comes next: nothing waits for the disk.
func (e *Engine) claim(ctx context.Context, n int, by time.Time) (runs []*Run, err error) {
	err = e.db.UpdateLoosely(ctx, func(tx *db.Tx) error {
		now := tx.Now
		if !by.IsZero() {
			now = by
		}
		f := &db.Filter{Args: []any{db.Micros(tx.Now.Add(leaseFor)), e.owner, n}}
		f.And("wake <= ?", db.Micros(now)).And("dead = 0").In("kind", e.names())
		query := `update task_task set owner = $2, attempt = attempt + 1, wake = $1
			where id in (select id from task_task` + f.Where() + ` order by wake limit $3 {lockskip})
			returning id, account, region, kind, key, args, due, attempt`
		runs, err = db.Rows(tx, query, f.Args, e.scanRun)
		return err
	})
	return runs, err
}

func (e *Engine) scanRun(rows *sql.Rows) (*Run, error) {
	r := &Run{owner: e.owner}
	var due int64
	var args string
	err := rows.Scan(&r.id, &r.scope.Account, &r.scope.Region, &r.Kind, &r.Key, &args, &due, &r.Attempt)
	r.Due, r.args = db.FromMicros(due), []byte(args)
	return r, err
}

// nextWake is when the next task becomes due, the zero time when none waits.
func (e *Engine) nextWake(ctx context.Context) (next time.Time) {
	err := e.db.View(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		var us sql.NullInt64
		f := new(db.Filter).And("dead = 0").In("kind", e.names())
		err := tx.QueryRow("select min(wake) from task_task"+f.Where(), f.Args...).Scan(&us)
		if us.Valid {
			next = db.FromMicros(us.Int64)
		}
		return err
	})
	if err != nil {
		e.log.ErrorContext(ctx, "look for the next task", "error", err)
	}
	return next
}

// beat renews the leases of the tasks under way.
func (e *Engine) beat(ctx context.Context) {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if ids := e.underWay(); len(ids) > 0 {
			if err := e.renew(ctx, ids); err != nil {
				e.log.ErrorContext(ctx, "renew the leases of tasks", "error", err)
			}
		}
	}
}

func (e *Engine) underWay() (ids []string) {
	e.mine.Range(func(id, _ any) bool {
		ids = append(ids, id.(string))
		return true
	})
	return ids
}

func (e *Engine) renew(ctx context.Context, ids []string) error {
	return e.db.UpdateLoosely(ctx, func(tx *db.Tx) error {
		f := &db.Filter{Args: []any{db.Micros(tx.Now.Add(leaseFor))}}
		f.And("owner = ?", e.owner).And("dead = 0").In("id", ids)
		_, err := tx.Exec("update task_task set wake = $1"+f.Where(), f.Args...)
		return err
	})
}

// fail keeps the error and puts the task back with a pause, or aside as dead when
// its attempts are used up.
func (e *Engine) fail(ctx context.Context, r *Run, cause error) {
	k := e.kinds[r.Kind]
	dead := r.Attempt >= k.opts.MaxAttempts
	e.log.WarnContext(ctx, "task failed", "kind", r.Kind, "key", r.Key, "attempt", r.Attempt, "dead", dead, "error", cause)
	var next time.Time
	err := e.db.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`insert into task_failure(id, account, region, kind, key, attempt, at, error) values($1, $2, $3, $4, $5, $6, $7, $8)`,
			rand.Text(), r.scope.Account, r.scope.Region, r.Kind, r.Key, r.Attempt, db.Micros(tx.Now), clip(cause.Error()))
		if err != nil {
			return err
		}
		next = tx.Now.Add(backoff(r.Attempt))
		query := "update task_task set owner = '', wake = $1 where id = $2 and owner = $3 and attempt = $4"
		if dead {
			query = "update task_task set owner = '', dead = 1, wake = $1 where id = $2 and owner = $3 and attempt = $4"
		}
		_, err = tx.Exec(query, db.Micros(next), r.id, r.owner, r.Attempt)
		return err
	})
	if err != nil { // the lease will run out instead
		e.log.ErrorContext(ctx, "put a failed task back", "kind", r.Kind, "key", r.Key, "error", err)
	}
	e.alarm.at(next)
}

// backoff doubles from 100 ms to the longest pause, the upper half at random.
func backoff(attempt int) time.Duration {
	full := min(float64(maxPause), float64(100*time.Millisecond)*math.Pow(2, float64(attempt-1)))
	return time.Duration(full/2 + mathrand.Float64()*full/2)
}

const maxErrorText = 2000

func clip(s string) string {
	if len(s) > maxErrorText {
		s = s[:maxErrorText]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
}

func scanFailure(rows *sql.Rows) (f Failure, err error) {
	var at int64
	err = rows.Scan(&f.Key, &f.Attempt, &at, &f.Error)
	f.At = db.FromMicros(at)
	return f, err
}
