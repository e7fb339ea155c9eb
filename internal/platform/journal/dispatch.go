package journal

import (
	"context"
	"errors"
	"sync"
	"time"
)

const pollEvery = time.Second

// Start gives positions, hands facts on and signs checkpoints until ctx ends.
func (j *Journal) Start(ctx context.Context) error {
	woken, end := j.db.Listen(topic)
	defer end()
	var wg sync.WaitGroup
	for _, s := range j.subs {
		wg.Go(func() { j.follow(ctx, s) })
	}
	defer wg.Wait()
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for ctx.Err() == nil {
		more, err := j.step(ctx)
		if err != nil && ctx.Err() == nil {
			j.log.ErrorContext(ctx, "dispatch the journal", "error", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-woken:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	_, err := j.step(context.WithoutCancel(ctx))
	return errors.Join(err, j.checkpoint(context.WithoutCancel(ctx)))
}

// step assigns once, wakes the subscriptions, and signs when it is time.
func (j *Journal) step(ctx context.Context) (more bool, err error) {
	n, err := j.assign(ctx)
	if err != nil {
		return false, err
	}
	if n > 0 {
		j.wakeAll()
	}
	return n == maxAssign, j.checkpointIfDue(ctx)
}

func (j *Journal) wakeAll() {
	for _, s := range j.subs {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// follow delivers to one subscription whenever there may be something. Several
// hubs: the one that assigns wakes its own subscriptions, the others look each
// second.
func (j *Journal) follow(ctx context.Context, s *subscriber) {
	for ctx.Err() == nil {
		wait := pollEvery
		if _, err := j.deliver(ctx, s); err != nil {
			wait = min(firstPause<<s.tries, longestWait)
			if s.tries == 0 && ctx.Err() == nil {
				j.log.ErrorContext(ctx, "deliver facts", "subscription", s.Name, "error", err)
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-s.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// Dispatch gives positions and hands facts on until nothing is left. It is for
// tests and tools, not beside Start.
func (j *Journal) Dispatch(ctx context.Context) error {
	for {
		n, err := j.assign(ctx)
		if err != nil {
			return err
		}
		for _, s := range j.subs {
			m, err := j.deliver(ctx, s)
			if err != nil {
				return err
			}
			n += m
		}
		if n == 0 {
			return nil
		}
	}
}
