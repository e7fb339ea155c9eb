package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

// One offset after the other: what is logged and what the engine is told.
func TestClock(t *testing.T) {
	steps := []struct {
		offset time.Duration
		err    error
		want   string
	}{
		{0, nil, ""},
		{500 * time.Millisecond, nil, ""},
		{-501 * time.Millisecond, nil, "differs"},
		{2 * time.Second, nil, "differs"},
		{2*time.Second + 1, nil, "differs stop"},
		{-time.Hour, nil, "differs"},
		{0, errors.New("no answer"), "compared"},
		{time.Second, nil, "differs go"},
		{0, nil, ""},
		{-3 * time.Second, nil, "differs stop"},
		{0, nil, "go"},
	}
	var log strings.Builder
	var said []string
	at := 0
	c := &clock{
		log:    slog.New(slog.NewTextHandler(&log, nil)),
		offset: func(context.Context) (time.Duration, error) { return steps[at].offset, steps[at].err },
		pause:  func(on bool) { said = append(said, map[bool]string{true: "stop", false: "go"}[on]) },
	}
	for at = range steps {
		log.Reset()
		said = nil
		c.check(t.Context())
		for _, word := range []string{"compared", "differs"} {
			if strings.Contains(log.String(), word) {
				said = append([]string{word}, said...)
			}
		}
		if got := strings.Join(said, " "); got != steps[at].want {
			t.Errorf("step %d: %q, want %q", at, got, steps[at].want)
		}
	}
}

func TestClockIsComparedEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := &clock{offset: func(context.Context) (time.Duration, error) { asked.Add(1); return 0, nil }}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer stop()
		if err := c.watch(ctx); err != nil || asked.Load() != 10 {
			t.Errorf("compared %d times in 10 minutes, %v", asked.Load(), err)
		}
	})
}

// The test's PostgreSQL is on this machine: it has the same clock.
func TestClockOfPostgreSQL(t *testing.T) {
	dbtest.Each(t, nil, func(t *testing.T, d *db.DB) {
		h := &hub{db: d}
		if !d.Postgres() {
			if h.newClock() != nil {
				t.Error("SQLite has no clock")
			}
			return
		}
		offset, err := h.clockOffset(t.Context())
		if err != nil || offset.Abs() > 100*time.Millisecond {
			t.Errorf("offset %v, %v", offset, err)
		}
	})
}
