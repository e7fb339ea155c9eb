package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const (
	clockEvery   = time.Minute
	clockWarn    = 500 * time.Millisecond
	clockPause   = 2 * time.Second
	clockTimeout = 10 * time.Second
)

// clock watches how far this machine's clock is from that of the others.
type clock struct {
	offset func(ctx context.Context) (time.Duration, error) // of our clock, ahead of theirs
	pause  func(on bool)                                    // of the claiming of tasks
	log    *slog.Logger
	paused bool
}

// watch compares each minute until ctx ends.
func (c *clock) watch(ctx context.Context) error {
	t := time.NewTicker(clockEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.check(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// check compares once. A comparison that fails changes nothing.
func (c *clock) check(ctx context.Context) {
	offset, err := c.offset(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.WarnContext(ctx, "the clock cannot be compared with PostgreSQL's", "error", err)
		}
		return
	}
	off := offset.Abs()
	if off > clockWarn {
		c.log.WarnContext(ctx, "the clock differs from PostgreSQL's", "ahead", offset.String(), "tasks_stopped", off > clockPause)
	}
	if c.paused != (off > clockPause) {
		c.paused = !c.paused
		c.pause(c.paused)
		c.log.WarnContext(ctx, "claiming of tasks", "stopped", c.paused, "ahead", offset.String())
	}
}

// newClock compares with PostgreSQL; SQLite has no clock but ours: nil.
func (h *hub) newClock() *clock {
	if !h.db.Postgres() {
		return nil
	}
	return &clock{offset: h.clockOffset, pause: h.platform.tasks.Pause, log: h.log}
}

// clockOffset is how far our clock is ahead of PostgreSQL's. The time of the question
// is halved: the answer was true somewhere within it.
func (h *hub) clockOffset(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	var offset time.Duration
	err := h.db.View(ctx, func(tx *db.Tx) error {
		if err := tx.QueryRow("select 1").Scan(new(int)); err != nil { // the connection is there
			return err
		}
		var theirs int64
		asked := time.Now()
		err := tx.QueryRow("select (extract(epoch from clock_timestamp()) * 1000000)::bigint").Scan(&theirs)
		offset = asked.Add(time.Since(asked) / 2).Sub(db.FromMicros(theirs))
		return err
	})
	return offset, err
}
