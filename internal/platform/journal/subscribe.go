package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire"
)

const (
	pageRows    = 100
	maxTries    = 10 // then the fact is put aside for this subscription
	moveCursor  = 1000
	firstPause  = 50 * time.Millisecond
	longestWait = 5 * time.Second
)

// Subscription hears of facts of some kinds, each once, in the order of positions.
type Subscription struct {
	Name   string // durable: renaming starts over from the first fact
	Kinds  []string
	Handle func(ctx context.Context, tx *db.Tx, row Row) error
}

type subscriber struct {
	Subscription
	seen  int64 // no fact of its kinds is left up to here
	tries int
	wake  chan struct{}
}

// Subscribe adds a subscription; it is done before Start. A new name begins with
// the first fact ever.
func (j *Journal) Subscribe(s Subscription) {
	for _, other := range j.subs {
		if other.Name == s.Name {
			panic("journal: two subscriptions named " + s.Name)
		}
	}
	j.subs = append(j.subs, &subscriber{Subscription: s, wake: make(chan struct{}, 1)})
}

// deliver hands s what it has not had yet.
func (j *Journal) deliver(ctx context.Context, s *subscriber) (n int, err error) {
	for {
		rows, head, err := j.next(ctx, s)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			if err := j.handle(ctx, s, r); err != nil {
				return n, err
			}
			s.seen = r.Position
			n++
		}
		if len(rows) < pageRows {
			return n, j.skipTo(ctx, s, head)
		}
	}
}

func (j *Journal) next(ctx context.Context, s *subscriber) (rows []*Row, head int64, err error) {
	err = j.db.View(ctx, func(tx *db.Tx) error {
		if head, err = size(tx); err != nil {
			return err
		}
		if s.seen == 0 {
			if s.seen, err = cursor(tx, s.Name, ""); err != nil {
				return err
			}
		}
		f := new(db.Filter).And("position > 0").And("position > ?", s.seen).And("position <= ?", head).In("kind", s.Kinds)
		rows, err = db.Rows(tx, "select "+columns+" from journal_row"+f.Where()+fmt.Sprintf(" order by position limit %d", pageRows), f.Args, scanRow)
		return err
	})
	return rows, head, err
}

func cursor(tx *db.Tx, name, lock string) (int64, error) {
	at, err := db.Rows(tx, "select position from journal_cursor where name = $1 "+lock, []any{name}, scanInt)
	if err != nil || len(at) == 0 {
		return 0, err
	}
	return at[0], nil
}

// handle runs the handler for one fact in the transaction that moves the cursor.
func (j *Journal) handle(ctx context.Context, s *subscriber, r *Row) error {
	ctx = WithActor(wire.WithRequestID(db.WithScope(ctx, r.Scope), r.RequestID), r.Actor)
	err := j.db.Update(ctx, func(tx *db.Tx) error {
		at, err := cursor(tx, s.Name, "{lock}")
		if err != nil || at >= r.Position { // another hub was faster
			return err
		}
		if err := s.Handle(ctx, tx, *r); err != nil {
			return err
		}
		return setCursor(tx, s.Name, r.Position)
	})
	if err == nil {
		s.tries = 0
		return nil
	}
	s.tries++
	j.log.ErrorContext(ctx, "a subscription refused a fact", "subscription", s.Name, "kind", r.Kind, "position", r.Position, "try", s.tries, "error", err)
	if s.tries < maxTries {
		return err
	}
	s.tries = 0
	return j.putAside(ctx, s, r, err)
}

func (j *Journal) putAside(ctx context.Context, s *subscriber, r *Row, cause error) error {
	return j.db.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("insert into journal_aside(name, position, at, error) values($1, $2, $3, $4) on conflict do nothing",
			s.Name, r.Position, db.Micros(tx.Now), cause.Error())
		if err != nil {
			return err
		}
		return setCursor(tx, s.Name, r.Position)
	})
}

func setCursor(tx *db.Tx, name string, position int64) error {
	_, err := tx.Exec(`insert into journal_cursor(name, position) values($1, $2)
		on conflict(name) do update set position = excluded.position where journal_cursor.position < excluded.position`, name, position)
	return err
}

// skipTo remembers that nothing up to head concerns s, durably now and then.
func (j *Journal) skipTo(ctx context.Context, s *subscriber, head int64) error {
	far := head/moveCursor > s.seen/moveCursor
	s.seen = max(s.seen, head)
	if !far {
		return nil
	}
	return j.db.Update(ctx, func(tx *db.Tx) error { return setCursor(tx, s.Name, head) })
}
