package relay

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Limits of viewers.
const (
	maxHistory = 32 << 10  // bytes of output that a viewer gets at first
	maxBehind  = 512 << 10 // a viewer that is so many bytes behind is sent away
	maxViewers = 16
)

// viewer reads the output of a session and writes nothing. It speaks the
// protocol of a client: its stream has numbers of its own, and what it sends
// is acknowledged and thrown away.
type viewer struct {
	socket *socket
	person string
	second bool
	next   int64
	ended  bool
}

// View is a viewer on a socket until the socket is over; second: input flows
// while one such is there. False when there is no room for one more.
func (r *Room) View(conn *websocket.Conn, person string, second bool) bool {
	v := &viewer{socket: newSocket(conn), person: person, second: second}
	if !r.enter(v) {
		return false
	}
	var writer sync.WaitGroup
	writer.Go(v.socket.write)
	dropped := 0
	v.socket.read(func(_ []byte, m *mgs.Message, err error) bool {
		if err != nil {
			dropped++
			return dropped < maxDropped
		}
		if m.Type == mgs.TypeInputStreamData {
			v.tell(mgs.NewAcknowledge(m))
		}
		return true
	})
	r.leave(v)
	writer.Wait()
	return true
}

// Viewers are the persons who view the session.
func (r *Room) Viewers() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v := range r.viewers {
		if !v.ended {
			out = append(out, v.person)
		}
	}
	return out
}

// Dismiss sends a viewer away.
func (r *Room) Dismiss(person string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v := range r.viewers {
		if v.person == person {
			v.bye(r.machine, "You may not view this session any more.")
		}
	}
	r.watched()
}

func (r *Room) enter(v *viewer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.viewers) >= maxViewers {
		return false
	}
	r.viewers[v] = struct{}{}
	if r.machine.ended {
		v.bye(r.machine, r.machine.output)
		return true
	}
	v.show(mgs.PayloadOutput, r.history)
	r.watched()
	return true
}

func (r *Room) leave(v *viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.viewers, v)
	r.watched()
}

// watched locks or unlocks the input. The caller holds the lock.
func (r *Room) watched() {
	if !r.two {
		return
	}
	closed := true
	for v := range r.viewers {
		closed = closed && !(v.second && !v.ended)
	}
	r.run(Lock{closed})
}

// Show gives output, in the clear, to the viewers. The listener calls it from
// Deliver.
func (r *Room) Show(payloadType uint32, output []byte) {
	r.history = append(r.history, output...)
	if n := len(r.history) - maxHistory; n > maxHistory {
		r.history = bytes.Clone(tail(r.history[n:]))
	}
	for v := range r.viewers {
		v.show(payloadType, output)
		if v.socket.backlog() > maxBehind {
			v.bye(r.machine, "The viewer was too slow.")
		}
	}
}

// tail is b from its first whole character.
func tail(b []byte) []byte {
	for i := range min(utf8.UTFMax, len(b)) {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}

// show sends output in messages of the size that stock ends use.
func (v *viewer) show(payloadType uint32, output []byte) {
	for len(output) > 0 && !v.ended {
		n := min(len(output), mgs.MaxStreamData)
		v.tell(mgs.NewStreamData(mgs.TypeOutputStreamData, v.next, payloadType, bytes.Clone(output[:n])), nil)
		v.next++
		output = output[n:]
	}
}

func (v *viewer) tell(m *mgs.Message, err error) {
	if err != nil {
		return
	}
	if raw, err := m.Marshal(); err == nil {
		v.socket.push(item{raw: raw})
	}
}

func (v *viewer) bye(m *Machine, output string) {
	if v.ended {
		return
	}
	v.ended = true
	v.tell(m.closing(output))
	v.socket.end()
}
