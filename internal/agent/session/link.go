package session

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/mgs/stream"

	"github.com/gorilla/websocket"
)

// Times of a data channel.
const (
	pingEvery    = 20 * time.Second
	silence      = 60 * time.Second // a channel on which nothing comes is dead
	writeTimeout = 10 * time.Second
	firstWait    = 200 * time.Millisecond
	maxWait      = 30 * time.Second
	settled      = 5 * time.Second  // a channel that lived so long ends a row of failures
	lostAfter    = 30 * time.Minute // without the hub
	drainWait    = 5 * time.Second  // at the end, without an acknowledgement
)

var errLost = errors.New("the node could not reach the hub for too long")

// link is a session's data channel over all its connections.
type link struct {
	session *session
	inbox   *inbox
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{} // holds an element when the writer has to look

	mu        sync.Mutex
	changed   *sync.Cond // an acknowledgement came, or somebody must stop to wait
	stream    *stream.Stream
	crypt     *crypt // nil for a session that is not encrypted
	connected bool
	ending    bool
}

func newLink(s *session) *link {
	l := &link{session: s, inbox: newInbox(), wake: make(chan struct{}, 1), stream: stream.Node()}
	l.changed = sync.NewCond(&l.mu)
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(s.ctx))
	return l
}

// run keeps the data channel open until the session has ended.
func (l *link) run() {
	seen, failed := time.Now(), 0
	for l.ctx.Err() == nil {
		conn, err := l.session.Dial(l.ctx, l.session.id)
		if errors.Is(err, ErrTerminated) {
			l.session.cancel(errClosed)
			return
		}
		if err == nil {
			began := time.Now()
			err = l.serve(conn)
			if seen = time.Now(); seen.Sub(began) > settled {
				failed = 0
			}
		}
		if time.Since(seen) > lostAfter {
			l.session.cancel(errLost)
			return
		}
		wait := rand.N(min(firstWait<<min(failed, 10), maxWait))
		failed++
		if l.ctx.Err() == nil {
			l.session.log.Warn("no data channel", "error", err.Error(), "again", wait.Round(time.Millisecond).String())
		}
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
		}
	}
}

// serve uses one connection until it ends.
func (l *link) serve(conn *websocket.Conn) error {
	quit := make(chan struct{})
	var writer sync.WaitGroup
	defer writer.Wait()
	defer close(quit)
	defer conn.Close()
	defer l.attach(false)
	if err := l.say(conn, mgs.SessionConnected); err != nil {
		return err
	}
	l.attach(true)
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	alive(conn)
	writer.Go(func() { l.pump(conn, quit) })
	for {
		kind, b, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(silence))
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := mgs.Unmarshal(b)
		if err != nil {
			l.session.log.Warn("a frame cannot be read", "error", err.Error())
			continue
		}
		l.take(m)
	}
}

// alive takes pings and pongs as signs of life, and answers pings.
func alive(conn *websocket.Conn) {
	extend := func() { _ = conn.SetReadDeadline(time.Now().Add(silence)) }
	extend()
	conn.SetReadLimit(mgs.MaxFrame)
	conn.SetPongHandler(func(string) error { extend(); return nil })
	answer := conn.PingHandler()
	conn.SetPingHandler(func(text string) error { extend(); return answer(text) })
}

// attach notes that there is a connection, on which what is not acknowledged
// is sent again, or that there is none.
func (l *link) attach(connected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected = connected
	if connected {
		l.stream.Start()
	} else if l.ending {
		l.cancel()
	}
}

// pump writes to a connection what the stream has to send.
func (l *link) pump(conn *websocket.Conn, quit <-chan struct{}) {
	defer conn.Close()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		m, wait, ending := l.next()
		switch {
		case ending:
			_ = l.say(conn, mgs.SessionTerminating)
			l.cancel()
			return
		case m != nil:
			if err := send(conn, m); err != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-ping.C:
			_ = conn.WriteControl(websocket.PingMessage, []byte("keepalive"), time.Now().Add(writeTimeout))
		case <-quit:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// next is the next frame, or how long there is none.
func (l *link) next() (m *mgs.Message, wait time.Duration, ending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending {
		return nil, 0, true
	}
	now := time.Now()
	if m = l.stream.Next(now); m != nil {
		return m, 0, false
	}
	wait = time.Hour
	if at, ok := l.stream.Wake(); ok {
		wait = max(at.Sub(now), time.Millisecond)
	}
	return nil, wait, false
}

func send(conn *websocket.Conn, m *mgs.Message) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return conn.WriteMessage(websocket.BinaryMessage, b)
}

// say tells the hub the state of the node's end.
func (l *link) say(conn *websocket.Conn, state string) error {
	m, err := mgs.NewSessionState(state, l.session.id)
	if err != nil {
		return err
	}
	return send(conn, m)
}

// take acts on a frame of the hub or the client.
func (l *link) take(m *mgs.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m.Type {
	case mgs.TypeInputStreamData:
		for _, m := range l.stream.Receive(m, l.inbox.room()) {
			l.deliver(m)
		}
	case mgs.TypeAcknowledge:
		var ack mgs.Acknowledge
		if mgs.Decode(m.Payload, &ack) == nil {
			l.stream.Acked(ack, time.Now())
			l.changed.Broadcast()
		}
	case mgs.TypePausePublication:
		l.stream.Pause()
	case mgs.TypeStartPublication:
		l.stream.Start()
	case mgs.TypeChannelClosed:
		l.session.cancel(errClosed)
	}
	l.poke()
}

// deliver hands a message that is in order to the session. The wish to end is
// heard at once, however much input is waiting.
func (l *link) deliver(m *mgs.Message) {
	if m.PayloadType == mgs.PayloadFlag && flagOf(m) == mgs.FlagTerminateSession {
		l.session.cancel(errLeft)
		return
	}
	if l.crypt != nil && m.PayloadType == mgs.PayloadOutput {
		plain, err := l.crypt.open(m.Payload)
		if err != nil {
			l.session.cancel(err)
			return
		}
		m.Payload = plain
	}
	l.inbox.put(m)
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write queues data for the client, cut to the size that stock ends use, and
// waits while there is no room. Error: the session ends.
func (l *link) write(payloadType uint32, data []byte) error {
	stop := context.AfterFunc(l.session.ctx, l.broadcast)
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		part := data[:min(len(data), mgs.MaxStreamData)]
		data = data[len(part):]
		if err := l.queue(payloadType, part); err != nil {
			return err
		}
		if len(data) == 0 {
			return nil
		}
	}
}

func (l *link) queue(payloadType uint32, part []byte) error {
	for l.stream.Room() == 0 {
		if err := l.session.ctx.Err(); err != nil {
			return err
		}
		l.changed.Wait()
	}
	if l.crypt != nil && sealed(payloadType) {
		part = l.crypt.seal(part)
	} else {
		part = bytes.Clone(part)
	}
	l.stream.Queue(payloadType, part)
	l.poke()
	return nil
}

func (l *link) broadcast() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

// encrypt begins the encryption of what follows.
func (l *link) encrypt(c *crypt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crypt = c
}

// finish ends the channel, once the client has everything if it may wait for
// that.
func (l *link) finish(drain bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if drain {
		l.drain()
	}
	l.ending = true
	if !l.connected {
		l.cancel()
	}
	l.poke()
	time.AfterFunc(writeTimeout, l.cancel)
}

// drain waits until all is acknowledged, or nothing more is for some time.
func (l *link) drain() {
	deadline := time.Now().Add(drainWait)
	for n := l.stream.Unacked(); n > 0 && time.Now().Before(deadline) && l.session.ctx.Err() == nil; {
		t := time.AfterFunc(100*time.Millisecond, l.broadcast)
		l.changed.Wait()
		t.Stop()
		if left := l.stream.Unacked(); left < n {
			n, deadline = left, time.Now().Add(drainWait)
		}
	}
}
