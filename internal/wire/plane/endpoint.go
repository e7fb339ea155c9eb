package plane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Limits of an endpoint.
const (
	maxStreams = 1024
	maxLater   = 4096
	firstWait  = 50 * time.Millisecond
	mostWait   = 2 * time.Second
)

// EndError says that the session is over.
type EndError struct{ Cause string }

func (e *EndError) Error() string { return e.Cause }

// Config is what an endpoint needs.
type Config struct {
	Client bool

	// Dial makes a link, with its greeting done: see Greet. An *EndError stops
	// the endpoint, other errors are tried again.
	Dial func(ctx context.Context) (*Link, Welcome, error)

	// Patience is how long links are tried without success, 0: 5 minutes.
	Patience time.Duration

	// Handle serves a stream, at the node.
	Handle func(s *Stream)

	// Linked, which may be nil, hears whether there is a link and the other end.
	Linked func(up bool)

	// Notice, which may be nil, hears what the hub has to say to the person. It
	// must not block.
	Notice func(text string)
}

// Endpoint is the client's or the node's end of a session. It lives over the loss
// of links.
type Endpoint struct {
	Config

	mu      sync.Mutex
	link    *Link
	peer    bool
	err     error
	streams map[uint32]*Stream
	last    uint32          // the client's last stream
	used    used            // the node's
	asked   map[uint32]bool // the node's: named in this round and not there yet
	granted int
	todo    []func()
	kick    chan struct{}
	done    chan struct{}
}

// NewEndpoint makes an end that Run brings to life.
func NewEndpoint(c Config) *Endpoint {
	if c.Patience == 0 {
		c.Patience = 5 * time.Minute
	}
	return &Endpoint{Config: c, streams: map[uint32]*Stream{}, asked: map[uint32]bool{}, kick: make(chan struct{}, 1), done: make(chan struct{})}
}

// Run keeps the session up until it is over or ctx ends. The error says why:
// an *EndError when the hub ended it, or what kept links from being made.
func (e *Endpoint) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var helper sync.WaitGroup
	helper.Go(func() { e.work(ctx) })
	defer helper.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { e.attach(nil, false) })
	defer stop()
	err := e.keep(ctx)
	e.over(err)
	return err
}

// keep makes links and reads them.
func (e *Endpoint) keep(ctx context.Context) error {
	lost, failed := time.Now(), 0
	for {
		link, welcome, err := e.Dial(ctx)
		if err == nil {
			err = e.serve(ctx, link, welcome)
			lost, failed = time.Now(), 0
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if over, ok := errors.AsType[*EndError](err); ok {
			return over
		}
		if time.Since(lost) > e.Patience {
			return fmt.Errorf("the session was lost: %w", err)
		}
		wait := min(firstWait<<min(failed, 8), mostWait)
		failed++
		t := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// serve reads a link until it ends.
func (e *Endpoint) serve(ctx context.Context, link *Link, welcome Welcome) error {
	defer e.attach(nil, false)
	e.attach(link, welcome.Peer)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	go link.Beat()
	if welcome.Peer {
		e.later(e.sync)
	}
	for {
		f, err := link.ReadFrame()
		if err != nil {
			return err
		}
		if err := e.take(f); err != nil {
			return err
		}
	}
}

// attach makes a link the one that is written to; the old one is closed.
func (e *Endpoint) attach(link *Link, peer bool) {
	e.mu.Lock()
	old := e.link
	e.link, e.peer = link, peer
	e.mu.Unlock()
	if old != nil {
		old.Close()
	}
	e.tell()
}

func (e *Endpoint) tell() {
	if e.Linked == nil {
		return
	}
	e.mu.Lock()
	up := e.link != nil && e.peer
	e.mu.Unlock()
	e.Linked(up)
}

// over ends all streams.
func (e *Endpoint) over(err error) {
	e.mu.Lock()
	e.err = err
	all := e.live()
	e.mu.Unlock()
	for _, s := range all {
		s.failed(err)
	}
	close(e.done)
}

// Bye ends the session on purpose.
func (e *Endpoint) Bye() {
	e.mu.Lock()
	link := e.link
	e.mu.Unlock()
	if link != nil {
		link.Bye()
	}
}

// Done is closed when the session is over here.
func (e *Endpoint) Done() <-chan struct{} { return e.done }

// live lists the streams by number; the caller holds the lock.
func (e *Endpoint) live() []*Stream {
	all := make([]*Stream, 0, len(e.streams))
	for _, s := range e.streams {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stream) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// Open opens a stream and waits for the node's answer. Errors: what the node
// says, *ResetError when the hub refuses, *EndError.
func (e *Endpoint) Open(ctx context.Context, open Open) (*Stream, Opened, error) {
	var answer Opened
	first, err := FrameJSON(KindOpen, 0, open)
	if err != nil {
		return nil, answer, err
	}
	e.mu.Lock()
	if e.err != nil || len(e.streams) >= maxStreams {
		err := e.err
		e.mu.Unlock()
		if err == nil {
			err = errors.New("too many streams are open")
		}
		return nil, answer, err
	}
	e.last++
	s := newStream(e, e.last, open)
	e.streams[s.id] = s
	e.granted += s.granted
	e.mu.Unlock()
	defer context.AfterFunc(ctx, func() { s.Reset("given up") })()
	first.setStream(s.id)
	if err := s.Send(first); err != nil {
		return nil, answer, err
	}
	f, err := s.Next()
	if err != nil {
		return nil, answer, err
	}
	defer f.Release()
	if f.Kind() != KindOpened || f.Decode(&answer) != nil {
		s.Reset("an answer was expected")
		return nil, answer, ErrLink
	}
	if answer.Error != "" {
		s.Close()
		return nil, answer, errors.New(answer.Error)
	}
	return s, answer, nil
}

// write writes a frame that may have to be written again. Without a link it is
// not written: it will be asked for.
func (e *Endpoint) write(f *Frame) {
	e.mu.Lock()
	link := e.link
	e.mu.Unlock()
	if link != nil && link.writeSealed(f) != nil {
		link.Close()
	}
}

// writeOnce writes and releases a frame.
func (e *Endpoint) writeOnce(f *Frame) {
	f.seal(true)
	e.write(f)
	f.Release()
}

func (e *Endpoint) reset(id uint32, reason string) {
	e.writeOnce(frameOf(KindReset, id, []byte(reason)))
}

// grant asks for a larger window.
func (e *Endpoint) grant(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.granted+n > maxGranted {
		return false
	}
	e.granted += n
	return true
}

// forget is called by a stream that is over, with its lock held.
func (e *Endpoint) forget(s *Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.streams[s.id] == s {
		delete(e.streams, s.id)
		e.granted -= s.granted
	}
}

// later lets the working goroutine do what the reading one must not wait for.
func (e *Endpoint) later(f func()) {
	e.mu.Lock()
	e.todo = append(e.todo, f)
	flood, link := len(e.todo) > maxLater, e.link
	e.mu.Unlock()
	if flood && link != nil {
		link.Close()
	}
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

func (e *Endpoint) work(ctx context.Context) {
	for {
		select {
		case <-e.kick:
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		todo := e.todo
		e.todo = nil
		e.mu.Unlock()
		for _, f := range todo {
			f()
		}
	}
}

// sync names the client's streams to the node after a link or the node's link
// was lost.
func (e *Endpoint) sync() {
	if !e.Client {
		return
	}
	e.mu.Lock()
	all, last := e.live(), e.last
	e.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		f, err := FrameJSON(KindSync, s.id, Sync{Acked: s.ackedByPeer(), Open: s.open})
		received := s.received
		s.mu.Unlock()
		if err == nil {
			f.SetNumber(received)
			e.writeOnce(f)
			s.acknowledge(true)
		}
	}
	f := NewFrame(KindSyncEnd, 0, 0)
	f.SetNumber(uint64(last))
	e.writeOnce(f)
}

// ackedByPeer is the last frame that the other end has consumed.
func (s *Stream) ackedByPeer() uint64 {
	if len(s.unacked) == 0 {
		return s.next - 1
	}
	return s.unacked[0].Number() - 1
}
