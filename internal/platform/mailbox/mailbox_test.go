package mailbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
)

var scope = db.Scope{Account: "123456789012", Region: "us-east-1"}

type box struct {
	*mailbox.Mailbox
	t   *testing.T
	ctx context.Context
}

func each(t *testing.T, f func(t *testing.T, b box)) {
	dbtest.Each(t, []db.Migrations{mailbox.Migrations}, func(t *testing.T, d *db.DB) {
		f(t, box{&mailbox.Mailbox{DB: d}, t, db.WithScope(t.Context(), scope)})
	})
}

// inBubble runs f on SQLite under the clock of a synctest bubble.
func inBubble(t *testing.T, f func(t *testing.T, b box)) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, mailbox.Migrations)
		f(t, box{&mailbox.Mailbox{DB: d}, t, db.WithScope(t.Context(), scope)})
	})
}

func (b box) update(f func(tx *db.Tx) error) {
	b.t.Helper()
	if err := b.DB.Update(b.ctx, f); err != nil {
		b.t.Fatal(err)
	}
}

func (b box) put(node, id string) {
	b.t.Helper()
	b.update(func(tx *db.Tx) error {
		return b.Put(tx, mailbox.Message{Node: node, ID: id, Kind: "agent_job", Payload: []byte(id), Deadline: tx.Now.Add(time.Hour)})
	})
}

func (b box) take(node string, resend time.Duration) (ids []string) {
	b.t.Helper()
	out, _, err := b.Take(b.ctx, node, resend)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range out {
		if string(m.Payload) != m.ID || m.Kind != "agent_job" || m.Sends == 0 || m.Sent.IsZero() {
			b.t.Errorf("message %+v", m)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

func (b box) want(got []string, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestEachNodeTakesItsOwnOnce(t *testing.T) {
	each(t, func(t *testing.T, b box) {
		b.put("mi-1", "a")
		b.put("mi-2", "b")
		b.put("mi-1", "c")
		b.put("mi-1", "a") // the second Put of an id changes nothing
		b.want(b.take("mi-1", 0), "a", "c")
		b.want(b.take("mi-1", 0))
		b.want(b.take("mi-2", 0), "b")
		b.put("mi-1", "a")
		b.want(b.take("mi-1", 0))
	})
}

func TestScopesAreApart(t *testing.T) {
	each(t, func(t *testing.T, b box) {
		b.put("mi-1", "a")
		other := b
		other.ctx = db.WithScope(t.Context(), db.Scope{Account: scope.Account, Region: "eu-west-1"})
		other.want(other.take("mi-1", 0))
		b.want(b.take("mi-1", 0), "a")
	})
}

func TestStates(t *testing.T) {
	each(t, func(t *testing.T, b box) {
		state := func(want mailbox.State) {
			t.Helper()
			b.update(func(tx *db.Tx) error {
				got, ok, err := b.StateOf(tx, "mi-1", "a")
				if got != want || ok != (want != "") {
					t.Errorf("state %q, %v; want %q", got, ok, want)
				}
				return err
			})
		}
		state("")
		b.put("mi-1", "a")
		state(mailbox.Queued)
		b.take("mi-1", 0)
		state(mailbox.Sent)
		b.update(func(tx *db.Tx) error { return b.Ack(tx, "mi-1", "a") })
		state(mailbox.Acknowledged)
		b.update(func(tx *db.Tx) error { return b.Reopen(tx, "mi-1") })
		b.update(func(tx *db.Tx) error { return b.Postpone(tx, "mi-1", "a", tx.Now) })
		b.want(b.take("mi-1", 0))
		b.update(func(tx *db.Tx) error { return b.Remove(tx, "mi-1", "a") })
		state("")
		b.put("mi-1", "a")
		b.update(func(tx *db.Tx) error { return b.Drop(tx, "mi-1") })
		state("")
	})
}

func TestPutWakesAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, b box) {
		woken, stop := b.Listen(b.ctx, "mi-1")
		defer stop()
		b.put("mi-2", "x")
		b.put("mi-1", "a")
		<-woken
		b.want(b.take("mi-1", 0), "a")
	})
}

func TestSentIsSentAgainUntilAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T, b box) {
		b.put("mi-1", "a")
		start := time.Now()
		var at []time.Duration
		for range 6 {
			b.want(b.take("mi-1", 0), "a")
			at = append(at, time.Since(start))
			_, next, err := b.Take(b.ctx, "mi-1", 0)
			if err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Until(next))
		}
		s := time.Second
		if diff := cmp.Diff([]time.Duration{0, 5 * s, 15 * s, 35 * s, 75 * s, 135 * s}, at); diff != "" {
			t.Errorf("sendings (-want +got):\n%s", diff)
		}
	})
}

func TestResendLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, b box) {
		b.put("mi-1", "old")
		b.take("mi-1", time.Minute)
		b.put("mi-1", "unsent")
		<-time.After(2 * time.Minute)
		b.update(func(tx *db.Tx) error { return b.Reopen(tx, "mi-1") })
		b.want(b.take("mi-1", time.Minute), "unsent")
		b.want(b.take("mi-1", 0), "old")
	})
}

func TestReopenPostponeDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, b box) {
		b.put("mi-1", "a")
		b.want(b.take("mi-1", 0), "a")
		b.update(func(tx *db.Tx) error { return b.Reopen(tx, "mi-1") })
		b.want(b.take("mi-1", 0), "a")
		b.update(func(tx *db.Tx) error { return b.Postpone(tx, "mi-1", "a", tx.Now.Add(10*time.Minute)) })
		<-time.After(9 * time.Minute)
		b.want(b.take("mi-1", 0))
		<-time.After(time.Minute)
		b.want(b.take("mi-1", 0), "a")
		<-time.After(time.Hour)
		b.want(b.take("mi-1", 0))
		if _, next, err := b.Take(b.ctx, "mi-1", 0); err != nil || !next.IsZero() {
			t.Errorf("next %v, %v after the deadline", next, err)
		}
	})
}

// A node that has no room has not got the message: the bound of sending again is for
// those that it may have.
func TestPostponedMessageIsNotTooOld(t *testing.T) {
	inBubble(t, func(t *testing.T, b box) {
		b.put("mi-1", "a")
		for range 3 {
			b.want(b.take("mi-1", 25*time.Minute), "a")
			b.update(func(tx *db.Tx) error { return b.Postpone(tx, "mi-1", "a", tx.Now.Add(16*time.Minute)) })
			<-time.After(16 * time.Minute)
		}
	})
}
