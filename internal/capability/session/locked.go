package session

import (
	"context"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/lock"
)

// principal is the owner as locks name one.
func (r *row) principal() lock.Principal {
	return lock.Principal{Account: r.Scope.Account, ARN: r.Owner, Source: r.Source, AccessKey: r.AccessKey}
}

func (p *person) principal(scope db.Scope) lock.Principal {
	return lock.Principal{Account: scope.Account, ARN: p.ARN, Source: p.Source, AccessKey: p.AccessKey}
}

// isLocked says that a lock names the session's owner, node or document.
func (s *Service) isLocked(r *row) bool {
	return s.Locks.Locked(r.principal()) || s.Locks.Resource(r.Scope, lock.ManagedInstance, r.Node) || s.Locks.Resource(r.Scope, lock.Document, r.DocumentName)
}

// over says that the session has ended, or ends now since a lock names it: one that
// was made while the session began.
func (s *Service) over(tx *db.Tx, r *row) (bool, error) {
	if closing(r.Status) {
		return true, nil
	}
	if !s.isLocked(r) {
		return false, nil
	}
	return true, s.end(tx, r, Locked, lockedText)
}

const lockedText = "The session was ended by a lock."

// locked ends the sessions that a new lock names, and the stay of people in them.
func (s *Service) locked(_ context.Context, tx *db.Tx, fact journal.Row) error {
	var l lock.Lock
	if err := fact.Decode(&l); err != nil {
		return err
	}
	ids, err := openIDs(tx, (&db.Filter{}).And("account = ?", fact.Scope.Account))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := gone(inScope(tx, id, func(tx *db.Tx, r *row) error { return s.lockedOne(tx, r, &l) })); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) lockedOne(tx *db.Tx, r *row, l *lock.Lock) error {
	if l.Names(r.principal()) || l.Covers(r.Scope, lock.ManagedInstance, r.Node) || l.Covers(r.Scope, lock.Document, r.DocumentName) {
		return s.end(tx, r, Locked, lockedText)
	}
	list, err := people(tx, scoped(tx).And("session_id = ?", r.ID).And("gone = 0"))
	if err != nil {
		return err
	}
	for i := range list {
		if !l.Names(list[i].principal(r.Scope)) {
			continue
		}
		if err := s.personLeft(tx, r, list[i].ID); err != nil {
			return err
		}
		if err := tx.Notify(Topic(r.Scope, r.ID)); err != nil {
			return err
		}
	}
	return nil
}

// NodeLocked says that a lock is on a node of the scope of ctx.
func (s *Service) NodeLocked(ctx context.Context, nodeID string) bool {
	return s.Locks.Resource(db.ScopeOf(ctx), lock.ManagedInstance, nodeID)
}
