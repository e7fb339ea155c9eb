package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing/fstest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	workKind = "bench.work"
	heldKind = "bench.held"
)

var workSchema = db.Migrations{Name: "bench", FS: fstest.MapFS{"migrate/0001_bench.sql": {Data: []byte(
	"create table bench_work(\n\tkey {text} not null,\n\tpid bigint not null,\n\tat bigint not null);\n")}}}

// work is one of the processes: it runs tasks, leaving a row for each, until none is
// left; with hold it leaves a row when a task begins and never ends it.
func work(url string, hold bool) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	d, e, err := openStore(ctx, url)
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	if hold {
		e.Place("bench")
	}
	e.Handle(heldKind, func(ctx context.Context, r *task.Run) error {
		err := d.Update(ctx, func(tx *db.Tx) error { return leave(tx, r) })
		if err == nil {
			select {}
		}
		return err
	})
	e.Handle(workKind, func(ctx context.Context, r *task.Run) error {
		return d.Update(ctx, func(tx *db.Tx) error {
			if err := leave(tx, r); err != nil {
				return err
			}
			return r.Done(tx)
		})
	})
	if !hold {
		go stopWhenDone(ctx, d, stop)
	}
	if err := e.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	_ = d.Close()
}

// leave keeps that a run began.
func leave(tx *db.Tx, r *task.Run) error {
	_, err := tx.Exec("insert into bench_work(key, pid, at) values($1, $2, $3)", r.Key, os.Getpid(), db.Micros(tx.Now))
	return err
}

// stopWhenDone looks until no task is left.
func stopWhenDone(ctx context.Context, d *db.DB, stop func()) {
	for {
		<-time.After(20 * time.Millisecond)
		var left int
		err := d.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow("select count(*) from task_task where kind = $1", workKind).Scan(&left)
		})
		if err == nil && left == 0 {
			stop()
			return
		}
	}
}

func clearWork(ctx context.Context, d *db.DB) error {
	return d.Update(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("delete from bench_work"); err != nil {
			return err
		}
		_, err := tx.Exec("delete from task_task where kind in ($1, $2, 'due', 'pending', 'first')", workKind, heldKind)
		return err
	})
}

// countWork says how many tasks left a row, how many more than one, and the share of
// each process.
func countWork(ctx context.Context, d *db.DB) (ran, twice int, by []string, err error) {
	err = d.View(ctx, func(tx *db.Tx) error {
		if err := tx.QueryRow("select count(distinct key) from bench_work").Scan(&ran); err != nil {
			return err
		}
		if err := tx.QueryRow("select count(*) from (select key from bench_work group by key having count(*) > 1) as t").Scan(&twice); err != nil {
			return err
		}
		by, err = db.Rows(tx, "select count(*) from bench_work group by pid", nil, func(r *sql.Rows) (s string, err error) {
			err = r.Scan(&s)
			return s, err
		})
		return err
	})
	return ran, twice, by, err
}
