package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

var schema = db.Migrations{Name: "t", FS: fstest.MapFS{
	"migrate/0001_t.sql": {Data: []byte("create table t_row(\n\tid {text} primary key,\n\tn bigint not null);\ncreate index t_n on t_row(n);\n")},
}}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	err := d.View(t.Context(), func(tx *db.Tx) error { return tx.QueryRow("select count(*) from t_row").Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(tx *db.Tx, id string) error {
	_, err := tx.Exec("insert into t_row(id, n) values($1, $2)", id, 1)
	return err
}

func TestUpdateIsolatesFailures(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		bad := errors.New("no")
		for i := range 100 {
			wg.Go(func() {
				err := d.Update(t.Context(), func(tx *db.Tx) error {
					if err := insert(tx, fmt.Sprint(i)); err != nil {
						return err
					}
					if i%2 == 0 {
						return bad
					}
					return nil
				})
				if (i%2 == 0) != errors.Is(err, bad) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, d); n != 50 {
			t.Fatalf("%d rows, want 50", n)
		}
	})
}

func TestPanicReachesItsCallerOnly(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic was lost")
				}
			}()
			_ = d.Update(t.Context(), func(tx *db.Tx) error { _ = insert(tx, "a"); panic("boom") })
		}()
		if n := count(t, d); n != 0 {
			t.Fatalf("%d rows after a panic", n)
		}
		if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, "b") }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestHooksAndNotifications(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		d.BeforeCommit(func(tx *db.Tx) error {
			if tx.Scope.Account == "" {
				return errors.New("no scope")
			}
			return nil
		})
		woken, end := d.Listen("topic")
		defer end()
		f := func(tx *db.Tx) error { return errors.Join(insert(tx, "a"), tx.Notify("topic")) }
		if err := d.Update(t.Context(), f); err == nil || err.Error() != "no scope" {
			t.Fatalf("the hook did not stop the commit: %v", err)
		}
		if n := count(t, d); n != 0 || len(woken) != 0 {
			t.Fatalf("%d rows, %d signals after a refusal", n, len(woken))
		}
		ctx := db.WithScope(t.Context(), db.Scope{Account: "1", Region: "r"})
		if err := d.Update(ctx, f); err != nil {
			t.Fatal(err)
		}
		<-woken
	})
}

func TestViewRefusesWrites(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		if err := d.View(t.Context(), func(tx *db.Tx) error { return insert(tx, "a") }); err == nil {
			t.Fatal("a View wrote")
		}
	})
}

func TestCancelledCaller(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.Update(ctx, func(tx *db.Tx) error { cancel(); return insert(tx, "a") })
		if err != nil {
			t.Fatalf("a transaction under way was interrupted: %v", err)
		}
		if err := d.Update(ctx, func(tx *db.Tx) error { return insert(tx, "b") }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestMigrationsRunOnceAndMustNotChange(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), []db.Migrations{schema}); err != nil {
			t.Fatal(err)
		}
		changed := db.Migrations{Name: "t", FS: fstest.MapFS{"migrate/0001_t.sql": {Data: []byte("select 1;\n")}}}
		if err := d.Migrate(t.Context(), []db.Migrations{changed}); err == nil {
			t.Fatal("a changed migration was accepted")
		}
	})
}

func TestFilter(t *testing.T) {
	f := new(db.Filter).And("a = ? or b = ?", 1, 2).In("c", []string{"x", "y"}).And("d is null")
	if got, want := f.Where(), " where a = $1 or b = $2 and c in ($3, $4) and d is null"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	if f := new(db.Filter).In("c", nil); f.Where() != " where 1 = 0" {
		t.Fatal(f.Where())
	}
}

func TestFullDisk(t *testing.T) {
	d := dbtest.SQLite(t, schema)
	limit := func(pages int) {
		err := d.Update(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(fmt.Sprintf("pragma max_page_count = %d", pages))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // the least it takes is the size it has
	big := strings.Repeat("x", 1<<16)
	before := count(t, d)
	for i := range 3 {
		if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, fmt.Sprint(i, big)) }); !errors.Is(err, db.ErrFull) {
			t.Fatalf("%v", err)
		}
	}
	if n := count(t, d); n != before {
		t.Fatalf("%d rows, want %d", n, before)
	}
	limit(1 << 20)
	if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, "a"+big) }); err != nil {
		t.Fatalf("no recovery: %v", err)
	}
}

func TestFrozenStoreReads(t *testing.T) {
	d := dbtest.SQLite(t, schema)
	cold := errors.New("cold")
	d.Freeze(cold)
	if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, "a") }); !errors.Is(err, cold) {
		t.Fatal(err)
	}
	if n := count(t, d); n != 0 {
		t.Fatal(n)
	}
	d.Freeze(nil)
	if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, "a") }); err != nil {
		t.Fatal(err)
	}
}

func TestClosedStore(t *testing.T) {
	d := dbtest.SQLite(t, schema)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Update(t.Context(), func(*db.Tx) error { return nil }); !errors.Is(err, db.ErrClosed) {
		t.Fatal(err)
	}
}

func TestInsideABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema)
		if err := d.Update(t.Context(), func(tx *db.Tx) error { return insert(tx, "a") }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = d.Close()
	})
}

func TestOnlyLooseUpdatesDoNotWaitForTheDisk(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		query, durable, loose := "pragma synchronous", "2", "1"
		if d.Postgres() {
			query, durable, loose = "show synchronous_commit", "on", "off"
		}
		var mode string
		look := func(tx *db.Tx) error { return tx.QueryRow(query).Scan(&mode) }
		for i, x := range []struct {
			update func(context.Context, func(*db.Tx) error) error
			want   string
		}{{d.Update, durable}, {d.UpdateLoosely, loose}, {d.UpdateLoosely, loose}, {d.Update, durable}, {d.Update, durable}} {
			if err := x.update(t.Context(), look); err != nil || mode != x.want {
				t.Errorf("%d: %q, want %q, %v", i, mode, x.want, err)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	d := dbtest.SQLite(b, schema)
	var n int64
	var mu sync.Mutex
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprint(n)
			mu.Unlock()
			if err := d.Update(b.Context(), func(tx *db.Tx) error { return insert(tx, id) }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestSameQueryInsideItsRows(t *testing.T) {
	dbtest.Each(t, []db.Migrations{schema}, func(t *testing.T, d *db.DB) {
		if err := d.Update(t.Context(), func(tx *db.Tx) error {
			return errors.Join(insert(tx, "a"), insert(tx, "b"), insert(tx, "c"))
		}); err != nil {
			t.Fatal(err)
		}
		if d.Postgres() {
			t.Skip("PostgreSQL has one cursor for a connection")
		}
		const all, one = "select id from t_row order by id", "select id from t_row where id = $1"
		read := func(tx *db.Tx) error {
			var got []string
			_, err := db.Rows(tx, all, nil, func(r *sql.Rows) (string, error) {
				var id, again string
				if err := r.Scan(&id); err != nil {
					return "", err
				}
				inner, err := db.Rows(tx, all, nil, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) })
				if err != nil || len(inner) != 3 {
					return "", fmt.Errorf("%d rows inside, %w", len(inner), err)
				}
				err = tx.QueryRow(one, id).Scan(&again)
				got = append(got, again)
				return id, err
			})
			if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
				return errors.Join(err, errors.New(diff))
			}
			return err
		}
		if err := errors.Join(d.View(t.Context(), read), d.Update(t.Context(), read), d.View(t.Context(), read)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestViewsSeeOneSnapshotEach(t *testing.T) {
	d := dbtest.SQLite(t, schema)
	inside, wrote := make(chan struct{}), make(chan struct{})
	go func() {
		<-inside
		_ = d.Update(context.Background(), func(tx *db.Tx) error { return insert(tx, "a") })
		close(wrote)
	}()
	var before, after int
	err := d.View(t.Context(), func(tx *db.Tx) error {
		const query = "select count(*) from t_row"
		if err := tx.QueryRow(query).Scan(&before); err != nil {
			return err
		}
		close(inside)
		<-wrote
		return tx.QueryRow(query).Scan(&after)
	})
	if err != nil || before != 0 || after != 0 {
		t.Fatalf("%d rows, then %d, %v", before, after, err)
	}
	if n := count(t, d); n != 1 {
		t.Fatal(n)
	}
}

func TestViewsWaitForAReader(t *testing.T) {
	d := dbtest.SQLite(t, schema)
	var wg sync.WaitGroup
	full, let := make(chan struct{}, 8), make(chan struct{})
	for range 8 {
		wg.Go(func() {
			_ = d.View(t.Context(), func(*db.Tx) error { full <- struct{}{}; <-let; return nil })
		})
	}
	for range 8 {
		<-full
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.View(ctx, func(*db.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(let)
	wg.Wait()
	func() {
		defer func() { _ = recover() }()
		_ = d.View(t.Context(), func(*db.Tx) error { panic("boom") })
	}()
	if n := count(t, d); n != 0 {
		t.Fatal(n)
	}
	_ = d.Close()
	if err := d.View(t.Context(), func(*db.Tx) error { return nil }); !errors.Is(err, db.ErrClosed) {
		t.Fatal(err)
	}
}
