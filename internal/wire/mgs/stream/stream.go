package stream

import (
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Limits of a Stream. A stock client buffers 10,000 messages that come too
// early; the hub keeps 1 MiB of what is not acknowledged.
const (
	window     = 800     // messages sent and not acknowledged
	queue      = 1024    // messages kept for sending, those of the window included
	ahead      = 1024    // messages that came too early
	aheadBytes = 1 << 20 // and their payloads
	maxAcks    = 4096    // acknowledgements that wait to be sent
)

// Stream is one end. It is not safe for concurrent use.
type Stream struct {
	out, in string

	next   int64            // number of the next message that is queued
	sent   int64            // messages below were sent at least once
	low    int64            // messages below were acknowledged or given up
	held   map[int64]*entry // queued and not acknowledged
	flying int              // of those, sent
	again  []int64          // messages to repeat now
	burst  int              // how many are repeated at a time
	cursor int64
	orders int64 // frames of messages given out
	paused bool
	timer  rtt
	heard  time.Time // of the last acknowledgement
	doubts doubts

	expected int64
	early    map[int64]*mgs.Message
	bytes    int // in early
	acks     []*mgs.Message
}

// entry is a message that is not acknowledged.
type entry struct {
	message *mgs.Message
	sends   int
	first   time.Time
	last    time.Time
	order   int64 // of the last sending
	passed  int   // sendings that were passed by an acknowledgement of a later one
	counted bool  // the last sending is in passed
}

// Node makes the node's end of a session.
func Node() *Stream { return newStream(mgs.TypeOutputStreamData, mgs.TypeInputStreamData) }

// Client makes the client's end of a session.
func Client() *Stream { return newStream(mgs.TypeInputStreamData, mgs.TypeOutputStreamData) }

func newStream(out, in string) *Stream {
	return &Stream{out: out, in: in, held: map[int64]*entry{}, early: map[int64]*mgs.Message{}, burst: 1, timer: newRTT()}
}

// Room is how many messages can be queued now.
func (s *Stream) Room() int { return max(0, queue-len(s.held)) }

// Unacked is how many messages the other end has not acknowledged, sent or
// not, without those that it has most likely and stays silent about.
func (s *Stream) Unacked() int { return len(s.held) }

// Queue takes a message for sending and keeps the payload; false when there is
// no room.
func (s *Stream) Queue(payloadType uint32, payload []byte) bool {
	if s.Room() == 0 {
		return false
	}
	s.held[s.next] = &entry{message: mgs.NewStreamData(s.out, s.next, payloadType, payload)}
	s.next++
	return true
}

// Pause stops messages, not acknowledgements, until Start or a sign of life of
// the other end: it is known to be gone.
func (s *Stream) Pause() { s.paused = true }

// Start ends a pause. What is not acknowledged is sent again: the other end
// has a new connection.
func (s *Stream) Start() {
	s.paused = false
	s.again = s.again[:0]
	for n := s.low; n < s.sent; n++ {
		if s.held[n] != nil {
			s.again = append(s.again, n)
		}
	}
}

// Next is the next frame to send at an instant, nil when there is none before
// Wake. Its owner may hold it as long as it likes.
func (s *Stream) Next(now time.Time) *mgs.Message {
	if len(s.acks) > 0 {
		m := s.acks[0]
		s.acks = s.acks[1:]
		return m
	}
	if s.paused {
		return nil
	}
	s.expire(now)
	if e := s.doubts.next(now); e != nil {
		return s.give(e, now)
	}
	for len(s.again) > 0 {
		e := s.held[s.again[0]]
		s.again = s.again[1:]
		if e != nil {
			return s.give(e, now)
		}
	}
	if s.sent == s.next || s.flying >= s.limit() {
		return nil
	}
	e := s.held[s.sent]
	s.sent++
	s.flying++
	e.first = now
	return s.give(e, now)
}

// limit is the window. A few more messages are sent when the oldest one stays
// without an answer: the other end may have it, and say so only of later ones.
func (s *Stream) limit() int {
	if e := s.oldest(); e != nil && e.sends > 3 {
		return window + min(e.sends, 64)
	}
	return window
}

func (s *Stream) give(e *entry, now time.Time) *mgs.Message {
	s.orders++
	e.sends, e.last, e.order, e.counted = e.sends+1, now, s.orders, false
	return e.message
}

// Wake is when Next has something to send without anything happening before;
// false for never.
func (s *Stream) Wake() (time.Time, bool) {
	if s.paused {
		return time.Time{}, false
	}
	at, ok := s.doubts.wake()
	if e := s.oldest(); e != nil {
		if late := e.last.Add(s.wait(e)); !ok || late.Before(at) {
			return late, true
		}
	}
	return at, ok
}

// oldest is the oldest message that was sent and not acknowledged.
func (s *Stream) oldest() *entry {
	for ; s.low < s.sent; s.low++ {
		if e := s.held[s.low]; e != nil {
			return e
		}
	}
	return nil
}

// wait is how long a message may be without an acknowledgement. An end that
// does not answer for long, such as a terminal that was stopped by hand, is
// asked rarely.
func (s *Stream) wait(e *entry) time.Duration {
	if e.sends > 10 && s.heard.Before(e.last) {
		return 5 * maxRTO
	}
	return s.timer.rto
}

// expire repeats the oldest message when its time is over, with some of those
// behind it that are late too.
func (s *Stream) expire(now time.Time) {
	e := s.oldest()
	if e == nil || len(s.again) > 0 || now.Before(e.last.Add(s.wait(e))) {
		return
	}
	late := now.Add(-s.timer.rto)
	s.timer.backOff()
	s.again = append(s.again, s.low)
	if s.cursor <= s.low || s.cursor >= s.sent {
		s.cursor = s.low + 1
	}
	for ; s.cursor < s.sent && len(s.again) < s.burst; s.cursor++ {
		if e := s.held[s.cursor]; e != nil && !e.last.After(late) {
			s.again = append(s.again, s.cursor)
		}
	}
	s.burst = min(2*s.burst, 32)
}

// Acked takes an acknowledgement.
func (s *Stream) Acked(ack mgs.Acknowledge, now time.Time) {
	s.paused = false
	if ack.MessageType != s.out || ack.SequenceNumber >= s.sent {
		return
	}
	e := s.held[ack.SequenceNumber]
	if e == nil {
		s.doubts.acked(ack.SequenceNumber)
		return
	}
	s.heard = now
	if e.sends <= 2 {
		s.timer.sample(now.Sub(e.first))
	} else {
		s.timer.comeBack()
	}
	s.drop(ack.SequenceNumber)
	s.pass(ack.SequenceNumber, e.order)
	if e := s.oldest(); e == nil || e.sends == 1 {
		s.burst = 1
	}
}

func (s *Stream) drop(n int64) {
	delete(s.held, n)
	s.flying--
}

// Receive takes a message of the other end and gives those that are now in
// order. Without room it is not acknowledged unless it is a repeat; the other
// end sends it again.
func (s *Stream) Receive(m *mgs.Message, room bool) []*mgs.Message {
	if m.Type != s.in || m.Sequence < 0 {
		return nil
	}
	s.paused = false
	switch {
	case m.Sequence < s.expected:
		s.acknowledge(m)
		return nil
	case !room || m.Sequence > s.expected+ahead:
		return nil
	case m.Sequence > s.expected:
		s.keep(m)
		return nil
	}
	s.acknowledge(m)
	return s.inOrder(m)
}

// keep puts a message aside that came too early.
func (s *Stream) keep(m *mgs.Message) {
	if s.early[m.Sequence] == nil {
		if s.bytes+len(m.Payload) > aheadBytes {
			return
		}
		s.early[m.Sequence] = m
		s.bytes += len(m.Payload)
	}
	s.acknowledge(m)
}

func (s *Stream) inOrder(m *mgs.Message) []*mgs.Message {
	var out []*mgs.Message
	for m != nil {
		out = append(out, m)
		s.expected++
		if m = s.early[s.expected]; m != nil {
			delete(s.early, s.expected)
			s.bytes -= len(m.Payload)
		}
	}
	return out
}

func (s *Stream) acknowledge(m *mgs.Message) {
	if len(s.acks) >= maxAcks {
		return // it will be sent again
	}
	if ack, err := mgs.NewAcknowledge(m); err == nil {
		s.acks = append(s.acks, ack)
	}
}
