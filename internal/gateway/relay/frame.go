package relay

import (
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// frame takes a frame of a side: its own stream, acknowledgements of the
// other's, and the state of the node's end. Nothing else is forwarded.
func (x *effects) frame(e Frame) {
	m := x.m
	if m.ended || !m.open[e.Side] {
		return
	}
	switch f := e.Message; {
	case f.Type == m.dirs[e.Side].kind:
		x.data(e)
	case f.Type == mgs.TypeAcknowledge:
		x.acknowledged(e)
	case f.Type == mgs.TypeAgentSessionState && e.Side == Node:
		x.state(f)
	}
}

func (x *effects) state(f *mgs.Message) {
	var s mgs.AgentSessionState
	if err := mgs.Decode(f.Payload, &s); err != nil || s.SessionID != x.m.session {
		x.add(Drop{Node, "agent_session_state that is not of this session"})
		return
	}
	x.add(State{s.SessionState})
}

// data forwards a message, or answers it when it was acknowledged before.
func (x *effects) data(e Frame) {
	m, f := x.m, e.Message
	d := m.dirs[e.Side]
	first := d.top < 0 && d.next < 0 // any number may be the first behind a restart
	if f.Sequence < 0 || f.Sequence > d.top+maxAhead && !first {
		x.add(Drop{e.Side, "sequence number out of range"})
		return
	}
	if d.acked.has(f.Sequence) {
		ack, err := mgs.NewAcknowledge(f)
		x.tell(e.Side, ack, err)
		return
	}
	typed := e.Side == Client && f.PayloadType == mgs.PayloadOutput
	takes := e.Side == Client && takesOutput(f)
	if e, f = m.guard(e, typed); f == nil {
		x.add(Drop{e.Side, "input that is dropped has too many gaps"})
		return
	}
	known := d.window[f.Sequence]
	h := d.keep(f, e.Raw)
	d.top = max(d.top, f.Sequence)
	if !d.seen.has(f.Sequence) && d.seen.add(f.Sequence) {
		x.add(d.deliver(e.Side, f)...)
	}
	m.ready = m.ready || takes
	x.pass(e.Side, h, known != nil && known.sent, e)
}

// takesOutput: a stock client sends input and the size of its terminal only
// once it takes output. Before that it acknowledges the first output, and what
// comes behind a gap, but refuses what is next: an acknowledgement says nothing.
func takesOutput(f *mgs.Message) bool {
	return f.PayloadType == mgs.PayloadOutput || f.PayloadType == mgs.PayloadSize
}

// inOrder says that a message of the node may go to the client now. A stock
// client that does not take output yet loses what comes before its turn.
func (x *effects) inOrder(n int64) bool { return x.m.ready || n < x.m.dirs[Node].next }

// pass hands a message on. One that comes again while the client says nothing
// to it is followed by a ping, see pong.
func (x *effects) pass(from Side, h *held, again bool, e Frame) {
	m := x.m
	to := from.other()
	if h == nil { // the window is full: the sender will repeat it
		h = &held{raw: e.Raw, payloadType: e.Message.PayloadType}
		if !m.open[to] && from == Node {
			x.pause(true)
		}
	}
	if to == Client && !x.inOrder(e.Message.Sequence) {
		return // the node will repeat it
	}
	x.forward(to, h)
	if again && to == Client && !m.probing {
		x.probeClient()
	}
}

// acknowledged remembers an acknowledgement and forwards it.
func (x *effects) acknowledged(e Frame) {
	m := x.m
	d := m.dirs[e.Side.other()]
	var ack mgs.Acknowledge
	if err := mgs.Decode(e.Message.Payload, &ack); err != nil || ack.MessageType != d.kind {
		x.add(Drop{e.Side, "acknowledgement that cannot be read"})
		return
	}
	if !d.seen.has(ack.SequenceNumber) {
		x.add(Drop{e.Side, "acknowledgement of what was not sent"})
		return
	}
	d.ack(ack.SequenceNumber)
	x.send(e.Side.other(), e.Raw)
}

// probeClient sends a ping behind what the client has not acknowledged and may
// have had before: on a socket that broke, or from an earlier hub.
func (x *effects) probeClient() {
	m := x.m
	if !m.ready || x.now.Before(m.fence) {
		return
	}
	var some bool
	for _, h := range m.dirs[Node].window {
		if h.sure && (h.before || m.resumed) {
			h.probe, some = m.probe+1, true
		}
	}
	if !some {
		return
	}
	m.probe++
	m.probing = true
	x.add(Ping{m.probe})
}

// pong: the stock client handles what it reads one by one, so it has dealt
// with all that was sent before the ping. What it left without an
// acknowledgement it had before, and acknowledged on a socket that broke:
// the hub acknowledges it in its place, or the node would repeat it for ever.
func (x *effects) pong(number uint64) {
	m := x.m
	if number != m.probe || !m.probing {
		return
	}
	m.probing = false
	d := m.dirs[Node]
	for _, n := range d.waiting() {
		if h := d.window[n]; h.probe == number {
			d.ack(n)
			ack, err := acknowledgement(h.raw)
			x.tell(Node, ack, err)
		}
	}
}

func acknowledgement(raw []byte) (*mgs.Message, error) {
	f, err := mgs.Unmarshal(raw)
	if err != nil {
		return nil, err
	}
	return mgs.NewAcknowledge(f)
}
