package relay

import (
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// maxQueue is how many bytes wait for a side before the other is not read any
// more.
const maxQueue = 512 << 10

// Listener hears what happens in a room, in order and one call at a time. It
// must not block.
type Listener interface {
	// Deliver is a message that the hub sees for the first time.
	Deliver(d Deliver)
	// State is what the node says of its end.
	State(state string)
	// Full says that the listener cannot take more for the moment; it calls
	// Room.Wake when it can.
	Full() bool
}

// Room is a session with its sockets. It is safe for concurrent use.
type Room struct {
	log *slog.Logger

	mu       sync.Mutex
	more     *sync.Cond // a queue became short, or a side or the session is over
	machine  *Machine
	listener Listener
	sockets  [2]*socket
	timer    *time.Timer
	ended    bool
	two      bool // input flows only while a second person is there
	viewers  map[*viewer]struct{}
	history  []byte
}

// NewRoom makes a room around a machine. A machine that is locked is unlocked
// while a second person is there.
func NewRoom(m *Machine, l Listener, log *slog.Logger) *Room {
	r := &Room{machine: m, listener: l, log: log, two: m.locked, viewers: map[*viewer]struct{}{}}
	r.more = sync.NewCond(&r.mu)
	r.timer = time.AfterFunc(time.Hour, func() { r.step(Tick{}) })
	r.timer.Stop()
	return r
}

// Seat is a side on a socket.
type Seat struct {
	room   *Room
	side   Side
	socket *socket
}

// Take puts a side on a socket, which replaces the one it had. Serve must
// follow.
func (r *Room) Take(side Side, conn *websocket.Conn) *Seat {
	s := newSocket(conn)
	s.drained = r.Wake
	s.pong = func(n uint64) {
		if side == Client {
			r.stepOn(side, s, Pong{n})
		}
	}
	r.attach(side, s)
	return &Seat{r, side, s}
}

// Serve carries frames until the socket is over.
func (t *Seat) Serve() {
	r, s := t.room, t.socket
	var writer sync.WaitGroup
	writer.Go(s.write)
	dropped := 0
	s.read(func(raw []byte, m *mgs.Message, err error) bool {
		if err != nil {
			dropped++
			r.log.Warn("a frame cannot be read", "side", t.side.String(), "error", err)
		} else {
			dropped += r.stepOn(t.side, s, Frame{t.side, m, raw})
		}
		return dropped < maxDropped && r.wait(t.side, s)
	})
	r.detach(t.side, s)
	writer.Wait()
}

// Has says that a side is there.
func (r *Room) Has(side Side) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets[side] != nil
}

// End ends the session for both sides and all viewers.
func (r *Room) End(output string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.run(End{output})
	for v := range r.viewers {
		v.bye(r.machine, output)
	}
	r.more.Broadcast()
}

// Empty says that nobody is there.
func (r *Room) Empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets[Node] == nil && r.sockets[Client] == nil && len(r.viewers) == 0
}

// Wake lets those look again who wait for a queue to become short.
func (r *Room) Wake() {
	r.mu.Lock()
	r.more.Broadcast()
	r.mu.Unlock()
}

// Cut closes all sockets at once: the hub stops, and the ends come back.
func (r *Room) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sockets {
		if s != nil {
			s.cut()
		}
	}
	for v := range r.viewers {
		v.socket.cut()
	}
}

func (r *Room) attach(side Side, s *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.sockets[side]; old != nil {
		old.cut()
		r.run(Closed{side})
	}
	r.sockets[side] = s
	r.run(Opened{side})
	r.more.Broadcast()
}

func (r *Room) detach(side Side, s *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sockets[side] == s {
		r.sockets[side] = nil
		r.run(Closed{side})
	}
	r.more.Broadcast()
}

// wait keeps the reader of a side back while the other side or the listener
// cannot take more; false when the socket is over.
func (r *Room) wait(side Side, s *socket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.ended && r.sockets[side] == s {
		other := r.sockets[side.other()]
		if (other == nil || other.backlog() < maxQueue) && !r.listener.Full() {
			break
		}
		r.more.Wait()
	}
	return r.sockets[side] == s
}

func (r *Room) step(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run(e)
}

// stepOn is step for a socket that may have been replaced; how many frames
// were dropped.
func (r *Room) stepOn(side Side, s *socket, e Event) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sockets[side] != s {
		return 0
	}
	return r.run(e)
}

// run does what the machine wants. The caller holds the lock.
func (r *Room) run(e Event) (dropped int) {
	now := time.Now()
	for _, effect := range r.machine.Next(e, now) {
		switch x := effect.(type) {
		case Send:
			r.push(x.Side, item{raw: x.Raw})
		case Ping:
			r.push(Client, item{ping: x.Number})
		case Wake:
			r.timer.Reset(x.At.Sub(now))
		case Deliver:
			r.listener.Deliver(x)
		case State:
			r.listener.State(x.State)
		case Finish:
			if s := r.sockets[x.Side]; s != nil {
				s.end()
			}
		case Drop:
			dropped++
			r.log.Warn("a frame was dropped", "side", x.Side.String(), "reason", x.Reason)
		}
	}
	return dropped
}

func (r *Room) push(side Side, i item) {
	if s := r.sockets[side]; s != nil {
		s.push(i)
	}
}
