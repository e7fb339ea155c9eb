package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	pendingTimers = 100_000
	dueTimers     = 300
	sharedTasks   = 30_000
	workers       = 3
)

func openStore(ctx context.Context, url string) (*db.DB, *task.Engine, error) {
	d, err := db.Open(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	if err := d.Migrate(ctx, []db.Migrations{task.Migrations, workSchema}); err != nil {
		return nil, nil, err
	}
	return d, task.New(d, slog.New(slog.NewTextHandler(io.Discard, nil))), nil
}

// benchTimers measures how late timers are with many others pending.
func benchTimers(ctx context.Context, dir string) (out []result, err error) {
	for _, s := range stores(filepath.Join(dir, "t.db")) {
		r, err := timersOn(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		out = append(out, r)
	}
	return out, nil
}

type store struct{ name, url string }

// stores are a SQLite file and, when there is one, the PostgreSQL.
func stores(file string) []store {
	out := []store{{"SQLite", "sqlite:" + file}}
	if url := os.Getenv("WATCHBILL_TEST_POSTGRES"); url != "" {
		out = append(out, store{"PostgreSQL", url})
	}
	return out
}

func timersOn(ctx context.Context, s store) (none result, err error) {
	d, e, err := openStore(ctx, s.url)
	if err != nil {
		return none, err
	}
	defer func() { _ = d.Close() }()
	if err := clearWork(ctx, d); err != nil {
		return none, err
	}
	defer func() { _ = clearWork(ctx, d) }()
	late, err := lateness(ctx, d, e)
	if err != nil {
		return none, err
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	return result{
		fmt.Sprintf("timer lateness, %d pending, %s", pendingTimers, s.name), fmt.Sprintf("p50 %v, p99 %v, earliest %v", late[len(late)/2].Round(time.Microsecond), p99.Round(time.Microsecond), late[0].Round(time.Microsecond)),
		"limit 10 ms", ratio(10, ms(p99)), "p99 under 10 ms, never early", ms(p99) < 10 && late[0] >= 0,
	}, nil
}

// lateness runs timers among the pending ones.
func lateness(ctx context.Context, d *db.DB, e *task.Engine) (late []time.Duration, err error) {
	var mu sync.Mutex
	done := make(chan struct{})
	e.Handle("due", func(_ context.Context, r *task.Run) error {
		mu.Lock()
		defer mu.Unlock()
		if late = append(late, time.Since(r.Due)); len(late) == dueTimers {
			close(done)
		}
		return nil
	})
	ready := make(chan struct{})
	e.Handle("first", func(context.Context, *task.Run) error { close(ready); return nil })
	e.Handle("pending", func(context.Context, *task.Run) error { return nil })
	if err := fill(ctx, d, e, "first", 1, func(int) time.Time { return time.Now() }); err != nil {
		return nil, err
	}
	if err := fill(ctx, d, e, "pending", pendingTimers, func(int) time.Time { return time.Now().Add(24*time.Hour + rand.N(time.Hour)) }); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Start(run) }()
	<-ready // the engine runs
	start := time.Now().Add(time.Second)
	if err := fill(ctx, d, e, "due", dueTimers, func(i int) time.Time { return start.Add(time.Duration(i) * 20 * time.Millisecond) }); err != nil {
		stop()
		return nil, err
	}
	<-done
	stop()
	return late, <-ended
}

func fill(ctx context.Context, d *db.DB, e *task.Engine, kind string, n int, due func(i int) time.Time) error {
	for from := 0; from < n; from += 1000 {
		err := d.Update(ctx, func(tx *db.Tx) error {
			for i := from; i < min(n, from+1000); i++ {
				if err := e.Enqueue(tx, task.Spec{Kind: kind, Key: fmt.Sprint(i), Due: due(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// benchWorkers lets three processes work on one PostgreSQL and counts that each task
// ran once.
func benchWorkers(ctx context.Context, _ string) ([]result, error) {
	url := os.Getenv("WATCHBILL_TEST_POSTGRES")
	if url == "" {
		return []result{{fmt.Sprintf("%d tasks by %d processes", sharedTasks, workers), "not measured: no PostgreSQL", "-", "-", "each once", false}}, nil
	}
	d, e, err := openStore(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	if err := clearWork(ctx, d); err != nil {
		return nil, err
	}
	if err := fill(ctx, d, e, workKind, sharedTasks, func(int) time.Time { return time.Now() }); err != nil {
		return nil, err
	}
	began := time.Now()
	var cmds []*exec.Cmd
	for range workers {
		c := exec.CommandContext(ctx, os.Args[0], "-worker", url)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			return nil, err
		}
		cmds = append(cmds, c)
	}
	for _, c := range cmds {
		if err := c.Wait(); err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	ran, twice, by, err := countWork(ctx, d)
	if err != nil {
		return nil, err
	}
	return []result{{
		fmt.Sprintf("%d tasks by %d processes on one PostgreSQL", sharedTasks, workers), fmt.Sprintf("%d ran, %d twice, shares %s, %.0f/s", ran, twice, strings.Join(by, "/"), float64(sharedTasks)/took.Seconds()),
		"-", "-", "each once", ran == sharedTasks && twice == 0,
	}}, nil
}
