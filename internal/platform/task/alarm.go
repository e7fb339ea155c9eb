package task

import (
	"context"
	"sync"
	"time"
)

// alarm wakes the engine's loop at the earliest of the times it was given since
// the loop last looked at the table.
type alarm struct {
	mu       sync.Mutex
	earliest time.Time
	set      bool
	wake     chan struct{}
}

func (a *alarm) init() { a.wake = make(chan struct{}, 1) }

// at asks for a look at the table at t; the zero time means now.
func (a *alarm) at(t time.Time) {
	if t.IsZero() {
		t = time.Now()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set && !t.Before(a.earliest) {
		return
	}
	a.earliest, a.set = t, true
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns the earlier of next and the earliest time asked for.
func (a *alarm) take(next time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set && (next.IsZero() || a.earliest.Before(next)) {
		next = a.earliest
	}
	return next
}

func (a *alarm) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = false
}

// wait returns at the earliest of next, the times asked for, another hub's signal,
// and the polling net; at once when ctx ends.
func (a *alarm) wait(ctx context.Context, other <-chan struct{}, next time.Time) {
	defer a.forget()
	deadline := time.Now().Add(pollEvery)
	for {
		until := time.Until(earlier(a.take(next), deadline))
		if until <= 0 {
			return
		}
		t := time.NewTimer(until)
		select {
		case <-a.wake:
		case <-other:
			t.Stop()
			return
		case <-t.C:
			return
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
