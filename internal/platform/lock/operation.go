package lock

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const mostRows = 200

// CreateLock makes a lock. Callers cannot lock themselves. Error:
// ConflictException when there is one on the same already.
func (s *Service) CreateLock(ctx context.Context, in *watchbill.CreateLockInput) (*watchbill.CreateLockOutput, error) {
	c := identity.From(ctx)
	l := &Lock{ID: uuid.NewString(), Kind: Kind(in.TargetType), Reason: *in.Reason, CreatedBy: c.ARN, Expires: ptr.Value(in.ExpiresAt).UTC().Truncate(time.Microsecond)}
	l.Target = target(l.Kind, *in.Target)
	l.Account = db.ScopeOf(ctx).Account
	if l.Kind == ManagedInstance || l.Kind == Document {
		l.Region = db.ScopeOf(ctx).Region
	}
	if l.Names(PrincipalOf(c)) {
		return nil, fault.Validation("You cannot lock yourself: nobody could take the lock away in your place.")
	}
	out := &watchbill.CreateLockOutput{}
	err := s.db.Update(ctx, func(tx *db.Tx) error {
		l.Created = tx.Now
		out.Lock = l.project()
		audit.Answer(tx, out)
		return s.create(tx, l)
	})
	if err != nil {
		return nil, err
	}
	return out, s.Load(ctx)
}

// PrincipalOf is a caller as locks name one.
func PrincipalOf(c identity.Caller) Principal {
	return Principal{Account: c.Account, ARN: c.ARN, Source: c.Source(), AccessKey: c.AccessKeyID}
}

func (s *Service) create(tx *db.Tx, l *Lock) error {
	if !l.Expires.IsZero() && !l.Expires.After(tx.Now) {
		return fault.Validation("ExpiresAt must be in the future.")
	}
	same, err := list(tx, inScope(l.Account, l.Region).And("kind = ?", string(l.Kind)).And("target = ?", l.Target), 1)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return &watchbill.ConflictException{Message: "The lock " + same[0].ID + " is on " + l.Target + " already."}
	}
	_, err = tx.Exec("insert into lock_lock(account, region, id, kind, target, reason, created_by, created, expires) values($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		l.Account, l.Region, l.ID, string(l.Kind), l.Target, l.Reason, l.CreatedBy, db.Micros(l.Created), db.Micros(l.Expires))
	if err != nil {
		return err
	}
	if !l.Expires.IsZero() {
		if err := s.tasks.Enqueue(tx, task.Spec{Kind: expireTask, Key: l.ID, Due: l.Expires}); err != nil {
			return err
		}
	}
	return s.changed(tx, Created, l.ID, l)
}

// changed records a fact and wakes every hub.
func (s *Service) changed(tx *db.Tx, kind, id string, body any) error {
	if err := s.journal.Record(tx, journal.Fact{Kind: kind, Subject: id, Body: body}); err != nil {
		return err
	}
	return tx.Notify(topic)
}

// DeleteLock takes a lock away. Error: DoesNotExistException.
func (s *Service) DeleteLock(ctx context.Context, in *watchbill.DeleteLockInput) (*watchbill.DeleteLockOutput, error) {
	out := &watchbill.DeleteLockOutput{}
	err := s.db.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		gone, err := remove(tx, *in.LockId)
		if err != nil {
			return err
		}
		if gone == nil {
			return &watchbill.DoesNotExistException{Message: "The lock " + *in.LockId + " does not exist."}
		}
		if _, err := s.tasks.Cancel(tx, expireTask, gone.ID); err != nil {
			return err
		}
		return s.changed(tx, Deleted, gone.ID, map[string]any{"kind": gone.Kind, "target": gone.Target, "reason": *in.Reason})
	})
	if err != nil {
		return nil, err
	}
	return out, s.Load(ctx)
}

// remove takes a lock out of the table, nil when there is none in the account and
// region, or over all regions.
func remove(tx *db.Tx, id string) (*Lock, error) {
	locks, err := list(tx, (&db.Filter{}).And("account = ?", tx.Scope.Account).In("region", []string{"", tx.Scope.Region}).And("id = ?", id), 1)
	if err != nil || len(locks) == 0 {
		return nil, err
	}
	_, err = tx.Exec("delete from lock_lock where account = $1 and region = $2 and id = $3", locks[0].Account, locks[0].Region, id)
	return &locks[0], err
}

// expire takes away a lock whose time is over.
func (s *Service) expire(ctx context.Context, run *task.Run) error {
	return s.db.Update(ctx, func(tx *db.Tx) error {
		gone, err := remove(tx, run.Key)
		if err != nil {
			return err
		}
		if gone != nil {
			if err := s.changed(tx, Expired, gone.ID, map[string]any{"kind": gone.Kind, "target": gone.Target}); err != nil {
				return err
			}
		}
		return run.Done(tx)
	})
}

// cursor is where a page ends.
type cursor struct {
	Created int64  `json:"c"`
	ID      string `json:"i"`
}

// ListLocks lists the locks that hold in the region, oldest first. Error:
// InvalidNextToken.
func (s *Service) ListLocks(ctx context.Context, in *watchbill.ListLocksInput) (*watchbill.ListLocksOutput, error) {
	var from cursor
	if page.Parse(ptr.Value(in.NextToken), &from) != nil {
		return nil, &watchbill.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &watchbill.ListLocksOutput{Locks: []watchbill.Lock{}}
	err := s.db.View(ctx, func(tx *db.Tx) error {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).In("region", []string{"", tx.Scope.Region})
		if in.TargetType != "" {
			f.And("kind = ?", string(in.TargetType))
		}
		if from.ID != "" {
			f.And("(created > ? or created = ? and id > ?)", from.Created, from.Created, from.ID)
		}
		size := page.Limit(in.MaxResults, mostRows)
		locks, err := list(tx, f, size+1)
		if err != nil {
			return err
		}
		if len(locks) > size {
			locks = locks[:size]
			last := locks[size-1]
			out.NextToken = new(page.Token(cursor{db.Micros(last.Created), last.ID}))
		}
		for i := range locks {
			out.Locks = append(out.Locks, *locks[i].project())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (l *Lock) project() *watchbill.Lock {
	out := &watchbill.Lock{
		LockId: &l.ID, TargetType: watchbill.LockTargetType(l.Kind), Target: &l.Target, Reason: &l.Reason, CreatedBy: &l.CreatedBy, CreatedAt: &l.Created,
	}
	if !l.Expires.IsZero() {
		out.ExpiresAt = &l.Expires
	}
	return out
}

func inScope(account, region string) *db.Filter {
	return (&db.Filter{}).And("account = ?", account).And("region = ?", region)
}

// list reads locks, oldest first; n 0 is all of them.
func list(tx *db.Tx, f *db.Filter, n int) ([]Lock, error) {
	query := "select account, region, id, kind, target, reason, created_by, created, expires from lock_lock" + f.Where() + " order by created, id"
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (l Lock, err error) {
		var created, expires int64
		err = r.Scan(&l.Account, &l.Region, &l.ID, &l.Kind, &l.Target, &l.Reason, &l.CreatedBy, &created, &expires)
		l.Created, l.Expires = db.FromMicros(created), db.FromMicros(expires)
		return l, err
	})
}
