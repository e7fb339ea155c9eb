package relay

import (
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Times of a data channel. The stock node gives a socket up 60 s after the
// last pong, so neither side may be left unread so long.
const (
	pingEvery = 10 * time.Second
	silence   = 50 * time.Second // a socket on which nothing comes is dead
	writeWait = 40 * time.Second // a side that takes nothing so long is cut
	linger    = 5 * time.Second  // for the other end to close what is finished
)

// maxDropped frames that make no sense end a socket.
const maxDropped = 20

// item is a frame, or a ping with a number.
type item struct {
	raw  []byte
	ping uint64
}

// socket is a WebSocket with a queue before it. Its writer is the only one who
// writes; the queue is filled under the room's lock.
type socket struct {
	conn *websocket.Conn

	mu     sync.Mutex
	queue  []item
	bytes  int
	finish bool

	kick    chan struct{}
	gone    chan struct{}
	once    sync.Once
	drained func() // called without locks when the queue became short
	pong    func(number uint64)
}

func newSocket(conn *websocket.Conn) *socket {
	return &socket{conn: conn, kick: make(chan struct{}, 1), gone: make(chan struct{}), drained: func() {}, pong: func(uint64) {}}
}

func (s *socket) push(i item) {
	s.mu.Lock()
	s.queue = append(s.queue, i)
	s.bytes += len(i.raw)
	s.mu.Unlock()
	s.wake()
}

func (s *socket) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *socket) backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// end closes the socket once its queue is written.
func (s *socket) end() {
	s.mu.Lock()
	s.finish = true
	s.mu.Unlock()
	s.wake()
}

// cut closes the socket at once.
func (s *socket) cut() {
	s.once.Do(func() {
		close(s.gone)
		_ = s.conn.Close()
	})
}

// take empties the queue.
func (s *socket) take() (items []item, finish bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, s.queue = s.queue, nil
	return items, s.finish
}

// write writes what is queued, and pings, until the socket is over.
func (s *socket) write() {
	defer s.cut()
	pings := time.NewTicker(pingEvery)
	defer pings.Stop()
	for {
		select {
		case <-s.gone:
			return
		case <-pings.C:
			if s.ping("keepalive") != nil {
				return
			}
		case <-s.kick:
			items, finish := s.take()
			if !s.writeAll(items) {
				return
			}
			if finish {
				s.close()
				return
			}
		}
	}
}

func (s *socket) writeAll(items []item) bool {
	for _, i := range items {
		var err error
		if i.raw == nil {
			err = s.ping(strconv.FormatUint(i.ping, 10))
		} else {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeWait))
			err = s.conn.WriteMessage(websocket.BinaryMessage, i.raw)
		}
		if err != nil {
			return false
		}
		if s.written(len(i.raw)) {
			s.drained()
		}
	}
	s.drained()
	return true
}

// written takes bytes off the backlog; true when it fell below maxQueue with them.
func (s *socket) written(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.bytes
	s.bytes -= n
	return before >= maxQueue && s.bytes < maxQueue
}

func (s *socket) ping(text string) error {
	return s.conn.WriteControl(websocket.PingMessage, []byte(text), time.Now().Add(writeWait))
}

// close says goodbye and gives the other end a moment to go first.
func (s *socket) close() {
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(linger))
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-s.gone:
	case <-t.C:
	}
}

// read gives each frame to f until the socket is over or f says false.
func (s *socket) read(f func(raw []byte, m *mgs.Message, err error) bool) {
	defer s.cut()
	s.conn.SetReadLimit(mgs.MaxFrame)
	alive := func() { _ = s.conn.SetReadDeadline(time.Now().Add(silence)) }
	alive()
	s.conn.SetPongHandler(func(text string) error {
		alive()
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			s.pong(n)
		}
		return nil
	})
	answer := s.conn.PingHandler()
	s.conn.SetPingHandler(func(text string) error { alive(); return answer(text) })
	for {
		kind, raw, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		alive()
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := mgs.Unmarshal(raw)
		if !f(raw, m, err) {
			return
		}
		alive() // f may have waited
	}
}
