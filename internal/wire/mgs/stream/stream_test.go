package stream

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"

	"pgregory.net/rapid"
)

// link is a network in simulated time between two ends. Frames travel as
// bytes.
type link struct {
	t      *rapid.T
	dice   *rand.Rand
	now    time.Time
	delay  time.Duration
	loss   int // percent, also of duplicates and of late frames
	travel []flight
	silent bool // the client does not acknowledge a message again
}

type flight struct {
	at     time.Time
	toNode bool
	frame  []byte
}

func newLink(t *rapid.T) *link {
	return &link{t: t, now: time.Unix(1000, 0), dice: rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))), delay: 5 * time.Millisecond}
}

func (l *link) chance() bool { return l.dice.IntN(100) < l.loss }

func (l *link) send(toNode bool, m *mgs.Message) {
	b, err := m.Marshal()
	if err != nil {
		l.t.Fatal(err)
	}
	if l.chance() {
		return
	}
	at := l.now.Add(l.delay)
	if l.chance() {
		at = at.Add(3 * l.delay)
	}
	l.travel = append(l.travel, flight{at, toNode, b})
	if l.chance() {
		l.travel = append(l.travel, flight{at.Add(l.delay), toNode, b})
	}
}

// arrived takes the frames that are due, the earliest first.
func (l *link) arrived() []flight {
	slices.SortStableFunc(l.travel, func(a, b flight) int { return a.at.Compare(b.at) })
	n := 0
	for n < len(l.travel) && !l.travel[n].at.After(l.now) {
		n++
	}
	due := slices.Clone(l.travel[:n])
	l.travel = l.travel[n:]
	return due
}

// end is one end with what it still has to send and what it has received.
type end struct {
	*Stream
	node    bool
	pending [][]byte
	got     []byte
}

func (e *end) left() int { return len(e.pending) + e.Unacked() + len(e.doubts.entries) }

func (e *end) work(l *link) {
	for len(e.pending) > 0 && e.Queue(mgs.PayloadOutput, e.pending[0]) {
		e.pending = e.pending[1:]
	}
	for m := e.Next(l.now); m != nil; m = e.Next(l.now) {
		l.send(!e.node, m)
	}
}

func (e *end) take(l *link, frame []byte) {
	m, err := mgs.Unmarshal(frame)
	if err != nil {
		l.t.Fatal(err)
	}
	if m.Type == mgs.TypeAcknowledge {
		var ack mgs.Acknowledge
		if err := mgs.Decode(m.Payload, &ack); err != nil {
			l.t.Fatal(err)
		}
		e.Acked(ack, l.now)
		return
	}
	if l.silent && !e.node && m.Sequence < e.expected {
		return
	}
	for _, m := range e.Receive(m, !l.chance()) {
		e.got = append(e.got, m.Payload...)
	}
}

// step works until nothing can happen at this instant, then goes to the next.
func (l *link) step(ends ...*end) {
	for _, f := range l.arrived() {
		for _, e := range ends {
			if e.node == f.toNode {
				e.take(l, f.frame)
			}
		}
	}
	next := l.now.Add(time.Hour)
	for _, e := range ends {
		e.work(l)
		if at, ok := e.Wake(); ok && at.Before(next) {
			next = at
		}
	}
	for _, f := range l.travel {
		if f.at.Before(next) {
			next = f.at
		}
	}
	l.now = next
}

func pieces(t *rapid.T, name string, from byte) (all []byte, parts [][]byte) {
	for i := range rapid.IntRange(0, 200).Draw(t, name) {
		part := binary.BigEndian.AppendUint32([]byte{from}, uint32(i))
		all, parts = append(all, part...), append(parts, part)
	}
	return all, parts
}

// Whatever is lost, doubled or late, both ends have the other's bytes in
// order, each once.
func TestStreamDelivers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		l.delay = time.Duration(rapid.IntRange(1, 400).Draw(t, "delay")) * time.Millisecond
		l.loss = rapid.IntRange(0, 30).Draw(t, "loss")
		node, client := &end{Stream: Node(), node: true}, &end{Stream: Client()}
		var fromNode, fromClient []byte
		fromNode, node.pending = pieces(t, "node", 'n')
		fromClient, client.pending = pieces(t, "client", 'c')
		for steps := 0; ; steps++ {
			l.step(node, client)
			if node.left()+client.left() == 0 {
				break
			}
			if steps > 100_000 {
				t.Fatalf("stuck: node %d, client %d", node.Unacked(), client.Unacked())
			}
		}
		if !bytes.Equal(client.got, fromNode) || !bytes.Equal(node.got, fromClient) {
			t.Fatalf("bytes differ: %d of %d, %d of %d", len(client.got), len(fromNode), len(node.got), len(fromClient))
		}
	})
}

// A stock client that had messages and whose acknowledgements were lost with
// its connection never speaks of them again; the stream goes on.
func TestSilentReceiver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(t)
		l.silent = true
		node, client := &end{Stream: Node(), node: true}, &end{Stream: Client()}
		first := rapid.SampledFrom([]int{1, 5, 300, window, window + 200}).Draw(t, "first")
		var want []byte
		add := func(n int) {
			for range n {
				part := binary.BigEndian.AppendUint32(nil, uint32(len(want)))
				want, node.pending = append(want, part...), append(node.pending, part)
			}
		}
		add(first)
		node.work(l)
		lost := rapid.IntRange(0, min(first, window)).Draw(t, "delivered")
		for i, f := range l.travel {
			if i < lost {
				client.take(l, f.frame)
			}
		}
		client.acks, l.travel = nil, nil // the connection is gone
		node.Start()
		add(50)
		for range 5000 {
			l.step(node, client)
			if node.Unacked() == 0 && bytes.Equal(client.got, want) {
				return
			}
			if len(node.pending) == 0 && len(want) < 3000*4 {
				add(1) // people go on working
			}
		}
		t.Fatalf("stuck: %d unacknowledged, %d of %d bytes", node.Unacked(), len(client.got), len(want))
	})
}

func TestPauseHoldsMessages(t *testing.T) {
	now := time.Unix(1000, 0)
	s := Node()
	s.Queue(mgs.PayloadOutput, []byte("a"))
	if m := s.Next(now); m == nil || m.Sequence != 0 || m.Flags != mgs.FlagSYN {
		t.Fatalf("Next = %+v", m)
	}
	s.Pause()
	s.Queue(mgs.PayloadOutput, []byte("b"))
	if m := s.Next(now.Add(time.Minute)); m != nil {
		t.Fatalf("a paused stream gave %+v", m)
	}
	if m := s.Receive(mgs.NewStreamData(mgs.TypeInputStreamData, 3, mgs.PayloadOutput, nil), true); m != nil {
		t.Fatalf("a message too early was delivered: %v", m)
	}
	s.Pause()
	if m := s.Next(now); m == nil || m.Type != mgs.TypeAcknowledge {
		t.Fatalf("a paused stream does not acknowledge: %+v", m)
	}
	s.Start()
	for _, want := range []int64{0, 1} {
		if m := s.Next(now.Add(time.Minute)); m == nil || m.Sequence != want {
			t.Fatalf("after the pause Next = %+v, want message %d", m, want)
		}
	}
}

// Peers cannot make an end keep more than its limits.
func TestBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	s := Node()
	for s.Queue(mgs.PayloadOutput, []byte("x")) {
	}
	count := 0
	for s.Next(now) != nil {
		count++
	}
	if s.Unacked() != queue || count != window {
		t.Errorf("%d held, %d sent", s.Unacked(), count)
	}
	big := make([]byte, 100<<10)
	for i := range int64(3 * ahead) {
		s.Receive(mgs.NewStreamData(mgs.TypeInputStreamData, 1+i, mgs.PayloadOutput, big), true)
	}
	if s.bytes > aheadBytes || len(s.early) > ahead {
		t.Errorf("%d bytes in %d early messages", s.bytes, len(s.early))
	}
	for range 2 * maxAcks {
		s.Receive(mgs.NewStreamData(mgs.TypeInputStreamData, 1, mgs.PayloadOutput, nil), true)
	}
	if len(s.acks) > maxAcks {
		t.Errorf("%d acknowledgements wait", len(s.acks))
	}
	for _, ack := range []mgs.Acknowledge{
		{MessageType: mgs.TypeOutputStreamData, SequenceNumber: -1},
		{MessageType: mgs.TypeOutputStreamData, SequenceNumber: queue - 1}, // not sent yet
		{MessageType: mgs.TypeInputStreamData, SequenceNumber: 0},
	} {
		if s.Acked(ack, now); s.Unacked() != queue {
			t.Errorf("%+v was taken", ack)
		}
	}
}

func TestTimeoutFollowsTheLink(t *testing.T) {
	r := newRTT()
	for range 20 {
		r.sample(2 * time.Millisecond)
	}
	if r.rto != minRTO {
		t.Errorf("on a fast link %v", r.rto)
	}
	for range 20 {
		r.sample(300 * time.Millisecond)
	}
	if r.rto < 300*time.Millisecond || r.rto > maxRTO {
		t.Errorf("on a slow link %v", r.rto)
	}
	for range 20 {
		r.backOff()
	}
	if r.rto != maxRTO {
		t.Errorf("backed off to %v", r.rto)
	}
}
