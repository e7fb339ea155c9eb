package record

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Limits of a recorder.
const (
	every    = time.Second      // from an event to its chunk
	maxPiece = 192 << 10        // bytes of a chunk; no line is longer
	maxChunk = 64 << 10         // bytes that are stored without waiting for it
	maxWait  = 1 << 20          // bytes that wait for the store before the session does
	patience = 10 * time.Second // for a chunk to be stored
	between  = 200 * time.Millisecond
)

// Config is what a recorder needs.
type Config struct {
	Header Header
	Began  time.Time // of the session
	Again  bool      // an earlier hub recorded the beginning

	// Store keeps the next chunk, durably.
	Store func(ctx context.Context, chunk []byte) error
	// Gap is called when a part was not stored. Failed is called once when a chunk of a strict recording was not stored.
	Gap    func()
	Failed func(err error)
	// Wake is called when the recorder can take more again.
	Wake   func()
	Strict bool
	Logger *slog.Logger
}

// Recorder takes events and stores them. It is safe for concurrent use; its
// methods do not block, except for Close.
type Recorder struct {
	Config
	mu      sync.Mutex
	cast    *Cast
	closed  bool
	failed  bool
	saving  int // bytes
	kick    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

// New starts a recorder.
func New(c Config) *Recorder {
	r := &Recorder{Config: c, cast: NewCast(c.Began), kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	if c.Again {
		r.cast.Mark(time.Now(), "the hub was started anew: what follows may repeat some output or lack some")
	} else {
		r.cast.Begin(c.Header)
	}
	go r.run()
	return r
}

// Do lets f write events.
func (r *Recorder) Do(f func(c *Cast, now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.failed {
		return
	}
	before := r.cast.Len()
	f(r.cast, time.Now())
	if before < maxChunk && r.cast.Len() >= maxChunk {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// Full says that so much waits for the store that nothing should be added.
func (r *Recorder) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.failed && !r.closed && r.cast.Len()+r.saving > maxWait
}

// Close stores what is left. Events that come later are not recorded. Interrupted:
// the session goes on elsewhere.
func (r *Recorder) Close(interrupted bool) {
	r.mu.Lock()
	if !r.closed {
		if !interrupted {
			r.cast.End(time.Now())
		}
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	<-r.stopped
}

func (r *Recorder) run() {
	defer close(r.stopped)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-r.kick:
		case <-r.stop:
			r.save()
			return
		}
		r.save()
	}
}

// save stores what there is. A chunk that cannot be stored within patience is
// lost, or the end of a strict session.
func (r *Recorder) save() {
	began := time.Now()
	r.mu.Lock()
	chunk := r.cast.Take()
	r.saving = len(chunk)
	failed := r.failed
	r.mu.Unlock()
	if len(chunk) == 0 || failed {
		return
	}
	err := r.storeAll(chunk)
	r.mu.Lock()
	r.saving = 0
	if err != nil {
		r.gap(began, len(chunk))
	}
	tell := err != nil && r.Strict && !r.failed
	r.failed = r.failed || tell
	r.mu.Unlock()
	if err != nil {
		r.Logger.Error("a part of a recording was not stored", "bytes", len(chunk), "strict", r.Strict, "error", err)
	}
	if err != nil {
		r.Gap()
	}
	if tell {
		r.Failed(err)
	}
	r.Wake()
}

// gap marks what is missing, before what came since.
func (r *Recorder) gap(at time.Time, n int) {
	since := r.cast.Take()
	r.cast.Mark(at, fmt.Sprintf("a gap: %d bytes of the recording could not be stored", n))
	r.cast.lines.Write(since)
}

// storeAll stores lines in chunks of a bounded size.
func (r *Recorder) storeAll(lines []byte) error {
	for len(lines) > 0 {
		n := len(lines)
		if n > maxPiece {
			n = 1 + bytes.LastIndexByte(lines[:maxPiece], '\n')
		}
		if err := r.store(lines[:n]); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

func (r *Recorder) store(chunk []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := r.Store(ctx, chunk)
		if err == nil {
			return nil
		}
		t := time.NewTimer(between)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}
