package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/wire"
)

var schema = []db.Migrations{journal.Migrations}

func record(t *testing.T, d *db.DB, j *journal.Journal, kinds ...string) {
	t.Helper()
	ctx := journal.WithActor(db.WithScope(wire.WithRequestID(t.Context(), "req"), db.Scope{Account: "1", Region: "r"}), "arn:me")
	for _, k := range kinds {
		err := d.Update(ctx, func(tx *db.Tx) error {
			return j.Record(tx, journal.Fact{Kind: k, Subject: "s", Related: []string{"x"}, Body: map[string]int{"n": 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubscriptionHearsEachFactOnceInOrder(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		j := journaltest.New(t, d)
		var got []string
		j.Subscribe(journal.Subscription{Name: "n", Kinds: []string{"a.done", "b.done"}, Handle: func(ctx context.Context, tx *db.Tx, r journal.Row) error {
			got = append(got, fmt.Sprint(r.Position, r.Kind, r.Subject, r.Related, string(r.Body), r.Actor, r.RequestID, journal.ActorOf(ctx), tx.Scope))
			return nil
		}})
		record(t, d, j, "a.done", "c.done", "b.done")
		for range 2 {
			if err := j.Dispatch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{`1 a.done s [x] {"n":1} arn:me req arn:me {1 r}`, `3 b.done s [x] {"n":1} arn:me req arn:me {1 r}`}
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "  ", " ")
		}
		if len(got) != 2 || norm(got[0]) != norm(want[0]) || norm(got[1]) != norm(want[1]) {
			t.Fatalf("%q", got)
		}
	})
}

func norm(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestHandlerMayRecordMoreAndStartsOverAfterAnError(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		j := journaltest.New(t, d)
		fails, heard := 3, 0
		j.Subscribe(journal.Subscription{Name: "up", Kinds: []string{"a.done"}, Handle: func(_ context.Context, tx *db.Tx, _ journal.Row) error {
			if fails > 0 {
				fails--
				return errors.New("not yet")
			}
			return j.Record(tx, journal.Fact{Kind: "b.done"})
		}})
		j.Subscribe(journal.Subscription{Name: "last", Kinds: []string{"b.done"}, Handle: func(context.Context, *db.Tx, journal.Row) error { heard++; return nil }})
		record(t, d, j, "a.done")
		for range 4 {
			_ = j.Dispatch(t.Context())
		}
		if heard != 1 {
			t.Fatalf("heard %d", heard)
		}
	})
}

func TestFactThatAlwaysFailsIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema...)
		j := journaltest.New(t, d)
		var mu sync.Mutex
		var got []int64
		j.Subscribe(journal.Subscription{Name: "n", Kinds: []string{"a.done", "poison.done"}, Handle: func(_ context.Context, _ *db.Tx, r journal.Row) error {
			mu.Lock()
			defer mu.Unlock()
			if r.Kind == "poison.done" {
				return errors.New("no")
			}
			got = append(got, r.Position)
			return nil
		}})
		record(t, d, j, "a.done", "poison.done", "a.done")
		journaltest.Start(t, j)
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, []int64{1, 3}) {
			t.Fatal(got)
		}
	})
}

func TestDeliveryIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema...)
		j := journaltest.New(t, d)
		heard := make(chan time.Time, 1)
		j.Subscribe(journal.Subscription{Name: "n", Kinds: []string{"a.done"}, Handle: func(context.Context, *db.Tx, journal.Row) error { heard <- time.Now(); return nil }})
		journaltest.Start(t, j)
		time.Sleep(1500 * time.Millisecond)
		start := time.Now()
		record(t, d, j, "a.done")
		if late := (<-heard).Sub(start); late > time.Millisecond {
			t.Fatalf("after %v", late)
		}
	})
}

func open(t *testing.T, d *db.DB, dir string) *journal.Journal {
	t.Helper()
	s, err := journal.OpenSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	return journal.New(d, s, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// runOnce starts and stops j, which signs a checkpoint at its end.
func runOnce(t *testing.T, j *journal.Journal) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := j.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsEachKindOfTampering(t *testing.T) {
	tamper := map[string]string{
		"body":    `update journal_row set body = '{"n":2}' where position = 3`,
		"actor":   `update journal_row set actor = 'arn:you' where position = 2`,
		"deleted": `delete from journal_row where position = 4`,
		"swapped": `update journal_row set position = case position when 1 then -2 else -1 end where position in (1, 2)`,
		"tail":    `delete from journal_row where position = 7`,
		"note":    `update journal_checkpoint set note = replace(note, 'go.sum', 'go.mus')`,
	}
	for name, query := range tamper {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
				dir := t.TempDir()
				j := open(t, d, dir)
				record(t, d, j, "a", "b", "c", "d", "e", "f", "g")
				runOnce(t, j)
				rep, err := open(t, d, dir).Verify(t.Context())
				if err != nil || len(rep.Problems) > 0 || rep.Facts != 7 || rep.Checkpoints != 1 {
					t.Fatalf("before: %+v, %v", rep, err)
				}
				if err := d.Update(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
					t.Fatal(err)
				}
				if rep, err = open(t, d, dir).Verify(t.Context()); err != nil || len(rep.Problems) == 0 {
					t.Fatalf("not noticed: %+v, %v", rep, err)
				}
			})
		})
	}
}

func TestHeadOutsideAheadOfTheDatabase(t *testing.T) {
	dir := t.TempDir()
	d := dbtest.SQLite(t, schema...)
	j := open(t, d, dir)
	record(t, d, j, "a", "b")
	runOnce(t, j)
	if err := open(t, d, dir).CheckHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := dbtest.SQLite(t, schema...)
	if err := open(t, older, dir).CheckHead(t.Context()); !errors.Is(err, journal.ErrHead) {
		t.Fatalf("a database put back was not noticed: %v", err)
	}
}

func TestCheckpointEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := dbtest.SQLite(t, schema...)
		j := open(t, d, dir)
		journaltest.Start(t, j)
		for range 3 {
			record(t, d, j, "a")
			time.Sleep(61 * time.Second)
		}
		rep, err := open(t, d, dir).Verify(t.Context())
		if err != nil || rep.Checkpoints != 3 || len(rep.Problems) > 0 {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

func BenchmarkRecordAndChain(b *testing.B) {
	d := dbtest.SQLite(b, schema...)
	j := journaltest.New(b, d)
	journaltest.Start(b, j)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := d.Update(b.Context(), func(tx *db.Tx) error {
				return j.Record(tx, journal.Fact{Kind: "a.done", Subject: "s", Body: map[string]int{"n": 1}})
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
