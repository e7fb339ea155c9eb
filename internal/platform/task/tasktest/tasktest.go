// Package tasktest makes task engines for tests.
package tasktest

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// New makes an engine on d, whose migrations include task.Migrations. Nothing runs
// until RunDue or Start.
func New(_ testing.TB, d *db.DB) *task.Engine {
	return task.New(d, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// Start runs e in the background until the test ends.
func Start(t testing.TB, e *task.Engine) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
