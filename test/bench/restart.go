package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const expiring = 20

// benchRestart measures, from the start of the process after kill -9, until what
// became due meanwhile is done, and until a task that was running then runs again.
func benchRestart(ctx context.Context, dir string) ([]result, error) {
	due, err := restartHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	out := []result{restartRow(fmt.Sprintf("hub killed, start to the last of %d timers due meanwhile", expiring), due)}
	for _, s := range stores(filepath.Join(dir, "held.db")) {
		held, err := restartWorker(ctx, s.url)
		if err != nil {
			return nil, err
		}
		out = append(out, restartRow("worker killed in a task, start to the task running again, "+s.name, held))
	}
	return out, nil
}

func restartRow(what string, took time.Duration) result {
	return result{what, took.Round(time.Millisecond).String(), "limit 1 s", ratio(1000, ms(took)), "under 1 s", took < time.Second}
}

// restartHub kills a hub before parameters expire and starts it again afterwards.
func restartHub(ctx context.Context, dir string) (time.Duration, error) {
	h, err := startHub(ctx, dir)
	if err != nil {
		return 0, err
	}
	end := time.Now().Add(2 * time.Second)
	err = putExpiring(h.http, end)
	h.kill()
	if err != nil {
		return 0, err
	}
	if !time.Now().Before(end) {
		return 0, fmt.Errorf("the parameters expired before the hub was killed")
	}
	<-time.After(time.Until(end) + 100*time.Millisecond)
	began := time.Now()
	if h, err = startHub(ctx, dir); err != nil {
		return 0, err
	}
	<-time.After(2 * time.Second)
	h.stop()
	ended, err := facts(ctx, dir, "parameter.expired")
	if err != nil {
		return 0, err
	}
	if len(ended) != expiring {
		return 0, fmt.Errorf("%d of %d parameters expired", len(ended), expiring)
	}
	return ended[len(ended)-1].Sub(began), nil
}

func putExpiring(host string, end time.Time) error {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	policy := fmt.Sprintf(`[{\"Type\":\"Expiration\",\"Version\":\"1.0\",\"Attributes\":{\"Timestamp\":\"%s\"}}]`, end.UTC().Format("2006-01-02T15:04:05.000Z"))
	for i := range expiring {
		put, err := wireRequest(host, "PutParameter", fmt.Sprintf(`{"Name":"/bench/e%d","Value":"x","Type":"String","Tier":"Advanced","Policies":"%s"}`, i, policy))
		if err != nil {
			return err
		}
		if err := once(c, in, put); err != nil {
			return fmt.Errorf("put-parameter: %w", err)
		}
	}
	return nil
}

// restartWorker kills a worker while it runs a task, and starts another in its place.
func restartWorker(ctx context.Context, url string) (time.Duration, error) {
	d, e, err := openStore(ctx, url)
	if err != nil {
		return 0, err
	}
	err = clearWork(ctx, d)
	if err == nil {
		err = d.Update(ctx, func(tx *db.Tx) error { return e.Enqueue(tx, task.Spec{Kind: heldKind, Key: "held"}) })
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return 0, err
	}
	if _, err := holdUntil(ctx, url, 1); err != nil {
		return 0, err
	}
	began := time.Now()
	again, err := holdUntil(ctx, url, 2)
	return again.Sub(began), err
}

// holdUntil starts a worker, kills it once the held task has begun n times, and says
// when it did the last time.
func holdUntil(ctx context.Context, url string, n int) (at time.Time, err error) {
	c := exec.CommandContext(ctx, os.Args[0], "-worker", url, "-hold")
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return at, err
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	d, err := db.Open(ctx, url)
	if err != nil {
		return at, err
	}
	defer func() { _ = d.Close() }()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); <-time.After(5 * time.Millisecond) {
		var begun []time.Time
		err := d.View(ctx, func(tx *db.Tx) (err error) {
			begun, err = db.Rows(tx, "select at from bench_work order by at", nil, func(r *sql.Rows) (time.Time, error) {
				var us int64
				err := r.Scan(&us)
				return db.FromMicros(us), err
			})
			return err
		})
		if err != nil {
			return at, err
		}
		if len(begun) >= n {
			return begun[n-1], nil
		}
	}
	return at, fmt.Errorf("the task did not begin for the %d. time", n)
}
