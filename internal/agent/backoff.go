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

// codeReplaced is the error of a channel that the hub closed for a newer one.
const codeReplaced = "ChannelReplaced"

func wasReplaced(err error) bool {
	var e *hubError
	return errors.As(err, &e) && e.Code == codeReplaced
}

// The waits of a program whose channel was taken over by another one with the
// same registration: two of them would take it from each other for ever.
const (
	yieldFirst = time.Minute
	yieldMax   = time.Hour
	yieldLong  = 2 * time.Hour // a channel held that long was not fought for
)

// yielding counts replacements in a row.
type yielding struct{ times int }

// next is the wait after one more replacement of a channel that was held for a
// time.
func (y *yielding) next(held time.Duration) time.Duration {
	if held > yieldLong {
		y.times = 0
	}
	limit := yieldMax
	if y.times < 6 {
		limit = min(yieldFirst<<y.times, yieldMax)
	}
	y.times++
	return limit + rand.N(limit/2)
}
