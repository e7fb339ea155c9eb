package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The waits between attempts to reach the hub: a random part (full jitter) of
// a limit that doubles from firstWait to maxWait.
const (
	firstWait = time.Second
	maxWait   = 30 * time.Second
	maxHint   = 5 * time.Minute
)

// backoff counts failed attempts in a row.
type backoff struct{ failed int }

// next is the wait after one more failure. A hub that said when to come back
// is not asked earlier, and not by everyone at that instant.
func (b *backoff) next(err error) time.Duration {
	limit := maxWait
	if b.failed < 5 {
		limit = min(firstWait<<b.failed, maxWait)
	}
	b.failed++
	wait := rand.N(limit)
	var e *hubError
	if errors.As(err, &e) && e.After > 0 {
		return min(e.After, maxHint) + rand.N(max(e.After/4, time.Second))
	}
	return wait
}

func (b *backoff) reset() { b.failed = 0 }

// pause waits, and is false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
