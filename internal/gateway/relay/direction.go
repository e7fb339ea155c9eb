package relay

import (
	"maps"
	"slices"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Limits of a direction.
const (
	maxWindow = 1 << 20 // bytes of frames that are kept until they are acknowledged
	maxEarly  = 1 << 20 // bytes of messages that wait for a gap to close
	maxAhead  = 100_000 // a stock node has so many messages in flight at most
)

// held is a frame that is not acknowledged.
type held struct {
	raw         []byte
	payloadType uint32
	sent        bool   // on the present socket of the receiver
	before      bool   // on an earlier socket of the receiver
	sure        bool   // sent to a client that was known to take it
	probe       uint64 // number of the ping that was sent behind it; 0 none
}

// direction is the stream of messages from one side.
type direction struct {
	kind   string // type of its frames
	acked  spans
	seen   spans
	top    int64 // highest sequence number seen, -1 none
	window map[int64]*held
	bytes  int

	next       int64                  // the number to deliver; -1: the first that comes
	early      map[int64]*mgs.Message // seen, behind a gap
	earlyBytes int
}

func newDirection(kind string, resumed bool) *direction {
	d := &direction{kind: kind, top: -1, window: map[int64]*held{}, early: map[int64]*mgs.Message{}}
	if resumed {
		d.next = -1
	}
	return d
}

// keep puts a frame into the window; nil when there is no room.
func (d *direction) keep(m *mgs.Message, raw []byte) *held {
	if h := d.window[m.Sequence]; h != nil {
		return h
	}
	if d.bytes+len(raw) > maxWindow {
		return nil
	}
	h := &held{raw: raw, payloadType: m.PayloadType}
	d.window[m.Sequence] = h
	d.bytes += len(raw)
	return h
}

// ack takes note of an acknowledgement.
func (d *direction) ack(sequence int64) {
	d.acked.add(sequence)
	if h := d.window[sequence]; h != nil {
		delete(d.window, sequence)
		d.bytes -= len(h.raw)
	}
}

// waiting are the numbers in the window, in order.
func (d *direction) waiting() []int64 { return slices.Sorted(maps.Keys(d.window)) }

// deliver gives the messages that are next in order once m is there. It is
// called once for each message.
func (d *direction) deliver(from Side, m *mgs.Message) (out []Effect) {
	if d.next < 0 {
		d.next = m.Sequence
	}
	if m.Sequence != d.next {
		return d.deliverLater(from, m)
	}
	out = append(out, Deliver{Side: from, PayloadType: m.PayloadType, Payload: m.Payload})
	d.next++
	for m := d.early[d.next]; m != nil; m = d.early[d.next] {
		out = append(out, d.takeEarly(from, m, false))
	}
	return out
}

// deliverLater keeps a message until the gap before it is closed. A gap that
// does not close within maxEarly is given up.
func (d *direction) deliverLater(from Side, m *mgs.Message) (out []Effect) {
	if m.Sequence < d.next {
		return []Effect{Deliver{Side: from, PayloadType: m.PayloadType, Payload: m.Payload, Late: true}}
	}
	d.early[m.Sequence] = m
	d.earlyBytes += cost(m)
	for d.earlyBytes > maxEarly {
		d.next = slices.Min(slices.Collect(maps.Keys(d.early)))
		for late, m := true, d.early[d.next]; m != nil; late, m = false, d.early[d.next] {
			out = append(out, d.takeEarly(from, m, late))
		}
	}
	return out
}

func (d *direction) takeEarly(from Side, m *mgs.Message, late bool) Effect {
	delete(d.early, m.Sequence)
	d.earlyBytes -= cost(m)
	d.next = m.Sequence + 1
	return Deliver{Side: from, PayloadType: m.PayloadType, Payload: m.Payload, Late: late}
}

// cost is about what a message takes in memory.
func cost(m *mgs.Message) int { return 256 + len(m.Payload) }
