package task_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

var schema = []db.Migrations{task.Migrations}

func scoped(ctx context.Context) context.Context {
	return db.WithScope(ctx, db.Scope{Account: "123456789012", Region: "us-east-1"})
}

func enqueue(t *testing.T, d *db.DB, e *task.Engine, s task.Spec) {
	t.Helper()
	if err := d.Update(scoped(t.Context()), func(tx *db.Tx) error { return e.Enqueue(tx, s) }); err != nil {
		t.Fatal(err)
	}
}

func runDue(t *testing.T, e *task.Engine) {
	t.Helper()
	if err := e.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRunsOnceWithItsArgumentsAndScope(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		e := tasktest.New(t, d)
		var got []string
		e.Handle("a", func(ctx context.Context, r *task.Run) error {
			var args []int
			err := r.Decode(&args)
			got = append(got, fmt.Sprint(r.Key, args, r.Attempt, db.ScopeOf(ctx)))
			return err
		})
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k", Args: []int{1}})
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k", Args: []int{2}}) // waits already: kept
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "later", Due: time.Now().Add(time.Hour)})
		enqueue(t, d, e, task.Spec{Kind: "unknown", Key: "k"})
		runDue(t, e)
		runDue(t, e)
		if want := "[k[1] 1 {123456789012 us-east-1}]"; fmt.Sprint(got) != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestEnqueueWhileRunningRunsAgain(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		e := tasktest.New(t, d)
		var got []int
		e.Handle("a", func(ctx context.Context, r *task.Run) error {
			var n int
			if err := r.Decode(&n); err != nil {
				return err
			}
			got = append(got, n)
			if n == 1 {
				enqueue(t, d, e, task.Spec{Kind: "a", Key: "k", Args: 2})
			}
			return nil
		})
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k", Args: 1})
		runDue(t, e)
		runDue(t, e) // the second became due after the first call began
		if fmt.Sprint(got) != "[1 2]" {
			t.Fatal(got)
		}
	})
}

func TestCancelRescheduleAndFence(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		e := tasktest.New(t, d)
		ran := 0
		var fenced error
		e.Handle("a", func(ctx context.Context, r *task.Run) error {
			ran++
			fenced = d.Update(ctx, func(tx *db.Tx) error {
				if ok, err := e.Cancel(tx, "a", r.Key); !ok || err != nil {
					return fmt.Errorf("cancel: %v %w", ok, err)
				}
				return r.Done(tx)
			})
			return fenced
		})
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k", Due: time.Now().Add(time.Hour)})
		err := d.Update(scoped(t.Context()), func(tx *db.Tx) error {
			ok, err := e.Reschedule(tx, "a", "k", tx.Now)
			if no, _ := e.Reschedule(tx, "a", "other", tx.Now); !ok || no {
				t.Error("Reschedule found the wrong tasks")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		runDue(t, e)
		if ran != 1 || !errors.Is(fenced, task.ErrFenced) {
			t.Fatalf("ran %d times, %v", ran, fenced)
		}
	})
}

func TestFailuresAreRetriedKeptAndEndAsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema...)
		e := tasktest.New(t, d)
		ran := 0
		e.HandleWith("a", task.Options{MaxAttempts: 3}, func(context.Context, *task.Run) error {
			ran++
			if ran == 2 {
				panic("boom")
			}
			return errors.New("no luck")
		})
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k"})
		tasktest.Start(t, e)
		time.Sleep(time.Minute)
		fs, err := e.Failures(scoped(t.Context()), "a", "k")
		if err != nil || ran != 3 || len(fs) != 3 || fs[0].Error != "no luck" || fs[2].Attempt != 3 {
			t.Fatalf("ran %d, %+v, %v", ran, fs, err)
		}
		enqueue(t, d, e, task.Spec{Kind: "a", Key: "k"}) // a dead task can be asked for again
		time.Sleep(time.Second)
		if ran < 4 {
			t.Fatal("a dead task did not run when it was enqueued again")
		}
	})
}

func TestTimersAreNeverEarlyAndOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema...)
		e := tasktest.New(t, d)
		var mu sync.Mutex
		late := map[string]time.Duration{}
		e.Handle("a", func(_ context.Context, r *task.Run) error {
			mu.Lock()
			defer mu.Unlock()
			late[r.Key] = time.Since(r.Due)
			return nil
		})
		tasktest.Start(t, e)
		for i := range 200 {
			enqueue(t, d, e, task.Spec{Kind: "a", Key: fmt.Sprint(i), Due: time.Now().Add(time.Duration(i*37%200) * 313 * time.Millisecond)})
		}
		time.Sleep(2 * time.Minute)
		if len(late) != 200 {
			t.Fatalf("%d ran", len(late))
		}
		for k, l := range late {
			if l < 0 || l > 10*time.Millisecond {
				t.Errorf("%s was late by %v", k, l)
			}
		}
	})
}

func TestAgainWaitsAndStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, schema...)
		e := tasktest.New(t, d)
		var at []time.Duration
		start := time.Now()
		e.Handle("a", func(ctx context.Context, r *task.Run) error {
			at = append(at, time.Since(start).Round(time.Second))
			return d.Update(ctx, func(tx *db.Tx) error {
				if len(at) == 3 {
					return r.Done(tx)
				}
				return r.Again(tx, tx.Now.Add(10*time.Second))
			})
		})
		tasktest.Start(t, e)
		enqueue(t, d, e, task.Spec{Kind: "a"})
		time.Sleep(time.Minute)
		if fmt.Sprint(at) != "[0s 10s 20s]" {
			t.Fatal(at)
		}
	})
}

func TestSeveralEnginesShareTheWork(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		var total atomic.Int64
		var seen sync.Map
		all := make(chan struct{})
		const n = 600
		var engines []*task.Engine
		for range 3 {
			e := tasktest.New(t, d)
			e.Handle("a", func(_ context.Context, r *task.Run) error {
				if _, twice := seen.LoadOrStore(r.Key, true); twice {
					t.Errorf("%s ran twice", r.Key)
				}
				if total.Add(1) == n {
					close(all)
				}
				return nil
			})
			engines = append(engines, e)
		}
		for i := range n {
			enqueue(t, d, engines[i%3], task.Spec{Kind: "a", Key: fmt.Sprint(i)})
		}
		if !d.Postgres() { // one process owns a SQLite file, so one engine reclaims at start
			engines = engines[:1]
		}
		for _, e := range engines {
			tasktest.Start(t, e)
		}
		<-all
	})
}

func TestReclaimAfterACrash(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) { reclaimAfterACrash(t, d) })
}

func reclaimAfterACrash(t *testing.T, d *db.DB) {
	dead := tasktest.New(t, d)
	dead.Place("here")
	hang := make(chan struct{})
	claimed := make(chan struct{})
	var fenced error
	finished := make(chan struct{})
	dead.Handle("a", func(ctx context.Context, r *task.Run) error {
		close(claimed)
		<-hang // as if the process had died here
		fenced = d.Update(ctx, r.Done)
		close(finished)
		return fenced
	})
	enqueue(t, d, dead, task.Spec{Kind: "a", Key: "k"})
	go func() { _ = dead.RunDue(context.Background()) }()
	<-claimed
	alive := tasktest.New(t, d)
	alive.Place("here")
	done := make(chan int, 1)
	alive.Handle("a", func(_ context.Context, r *task.Run) error { done <- r.Attempt; return nil })
	start := time.Now()
	tasktest.Start(t, alive)
	if n := <-done; n != 2 || time.Since(start) > 5*time.Second {
		t.Fatalf("attempt %d after %v", n, time.Since(start))
	}
	close(hang)
	<-finished
	if !errors.Is(fenced, task.ErrFenced) {
		t.Fatal(fenced)
	}
}

func TestTasksOfAnotherPlaceAreLeftAlone(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		if !d.Postgres() {
			t.Skip("one process at a time uses a SQLite file")
		}
		other := tasktest.New(t, d)
		other.Place("there")
		hang, claimed, finished := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		other.Handle("a", func(ctx context.Context, r *task.Run) error {
			close(claimed)
			<-hang
			err := d.Update(ctx, r.Done)
			finished <- err
			return err
		})
		enqueue(t, d, other, task.Spec{Kind: "a", Key: "k"})
		go func() { _ = other.RunDue(context.Background()) }()
		<-claimed
		for _, place := range []string{"the", "here", ""} {
			e := tasktest.New(t, d)
			if place != "" {
				e.Place(place)
			}
			e.Handle("a", func(context.Context, *task.Run) error { t.Errorf("taken up in %q", place); return nil })
			ctx, stop := context.WithCancel(t.Context())
			e.Handle("b", func(context.Context, *task.Run) error { stop(); return nil })
			enqueue(t, d, e, task.Spec{Kind: "b", Key: "k"})
			if err := e.Start(ctx); err != nil { // it takes up first, then runs what is due, then ends
				t.Error(err)
			}
		}
		close(hang)
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
	})
}
