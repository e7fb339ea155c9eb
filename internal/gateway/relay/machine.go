package relay

import (
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Fence is how long everything for the client is held after the end of a
// handshake. Seen: 50 ms are enough for the stock client, which breaks when a
// frame comes before its local end is made.
const Fence = 60 * time.Millisecond

// maxFenced bounds what is held by the fence, in bytes; what comes on top is
// repeated by its sender.
const maxFenced = 1 << 20

// Machine is the state of a session's relay. It is not safe for concurrent
// use.
type Machine struct {
	session string
	node    string
	dirs    [2]*direction // by sender
	open    [2]bool

	wasClient bool   // a client has been there
	paused    bool   // the node was told to pause, or may have been
	ready     bool   // the client takes output: it sent input, see takesOutput
	resumed   bool   // what was sent before is not known
	two       bool   // input flows only while a second person is there
	locked    bool   // and none is
	dropped   spans  // numbers of input that was dropped
	probe     uint64 // of the newest ping
	probing   bool   // it is not answered

	fence       time.Time
	fenced      [][]byte
	fencedBytes int
	finish      bool // the client's socket is to close behind the fence

	ended  bool
	output string
}

// NewMachine makes the relay of a session of a node. Resumed: the session was
// relayed before, by a hub that kept nothing. Locked: input is dropped
// until a second person is there.
func NewMachine(session, node string, resumed, locked bool) *Machine {
	return &Machine{
		session: session, node: node, two: locked, locked: locked, paused: resumed, resumed: resumed,
		dirs: [2]*direction{newDirection(mgs.TypeOutputStreamData, resumed), newDirection(mgs.TypeInputStreamData, resumed)},
	}
}

// Next takes an event at a time and says what is to do.
func (m *Machine) Next(e Event, now time.Time) []Effect {
	out := effects{m: m, now: now}
	switch e := e.(type) {
	case Opened:
		out.opened(e.Side)
	case Closed:
		out.closed(e.Side)
	case Frame:
		out.frame(e)
	case Pong:
		out.pong(e.Number)
	case Tick:
		out.releaseFence()
	case Lock:
		m.locked = e.Closed
	case End:
		out.end(e.Output)
	}
	return out.list
}

// effects collects what one event leads to.
type effects struct {
	m    *Machine
	now  time.Time
	list []Effect
}

func (x *effects) add(e ...Effect) { x.list = append(x.list, e...) }

// send sends bytes to a side, behind the fence.
func (x *effects) send(to Side, raw []byte) bool {
	m := x.m
	if !m.open[to] {
		return false
	}
	if to == Client && !x.now.Before(m.fence) {
		x.releaseFence() // what was held goes first
	}
	if to == Client && x.now.Before(m.fence) {
		if m.fencedBytes+len(raw) > maxFenced {
			return false
		}
		m.fenced = append(m.fenced, raw)
		m.fencedBytes += len(raw)
		return true
	}
	x.add(Send{to, raw})
	return true
}

// tell sends a frame of the hub's own.
func (x *effects) tell(to Side, f *mgs.Message, err error) {
	if err != nil {
		return // the payloads made here always marshal
	}
	f.Created = x.now
	if raw, err := f.Marshal(); err == nil {
		x.send(to, raw)
	}
}

func (x *effects) releaseFence() {
	m := x.m
	if m.fence.IsZero() || x.now.Before(m.fence) {
		return
	}
	held := m.fenced
	m.fence, m.fenced, m.fencedBytes = time.Time{}, nil, 0
	for _, raw := range held {
		x.add(Send{Client, raw})
	}
	if m.finish && m.open[Client] {
		x.add(Finish{Client})
	}
}

// opened sends a side again what it has not acknowledged.
func (x *effects) opened(side Side) {
	m := x.m
	m.open[side] = true
	if side == Client {
		m.fence, m.fenced, m.fencedBytes, m.probing, m.wasClient = time.Time{}, nil, 0, false, true
	}
	if m.ended {
		x.bye(side)
		return
	}
	d := m.dirs[side.other()]
	for _, n := range d.waiting() {
		h := d.window[n]
		h.before, h.sent, h.sure, h.probe = h.before || h.sent, false, false, 0
		if side == Node || x.inOrder(n) {
			x.forward(side, h)
		}
	}
	if side == Client {
		x.probeClient()
		x.pause(false)
		return
	}
	away := m.wasClient && !m.open[Client]
	if away {
		m.paused = false // say it again
	}
	if away || m.open[Client] {
		x.pause(away)
	}
}

func (x *effects) closed(side Side) {
	m := x.m
	m.open[side] = false
	if side == Client {
		m.fence, m.fenced, m.fencedBytes, m.probing = time.Time{}, nil, 0, false
		if !m.ended {
			x.pause(true)
		}
	}
}

// pause tells the node to stop sending, or to go on.
func (x *effects) pause(on bool) {
	if x.m.paused == on || !x.m.open[Node] {
		return
	}
	x.m.paused = on
	kind := mgs.TypeStartPublication
	if on {
		kind = mgs.TypePausePublication
	}
	x.tell(Node, mgs.New(kind, []byte("{}")), nil)
}

// forward sends a held frame to its receiver.
func (x *effects) forward(to Side, h *held) {
	h.sent = x.send(to, h.raw)
	h.sure = h.sent && x.m.ready
	if h.sent && to == Client && h.payloadType == mgs.PayloadHandshakeComplete && !x.now.Before(x.m.fence) {
		x.m.fence = x.now.Add(Fence)
		x.add(Wake{x.m.fence})
	}
}

func (x *effects) end(output string) {
	m := x.m
	if m.ended {
		return
	}
	m.ended, m.output = true, output
	for side := range m.open {
		if m.open[side] {
			x.bye(Side(side))
		}
	}
	for _, d := range m.dirs {
		clear(d.window)
		clear(d.early)
		d.bytes, d.earlyBytes = 0, 0
	}
}

// bye closes a side; a client that comes late hears of the end, too.
func (x *effects) bye(side Side) {
	m := x.m
	closed, err := m.closing(m.output)
	x.tell(side, closed, err)
	if side == Client && x.now.Before(m.fence) {
		m.finish = true
		return
	}
	x.add(Finish{side})
}

// closing is the frame that ends the session for the one who gets it.
func (m *Machine) closing(output string) (*mgs.Message, error) {
	f, err := mgs.Encode(mgs.TypeChannelClosed, mgs.ChannelClosed{
		MessageType: mgs.TypeChannelClosed, MessageID: uuid.NewString(), DestinationID: m.node, SessionID: m.session,
		SchemaVersion: 1, CreatedDate: mgs.FormatTime(time.Now()), Output: output,
	})
	if err == nil {
		f.Flags = mgs.FlagFIN
	}
	return f, err
}
