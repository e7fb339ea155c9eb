package relay

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// heard keeps what a room delivers.
type heard struct {
	mu   sync.Mutex
	room *Room
	text [2]bytes.Buffer
}

func (h *heard) Deliver(d Deliver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text[d.Side].Write(d.Payload)
	if d.Side == Node {
		h.room.Show(d.PayloadType, d.Payload)
	}
}
func (h *heard) State(string) {}
func (h *heard) Full() bool   { return false }

func (h *heard) of(side Side) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text[side].String()
}

// stage is a room behind a real server.
type stage struct {
	t     *testing.T
	room  *Room
	heard *heard
	url   string
}

func newStage(t *testing.T, locked bool) *stage {
	s := &stage{t: t, heard: &heard{}}
	s.room = NewRoom(NewMachine("s-1", "mi-1", false, locked), s.heard, slog.New(slog.DiscardHandler))
	s.heard.room = s.room
	var up websocket.Upgrader
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		switch r.URL.Path {
		case "/node":
			s.room.Take(Node, conn).Serve()
		case "/client":
			s.room.Take(Client, conn).Serve()
		case "/second":
			s.room.View(conn, "p-1", true)
		default:
			s.room.View(conn, "p-2", false)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(s.room.Cut)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return s
}

func (s *stage) dial(path string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *stage) write(conn *websocket.Conn, raw []byte) {
	s.t.Helper()
	if err := conn.WriteMessage(websocket.BinaryMessage, raw); err != nil {
		s.t.Fatal(err)
	}
}

// next reads the next frame of a type.
func (s *stage) next(conn *websocket.Conn, kind string) *mgs.Message {
	s.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			s.t.Fatalf("no %s: %v", kind, err)
		}
		if m, err := mgs.Unmarshal(b); err == nil && m.Type == kind {
			return m
		}
	}
}

func (s *stage) await(what string, ok func() bool) {
	s.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			s.t.Fatalf("%s did not come", what)
		case <-tick.C:
		}
	}
}

func TestRoomCarriesBothWaysAndEnds(t *testing.T) {
	s := newStage(t, false)
	node, client := s.dial("/node"), s.dial("/client")
	s.await("both", func() bool { return s.room.Has(Node) && s.room.Has(Client) })
	s.write(node, out(0, "$ ").Raw)
	if m := s.next(client, mgs.TypeOutputStreamData); string(m.Payload) != "$ " {
		t.Fatalf("got %q", m.Payload)
	}
	s.write(client, in(0, "ls\r").Raw)
	if m := s.next(node, mgs.TypeInputStreamData); string(m.Payload) != "ls\r" {
		t.Fatalf("got %q", m.Payload)
	}
	s.room.End("over")
	s.next(node, mgs.TypeChannelClosed)
	s.next(client, mgs.TypeChannelClosed)
	s.next(s.dial("/client"), mgs.TypeChannelClosed)
}

func TestNewerSocketReplacesTheOlder(t *testing.T) {
	s := newStage(t, false)
	node, old := s.dial("/node"), s.dial("/client")
	s.await("both", func() bool { return s.room.Has(Node) && s.room.Has(Client) })
	s.write(node, out(0, "a").Raw)
	s.next(old, mgs.TypeOutputStreamData)
	fresh := s.dial("/client")
	if m := s.next(fresh, mgs.TypeOutputStreamData); m.Sequence != 0 {
		t.Fatalf("number %d", m.Sequence)
	}
	if _, _, err := old.ReadMessage(); err == nil {
		t.Fatal("the older socket is still open")
	}
}

// TestBadFrames: frames that make no sense are dropped, and too many or one that is
// too large end the socket; the session goes on.
func TestBadFrames(t *testing.T) {
	good := out(0, "text").Raw
	wrong := bytes.Clone(good)
	wrong[len(wrong)-1]++
	unknown, err := mgs.New("made_up", nil).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		raw   []byte
		times int
		ends  bool
	}{
		"truncated":     {good[:100], maxDropped, true},
		"wrong digest":  {wrong, maxDropped, true},
		"a few":         {wrong, maxDropped - 1, false},
		"wrong numbers": {out(-5, "x").Raw, maxDropped, true},
		"unknown type":  {unknown, 3 * maxDropped, false},
		"oversized":     {make([]byte, mgs.MaxFrame+1), 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, false)
			node, client := s.dial("/node"), s.dial("/client")
			s.await("both", func() bool { return s.room.Has(Node) && s.room.Has(Client) })
			for range test.times {
				s.write(node, test.raw)
			}
			if test.ends {
				s.await("the end of the socket", func() bool { return !s.room.Has(Node) })
				node = s.dial("/node")
			}
			s.write(node, good)
			if m := s.next(client, mgs.TypeOutputStreamData); string(m.Payload) != "text" {
				t.Fatalf("got %q", m.Payload)
			}
		})
	}
}

// TestSlowReader: the hub stops reading the node when the client does not read.
func TestSlowReader(t *testing.T) {
	s := newStage(t, false)
	node, client := s.dial("/node"), s.dial("/client")
	s.await("both", func() bool { return s.room.Has(Node) && s.room.Has(Client) })
	const frames, size = 640, 100 << 10
	sent := make(chan error, 1)
	go func() {
		for n := range int64(frames) {
			m := mgs.NewStreamData(mgs.TypeOutputStreamData, n, mgs.PayloadOutput, make([]byte, size))
			if err := node.WriteMessage(websocket.BinaryMessage, frame(Node, m).Raw); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	backlog := func() int {
		s.room.mu.Lock()
		defer s.room.mu.Unlock()
		return s.room.sockets[Client].backlog()
	}
	s.await("a full queue", func() bool { return backlog() >= maxQueue })
	for n := range int64(frames) {
		if b := backlog(); b > maxQueue+2*mgs.MaxFrame {
			t.Fatalf("%d bytes wait for the client", b)
		}
		if m := s.next(client, mgs.TypeOutputStreamData); m.Sequence != n || len(m.Payload) != size {
			t.Fatalf("got number %d, want %d", m.Sequence, n)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestViewersSeeAndTypeNothing(t *testing.T) {
	s := newStage(t, false)
	node := s.dial("/node")
	s.await("the node", func() bool { return s.room.Has(Node) })
	s.write(node, out(0, "before ").Raw)
	s.await("output", func() bool { return s.heard.of(Node) == "before " })
	viewer := s.dial("/viewer")
	if m := s.next(viewer, mgs.TypeOutputStreamData); string(m.Payload) != "before " || m.Sequence != 0 {
		t.Fatalf("got %d %q", m.Sequence, m.Payload)
	}
	s.write(viewer, in(0, "rm -rf /\r").Raw)
	s.next(viewer, mgs.TypeAcknowledge)
	s.write(node, out(1, "after").Raw)
	if m := s.next(viewer, mgs.TypeOutputStreamData); string(m.Payload) != "after" || m.Sequence != 1 {
		t.Fatalf("got %d %q", m.Sequence, m.Payload)
	}
	if got := s.heard.of(Client); strings.Contains(got, "a") {
		t.Fatalf("a viewer typed %q", got)
	}
	s.room.Dismiss("p-2")
	s.next(viewer, mgs.TypeChannelClosed)
}

func TestInputFlowsWhileASecondPersonIsThere(t *testing.T) {
	s := newStage(t, true)
	node, client := s.dial("/node"), s.dial("/client")
	s.await("both", func() bool { return s.room.Has(Node) && s.room.Has(Client) })
	s.dial("/viewer") // one who only looks does not count
	s.write(client, in(0, "a").Raw)
	s.write(node, out(0, "mark").Raw)
	s.next(client, mgs.TypeOutputStreamData)
	if got := s.heard.of(Client); strings.Contains(got, "a") {
		t.Fatalf("%q flowed", got)
	}
	second := s.dial("/second")
	s.await("the second person", func() bool { s.room.mu.Lock(); defer s.room.mu.Unlock(); return !s.room.machine.locked })
	s.write(client, in(1, "b").Raw)
	for _, want := range []string{"-", "b"} { // what was typed before is dropped
		if m := s.next(node, mgs.TypeInputStreamData); string(m.Payload) != want {
			t.Fatalf("got %q, want %q", m.Payload, want)
		}
	}
	_ = second.Close()
	s.await("the lock", func() bool { s.room.mu.Lock(); defer s.room.mu.Unlock(); return s.room.machine.locked })
	s.write(client, in(2, "c").Raw)
	if m := s.next(node, mgs.TypeInputStreamData); string(m.Payload) != "-" {
		t.Fatalf("%q flowed", m.Payload)
	}
}
