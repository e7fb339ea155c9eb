package plane

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// Windows in bytes: how much of a stream may be under way in one direction. They
// start small and grow where a reader keeps up.
const (
	startWindow = 256 << 10
	maxWindow   = 4 << 20
	maxGranted  = 64 << 20 // of all streams of an endpoint
	frameCost   = 64       // what a frame counts for beside its payload
	ackDelay    = 25 * time.Millisecond
)

// ResetError says that the other end, or the hub, gave a stream up.
type ResetError struct{ Reason string }

func (e *ResetError) Error() string { return e.Reason }

// ErrClosed is for those who still use a stream that was closed here.
var ErrClosed = errors.New("plane: the stream is closed")

// Stream is one stream at one of its ends. One goroutine may read and several may
// write.
type Stream struct {
	end  *Endpoint
	id   uint32
	open Open

	mu   sync.Mutex
	cond sync.Cond // of everything below
	err  error     // why the stream is over

	unacked []*Frame // sent and not consumed, in order
	next    uint64   // number of the frame that is sent next
	pending int      // cost of unacked
	window  int
	fin     bool   // the final frame was sent
	busy    uint64 // the first frame that is being written; 0: none
	late    uint64 // acknowledged while it was

	queue    []*Frame
	queued   int // bytes not consumed
	received uint64
	eaten    uint64 // the last frame consumed
	acked    uint64 // the last one acknowledged
	sinceAck int
	granted  int
	ended    bool // the final frame was received
	discard  bool
	timer    *time.Timer
	timed    bool
	named    bool // in the client's present round
}

func newStream(e *Endpoint, id uint32, open Open) *Stream {
	s := &Stream{end: e, id: id, open: open, next: 1, window: startWindow, granted: startWindow}
	s.cond.L = &s.mu
	return s
}

// Header is what the stream was opened for.
func (s *Stream) Header() Open { return s.open }

// Frame gives a frame to be filled and sent on this stream.
func (s *Stream) Frame(kind Kind, n int) *Frame { return NewFrame(kind, s.id, n) }

// Send sends a frame of this stream, which is no longer the caller's. It waits
// while the window is closed, also over the loss of links.
func (s *Stream) Send(f *Frame) error {
	cost := len(f.Payload()) + frameCost
	s.mu.Lock()
	for s.err == nil && (s.busy != 0 || s.pending > 0 && len(f.Payload()) > 0 && s.pending+cost > s.window) {
		s.cond.Wait()
	}
	if err := s.err; err != nil || s.fin {
		s.mu.Unlock()
		f.Release()
		if err == nil {
			err = ErrClosed
		}
		return err
	}
	f.SetNumber(s.next)
	f.seal(true)
	s.busy = s.next
	s.next++
	s.fin = f.Kind().Final()
	s.unacked = append(s.unacked, f)
	s.pending += cost
	s.mu.Unlock()
	s.end.write(f)
	s.mu.Lock()
	s.wrote()
	s.mu.Unlock()
	return nil
}

// wrote ends what busy began.
func (s *Stream) wrote() {
	s.busy = 0
	if s.late != 0 {
		s.drop(s.late)
		s.late = 0
	}
	s.cond.Broadcast()
}

// drop forgets what the other end has consumed.
func (s *Stream) drop(upTo uint64) {
	n := 0
	for _, f := range s.unacked {
		if f.Number() > upTo {
			break
		}
		s.pending -= len(f.Payload()) + frameCost
		f.Release()
		n++
	}
	s.unacked = slices.Delete(s.unacked, 0, n)
	s.cond.Broadcast()
}

// ack takes an acknowledgement. A frame that is being written is kept until it
// is, whatever the other side says.
func (s *Stream) ack(f *Frame) {
	n, window := f.Number(), 0
	if p := f.Payload(); len(p) >= 4 {
		window = int(binary.BigEndian.Uint32(p))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || n >= s.next {
		return
	}
	s.window = max(s.window, min(window, maxWindow))
	if s.busy != 0 && n >= s.busy {
		s.late = max(s.late, n)
		n = s.busy - 1
	}
	s.drop(n)
	s.finish()
}

// resend sends again what the other end has not received.
func (s *Stream) resend(received uint64) {
	s.mu.Lock()
	for s.err == nil && s.busy != 0 {
		s.cond.Wait()
	}
	if s.err != nil || len(s.unacked) == 0 {
		s.mu.Unlock()
		return
	}
	again := slices.Clone(s.unacked)
	s.busy = again[0].Number()
	s.mu.Unlock()
	for _, f := range again {
		if f.Number() > received {
			s.end.write(f)
		}
	}
	s.mu.Lock()
	s.wrote()
	s.finish()
	s.mu.Unlock()
}

// receive takes a numbered frame, on the reading goroutine.
func (s *Stream) receive(f *Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.ended || f.Number() != s.received+1 {
		f.Release()
		return
	}
	cost := len(f.Payload()) + frameCost
	if s.queued > 0 && s.queued+cost > s.granted+maxWindow {
		f.Release()
		s.end.later(func() { s.Reset("more was sent than the window allows") })
		return
	}
	s.received++
	s.ended = f.Kind().Final()
	s.queued += cost
	if s.discard {
		s.eat(f)
		f.Release()
		s.end.later(s.sendAck)
		return
	}
	f.stream = s
	s.queue = append(s.queue, f)
	s.cond.Broadcast()
}

// Next gives the next frame, which the caller releases once it is consumed.
// Errors: io.EOF after the final frame; *ResetError; *EndError; ErrClosed.
func (s *Stream) Next() (*Frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 {
		switch {
		case s.ended:
			return nil, io.EOF
		case s.err != nil:
			return nil, s.err
		}
		s.cond.Wait()
	}
	f := s.queue[0]
	s.queue[0] = nil
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return f, nil
}

// eat accounts a frame as consumed.
func (s *Stream) eat(f *Frame) {
	n := len(f.Payload()) + frameCost
	s.eaten = f.Number()
	s.queued -= n
	s.sinceAck += n
}

// consumed is called when a reader releases a frame.
func (s *Stream) consumed(f *Frame) {
	s.mu.Lock()
	s.eat(f)
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	kind := f.Kind()
	if kind.Final() || kind == KindOpen || s.sinceAck >= s.granted/4 {
		s.mu.Unlock()
		s.sendAck()
		return
	}
	if !s.timed {
		s.timed = true
		if s.timer == nil {
			s.timer = time.AfterFunc(ackDelay, s.sendAck)
		} else {
			s.timer.Reset(ackDelay)
		}
	}
	s.mu.Unlock()
}

// sendAck acknowledges what was consumed, and grants more to who needs it.
func (s *Stream) sendAck() { s.acknowledge(false) }

// acknowledge is sendAck, and with again set also repeats what may have been lost
// with a link.
func (s *Stream) acknowledge(again bool) {
	s.mu.Lock()
	s.timed = false
	if s.err != nil || s.eaten == s.acked && !again {
		s.mu.Unlock()
		return
	}
	if s.sinceAck >= s.granted/4 && s.granted < maxWindow && s.end.grant(s.granted) {
		s.granted *= 2
	}
	s.acked, s.sinceAck = s.eaten, 0
	f := NewFrame(KindAck, s.id, 4)
	f.SetNumber(s.acked)
	binary.BigEndian.PutUint32(f.Payload(), uint32(s.granted))
	s.mu.Unlock()
	s.end.writeOnce(f)
	s.mu.Lock()
	s.finish()
	s.mu.Unlock()
}

// finish forgets a stream that both ends have finished.
func (s *Stream) finish() {
	if s.err == nil && s.fin && len(s.unacked) == 0 && s.busy == 0 && s.ended && s.acked == s.received {
		s.fail(ErrClosed)
	}
}

// fail ends the stream here; the caller holds the lock.
func (s *Stream) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.unacked = nil // perhaps being written: left to the collector
	if s.timer != nil {
		s.timer.Stop()
	}
	s.end.forget(s)
	s.cond.Broadcast()
}

func (s *Stream) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(err)
}

// Reset gives the stream up and tells the other end why.
func (s *Stream) Reset(reason string) {
	s.failed(ErrClosed)
	s.end.reset(s.id, reason)
}

// CloseWrite says that nothing more is sent from here.
func (s *Stream) CloseWrite() error { return s.Send(s.Frame(KindFin, 0)) }

// Close takes no more and ends what is sent. What was sent still arrives.
func (s *Stream) Close() {
	s.mu.Lock()
	s.discard = true
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, f := range queue {
		f.Release()
	}
	_ = s.CloseWrite()
	s.mu.Lock()
	s.finish()
	s.mu.Unlock()
}

// Over waits until the stream is over: finished, closed, reset or lost.
func (s *Stream) Over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		s.cond.Wait()
	}
}

// Drained waits until the other end has consumed all that was sent.
func (s *Stream) Drained() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.unacked) > 0 {
		s.cond.Wait()
	}
	if s.err == ErrClosed { //nolint:errorlint // ours, unwrapped
		return nil
	}
	return s.err
}
