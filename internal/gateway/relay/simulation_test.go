package relay

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// stockEnd is an end of a session as the stock programs have it, with their
// defects: a message may get into the buffer only after its acknowledgement
// was there, and the client is silent about what it had before. Until the
// client is ready, which it is when it sends, it takes the first message only:
// the next one it does not acknowledge, and what came before its turn is lost.
type stockEnd struct {
	side     Side
	silent   bool
	ready    bool
	sequence int64
	buffer   []*mgs.Message // sent and not acknowledged
	expected int64
	ahead    map[int64]*mgs.Message
	got      []byte
	sent     []byte
	in, out  [][]byte // of the socket
	acksSeen map[int64]bool
}

func (e *stockEnd) kind() string {
	if e.side == Node {
		return mgs.TypeOutputStreamData
	}
	return mgs.TypeInputStreamData
}

// send makes a message; hasty: its acknowledgement will find no entry.
func (e *stockEnd) send(hasty bool) {
	payload := binary.BigEndian.AppendUint16(nil, uint16(e.sequence))
	m := mgs.NewStreamData(e.kind(), e.sequence, mgs.PayloadOutput, payload)
	e.ready = true
	e.sequence++
	e.sent = append(e.sent, payload...)
	e.write(m)
	if hasty {
		e.acksSeen[m.Sequence] = false
	}
	e.buffer = append(e.buffer, m)
}

func (e *stockEnd) write(m *mgs.Message) {
	raw, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	e.out = append(e.out, raw)
}

func (e *stockEnd) repeat() {
	if len(e.buffer) > 0 {
		e.write(e.buffer[0])
	}
}

// read takes one frame from the socket.
func (e *stockEnd) read() {
	m, err := mgs.Unmarshal(e.in[0])
	if err != nil {
		panic(err)
	}
	e.in = e.in[1:]
	switch m.Type {
	case mgs.TypeAcknowledge:
		e.acknowledged(m)
	case mgs.TypeInputStreamData, mgs.TypeOutputStreamData:
		e.data(m)
	}
}

func (e *stockEnd) acknowledged(m *mgs.Message) {
	var a mgs.Acknowledge
	if err := mgs.Decode(m.Payload, &a); err != nil {
		panic(err)
	}
	if seen, hasty := e.acksSeen[a.SequenceNumber]; hasty && !seen {
		e.acksSeen[a.SequenceNumber] = true
		return
	}
	for i, b := range e.buffer {
		if b.Sequence == a.SequenceNumber {
			e.buffer = append(e.buffer[:i:i], e.buffer[i+1:]...)
			return
		}
	}
}

func (e *stockEnd) data(m *mgs.Message) {
	if m.Sequence < e.expected && e.silent {
		return
	}
	refuses := e.side == Client && !e.ready
	if refuses && m.Sequence == e.expected && e.expected > 0 {
		return
	}
	ack, err := mgs.NewAcknowledge(m)
	if err != nil {
		panic(err)
	}
	e.write(ack)
	if m.Sequence < e.expected {
		return
	}
	e.ahead[m.Sequence] = m
	for m := e.ahead[e.expected]; m != nil; m = e.ahead[e.expected] {
		delete(e.ahead, e.expected)
		if !refuses || e.expected == 0 {
			e.got = append(e.got, m.Payload...)
		}
		e.expected++
	}
}

// world is two ends, the machine between them, and what the hub recorded.
type world struct {
	machine  *Machine
	ends     [2]*stockEnd
	up       [2]bool
	pings    []uint64 // on the client's socket, behind which the frames are read
	recorded [2][]byte
	now      time.Time
	wake     time.Time
}

func newWorld() *world {
	w := &world{machine: NewMachine("s-1", "mi-1", false, false), now: time.Unix(1000, 0)}
	for side := range w.ends {
		w.ends[side] = &stockEnd{side: Side(side), silent: Side(side) == Client, ahead: map[int64]*mgs.Message{}, acksSeen: map[int64]bool{}}
	}
	return w
}

func (w *world) step(e Event) {
	for _, effect := range w.machine.Next(e, w.now) {
		switch x := effect.(type) {
		case Send:
			if !w.up[x.Side] {
				panic("sent to a closed side")
			}
			w.ends[x.Side].in = append(w.ends[x.Side].in, x.Raw)
		case Ping:
			w.ends[Client].in = append(w.ends[Client].in, nil)
			w.pings = append(w.pings, x.Number)
		case Wake:
			w.wake = x.At
		case Deliver:
			w.recorded[x.Side] = append(w.recorded[x.Side], x.Payload...)
		}
	}
}

func (w *world) open(side Side) {
	if !w.up[side] {
		w.up[side] = true
		w.step(Opened{side})
	}
}

// cut breaks a socket; what is under way on it is lost.
func (w *world) cut(side Side) {
	if w.up[side] {
		w.up[side] = false
		w.ends[side].in, w.ends[side].out = nil, nil
		if side == Client {
			w.pings = nil
		}
		w.step(Closed{side})
	}
}

// toHub carries one frame to the hub.
func (w *world) toHub(side Side) bool {
	e := w.ends[side]
	if !w.up[side] {
		e.out = nil
		return false
	}
	if len(e.out) == 0 {
		return false
	}
	raw := e.out[0]
	e.out = e.out[1:]
	if n := len(raw); n == 8 {
		w.step(Pong{binary.BigEndian.Uint64(raw)})
		return true
	}
	m, err := mgs.Unmarshal(raw)
	if err != nil {
		panic(err)
	}
	w.step(Frame{side, m, raw})
	return true
}

// toEnd lets an end read one frame or ping.
func (w *world) toEnd(side Side) bool {
	e := w.ends[side]
	if len(e.in) == 0 {
		return false
	}
	if e.in[0] == nil {
		e.in = e.in[1:]
		e.out = append(e.out, binary.BigEndian.AppendUint64(nil, w.pings[0]))
		w.pings = w.pings[1:]
		return true
	}
	e.read()
	return true
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	if !w.wake.IsZero() && !w.now.Before(w.wake) {
		w.wake = time.Time{}
		w.step(Tick{})
	}
}

// settle brings both ends back and lets them finish.
func (w *world) settle() error {
	w.open(Node)
	w.open(Client)
	w.ends[Client].send(false) // the person goes on, so the client is known to be ready
	for range 3000 {
		w.pass(100 * time.Millisecond)
		w.ends[Node].repeat()
		w.ends[Client].repeat()
		for w.toHub(Node) || w.toHub(Client) || w.toEnd(Node) || w.toEnd(Client) {
		}
		if len(w.ends[Node].buffer)+len(w.ends[Client].buffer) == 0 {
			return nil
		}
	}
	return fmt.Errorf("never at rest: the node repeats %d, the client %d messages", len(w.ends[Node].buffer), len(w.ends[Client].buffer))
}

// TestAnyLossIsRepaired: whatever breaks when, all bytes arrive once and in
// order at the other end and in the recording, and nobody repeats for ever.
func TestAnyLossIsRepaired(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		side := rapid.SampledFrom([]Side{Node, Client})
		t.Repeat(map[string]func(*rapid.T){
			"send":   func(t *rapid.T) { w.ends[side.Draw(t, "side")].send(rapid.Bool().Draw(t, "hasty")) },
			"toHub":  func(t *rapid.T) { w.toHub(side.Draw(t, "side")) },
			"toEnd":  func(t *rapid.T) { w.toEnd(side.Draw(t, "side")) },
			"repeat": func(t *rapid.T) { w.ends[side.Draw(t, "side")].repeat() },
			"cut":    func(t *rapid.T) { w.cut(side.Draw(t, "side")) },
			"open":   func(t *rapid.T) { w.open(side.Draw(t, "side")) },
			"pass":   func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 200).Draw(t, "ms")) * time.Millisecond) },
		})
		if err := w.settle(); err != nil {
			t.Fatal(err)
		}
		for _, from := range []Side{Node, Client} {
			if got, want := string(w.ends[from.other()].got), string(w.ends[from].sent); got != want {
				t.Fatalf("from the %s: got %x, want %x", from, got, want)
			}
			if got, want := string(w.recorded[from]), string(w.ends[from].sent); got != want {
				t.Fatalf("recorded of the %s: %x, want %x", from, got, want)
			}
		}
	})
}
