// Package journaltest makes journals for tests.
package journaltest

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// New makes a journal on d, whose migrations include journal.Migrations, with a key
// of its own. Nothing is handed on until Dispatch or Start.
func New(t testing.TB, d *db.DB) *journal.Journal {
	t.Helper()
	s, err := journal.OpenSigner(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return journal.New(d, s, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// Start runs j in the background until the test ends.
func Start(t testing.TB, j *journal.Journal) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- j.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
