package relay

import (
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Side is an end of a session.
type Side int

// The two sides.
const (
	Node Side = iota
	Client
)

func (s Side) other() Side { return 1 - s }

// String names the side in logs.
func (s Side) String() string {
	if s == Node {
		return "node"
	}
	return "client"
}

// Event is what happens to a session: Opened, Closed, Frame, Pong, Tick, Lock
// or End.
type Event interface{ event() }

// Opened: a side is there on a new socket, which replaces the one it had.
type Opened struct{ Side Side }

// Closed: the socket of a side is gone.
type Closed struct{ Side Side }

// Frame came from a side. Raw is its bytes, which the machine keeps.
type Frame struct {
	Side    Side
	Message *mgs.Message
	Raw     []byte
}

// Pong answers a Ping on the socket of the client.
type Pong struct{ Number uint64 }

// Tick: the time of a Wake has come.
type Tick struct{}

// Lock drops the client's input from now on, or lets it flow.
type Lock struct{ Closed bool }

// End: the session is over. Output is shown to the person, "" for an ordinary
// end.
type End struct{ Output string }

func (Opened) event() {}
func (Closed) event() {}
func (Frame) event()  {}
func (Pong) event()   {}
func (Tick) event()   {}
func (Lock) event()   {}
func (End) event()    {}

// Effect is what the machine wants done: Send, Ping, Wake, Deliver, State,
// Finish or Drop. They are done in order.
type Effect interface{ effect() }

// Send a frame to a side. There is one only while the side is open.
type Send struct {
	Side Side
	Raw  []byte
}

// Ping the client behind what was sent to it; the answer carries the number.
type Ping struct{ Number uint64 }

// Wake asks for a Tick at a time.
type Wake struct{ At time.Time }

// Deliver is a message of a side that the hub sees for the first time, in the
// order of its sender. Late: a gap was given up or the hub was started anew,
// so its place in the order is not certain.
type Deliver struct {
	Side        Side
	PayloadType uint32
	Payload     []byte
	Late        bool
}

// State is what the node tells about its end: mgs.SessionConnected or
// mgs.SessionTerminating.
type State struct{ State string }

// Finish closes the socket of a side once all is sent.
type Finish struct{ Side Side }

// Drop tells why a frame was thrown away; too many end the socket.
type Drop struct {
	Side   Side
	Reason string
}

func (Send) effect()    {}
func (Ping) effect()    {}
func (Wake) effect()    {}
func (Deliver) effect() {}
func (State) effect()   {}
func (Finish) effect()  {}
func (Drop) effect()    {}
