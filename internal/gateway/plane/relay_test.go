package plane_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hub "github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/wire/plane"
	"github.com/watchbill/watchbill/test/fault"
)

// world is a hub, a node and a client on the loopback address, with a faulty
// network on both sides of the hub.
type world struct {
	t        *testing.T
	listener net.Listener
	relay    atomic.Pointer[hub.Relay]
	session  *record
	client   *plane.Endpoint
	toNode   *fault.Proxy
	toClient *fault.Proxy
	notices  chan string
}

// record is a session that keeps what it is told.
type record struct {
	mu      sync.Mutex
	output  bytes.Buffer
	input   bytes.Buffer
	opened  map[uint32]int
	tallies map[uint32]hub.Tally
	closed  chan uint32
	deny    func(plane.Open) error
	held    atomic.Bool
	left    chan struct{}
}

func newRecord() *record {
	return &record{opened: map[uint32]int{}, tallies: map[uint32]hub.Tally{}, closed: make(chan uint32, 100), left: make(chan struct{}, 1)}
}

func (r *record) Opening(id uint32, open plane.Open, again bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deny != nil {
		return r.deny(open)
	}
	r.opened[id]++
	return nil
}

func (r *record) Closed(id uint32, _ plane.Open, t hub.Tally) {
	r.mu.Lock()
	r.tallies[id] = t
	r.mu.Unlock()
	r.closed <- id
}

func (r *record) Output(b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.output.Write(b)
	return nil
}

func (r *record) Input(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.input.Write(b)
}
func (r *record) Resize(_, _ uint16) {}
func (r *record) Active(_, _ int)    {}
func (r *record) InputClosed() string {
	if r.held.Load() {
		return "closed"
	}
	return ""
}
func (r *record) Left() { r.left <- struct{}{} }

func newWorld(t *testing.T, plan fault.Plan, handle func(*plane.Stream)) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, listener: l, session: newRecord(), notices: make(chan string, 100)}
	w.restart()
	go w.accept()
	w.toNode = fault.NewProxy(t, l.Addr().String(), plan)
	plan.Seed++
	w.toClient = fault.NewProxy(t, l.Addr().String(), plan)
	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	t.Cleanup(func() { cancel(); _ = l.Close(); ends.Wait() })
	node := plane.NewEndpoint(plane.Config{Dial: dialer(w.toNode, "node"), Handle: handle})
	ends.Go(func() { _ = node.Run(ctx) })
	w.client = plane.NewEndpoint(plane.Config{Client: true, Dial: dialer(w.toClient, "client"), Notice: func(text string) { w.notices <- text }})
	ends.Go(func() { _ = w.client.Run(ctx) })
	return w
}

// restart forgets everything, as a hub that was killed.
func (w *world) restart() {
	w.relay.Store(hub.NewRelay(w.session))
}

func (w *world) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			link := plane.NewLink(c, false)
			h, err := plane.ReadHello(link)
			switch {
			case err != nil:
				link.Close()
			case h.TokenValue == "node":
				w.relay.Load().ServeNode(link)
			default:
				w.relay.Load().ServeClient(link)
			}
		}()
	}
}

func dialer(p *fault.Proxy, token string) func(context.Context) (*plane.Link, plane.Welcome, error) {
	return func(context.Context) (*plane.Link, plane.Welcome, error) {
		c, err := net.Dial("tcp", p.Address)
		if err != nil {
			return nil, plane.Welcome{}, err
		}
		l := plane.NewLink(c, true)
		w, err := plane.Greet(l, token)
		return l, w, err
	}
}

// echo sends back what it gets.
func echo(s *plane.Stream) {
	_ = s.Answer(plane.Opened{})
	for {
		f, err := s.Next()
		if err != nil {
			break
		}
		_, _ = s.Write(f.Payload())
		f.Release()
	}
	_ = s.Exit(plane.Exit{Code: 3})
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// roundTrip sends bytes to the echo and compares what comes back.
func roundTrip(t *testing.T, w *world, data []byte) {
	t.Helper()
	s, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.TCP, Host: "h", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Copy(plane.KindData, bytes.NewReader(data))
		if err == nil {
			err = s.CloseWrite()
		}
		if err != nil {
			t.Error(err)
		}
	}()
	sum := sha256.New()
	r, err := s.Receive(sum, io.Discard)
	if err != nil || r.Bytes != int64(len(data)) || r.Code != 3 {
		t.Fatalf("received %d bytes, %+v: %v", r.Bytes, r.Exit, err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("other bytes came back")
	}
}

func TestRoundTrip(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	for _, n := range []int{0, 1, 1000, 1 << 20, 8 << 20} {
		roundTrip(t, w, random(n))
	}
	for range 5 {
		<-w.session.closed
	}
	if got := w.session.tallies[5]; got.In != 8<<20 || got.Out != 8<<20 || got.Exit == nil || got.Exit.Code != 3 {
		t.Errorf("tally %+v", got)
	}
}

// 64 MiB there and back over lines that stall and break.
func TestFaultyNetwork(t *testing.T) {
	n := 64 << 20
	if testing.Short() {
		n = 8 << 20
	}
	w := newWorld(t, fault.Plan{Seed: 7, ResetEvery: 6 << 20, StallEvery: 8 << 20, Stall: 50 * time.Millisecond}, echo)
	roundTrip(t, w, random(n))
	t.Logf("%d resets", w.toNode.Resets()+w.toClient.Resets())
	if w.toNode.Resets() == 0 || w.toClient.Resets() == 0 {
		t.Error("nothing was reset")
	}
}

// A hub that is killed loses what it knows of the session, and nothing else.
func TestHubForgets(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	s, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell})
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	got := make([]byte, 0, 1<<20)
	for i := range 20 {
		piece := random(i * 1000)
		want = append(want, piece...)
		if _, err := s.Write(piece); err != nil {
			t.Fatal(err)
		}
		if i%4 == 1 {
			w.restart()
			w.toNode.Cut()
			w.toClient.Cut()
		}
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind() == plane.KindData {
			got = append(got, f.Payload()...)
		}
		f.Release()
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, sent %d", len(got), len(want))
	}
	w.session.mu.Lock()
	defer w.session.mu.Unlock()
	if w.session.output.Len() < len(want) {
		t.Errorf("only %d of %d bytes were shown", w.session.output.Len(), len(want))
	}
}

func TestRefusedStream(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	w.session.deny = func(plane.Open) error { return errors.New("not by this document") }
	_, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.TCP})
	if r, ok := errors.AsType[*plane.ResetError](err); !ok || r.Reason != "not by this document" {
		t.Errorf("got %v", err)
	}
}

// What is typed before the second person is there is dropped, also when it comes
// again, and what is typed then flows.
func TestInputDropped(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	w.session.held.Store(true)
	s, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell})
	if err != nil {
		t.Fatal(err)
	}
	typed := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if _, err := s.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		other, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell}) // behind what was typed
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
	typed("a", "b", "c")
	for text := range w.notices { // the first may be that of the coming of the link
		if text == "the input was dropped: closed" {
			break
		}
	}
	w.session.held.Store(false)
	w.toClient.Cut() // a, b, c may come again
	w.toNode.Cut()
	typed("d", "e")
	w.session.held.Store(true)
	typed("f")
	w.session.held.Store(false)
	typed("g")
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := s.Receive(&got, io.Discard); err != nil || got.String() != "deg" {
		t.Errorf("%q, %v", got.String(), err)
	}
	w.session.mu.Lock()
	defer w.session.mu.Unlock()
	if w.session.input.String() != "deg" {
		t.Errorf("input shown: %q", w.session.input.String())
	}
}

func TestEnd(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	s, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell})
	if err != nil {
		t.Fatal(err)
	}
	w.relay.Load().End("Terminated")
	_, err = s.Next()
	if e, ok := errors.AsType[*plane.EndError](err); !ok || e.Cause != "Terminated" {
		t.Errorf("got %v", err)
	}
	<-w.session.closed
	if got := w.session.tallies[1].Cause; got != "Terminated" {
		t.Errorf("cause %q", got)
	}
}

func TestLeft(t *testing.T) {
	w := newWorld(t, fault.Plan{}, echo)
	if _, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell}); err != nil {
		t.Fatal(err)
	}
	w.client.Bye()
	<-w.session.left
}

// A client that does not keep to the protocol loses its link, and nothing of it
// reaches the node.
func TestHostileClient(t *testing.T) {
	handled := make(chan struct{}, 10)
	w := newWorld(t, fault.Plan{}, func(s *plane.Stream) {
		handled <- struct{}{}
		echo(s)
	})
	if _, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell}); err != nil {
		t.Fatal(err)
	}
	<-handled
	frame := func(kind plane.Kind, stream uint32, number uint64, text string) *plane.Frame {
		f := plane.NewFrame(kind, stream, len(text))
		copy(f.Payload(), text)
		f.SetNumber(number)
		return f
	}
	cases := map[string][]*plane.Frame{
		"a frame of the node's": {frame(plane.KindExit, 1, 2, "{}")},
		"an unknown kind":       {frame(99, 1, 2, "")},
		"a frame of the hub's":  {frame(plane.KindEnd, 0, 0, `{}`)},
		"synced":                {frame(plane.KindSynced, 1, 2, ``)},
		"sync that is no JSON":  {frame(plane.KindSync, 50, 0, `x`)},
	}
	for name, frames := range cases {
		l, _, err := dialer(w.toClient, "client")(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if err := l.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		for {
			f, err := l.ReadFrame()
			if err != nil {
				break
			}
			f.Release()
		}
		_ = name
		l.Close()
	}
	// Data for a stream that nobody opened, and openings that are none.
	l, _, err := dialer(w.toClient, "client")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, f := range []*plane.Frame{frame(plane.KindData, 77, 1, "x"), frame(plane.KindOpen, 78, 2, `{}`), frame(plane.KindOpen, 79, 1, `no`), frame(plane.KindResize, 1, 900, "")} {
		if err := l.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	resets := map[uint32]bool{}
	for len(resets) < 2 {
		f, err := l.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind() == plane.KindReset {
			resets[f.Stream()] = true
		}
		f.Release()
	}
	if !resets[78] || !resets[79] || len(handled) != 0 {
		t.Errorf("resets %v, %d streams at the node", resets, len(handled))
	}
}

// A slow reader slows the writer down; memory is bounded by the windows, and
// other streams go on.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, fault.Plan{}, func(s *plane.Stream) {
		if s.Header().Kind == plane.TCP {
			echo(s)
			return
		}
		_ = s.Answer(plane.Opened{})
		_, _ = s.Copy(plane.KindData, bytes.NewReader(make([]byte, 64<<20)))
		_ = s.Exit(plane.Exit{})
		s.Close()
	})
	slow, _, err := w.client.Open(t.Context(), plane.Open{Kind: plane.Shell})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, w, random(4<<20))
	w.session.mu.Lock()
	shown := w.session.output.Len()
	w.session.mu.Unlock()
	if shown > 1<<20 {
		t.Errorf("%d bytes were sent to a reader that does not read", shown)
	}
	r, err := slow.Receive(io.Discard, io.Discard)
	if err != nil || r.Bytes != 64<<20 {
		t.Errorf("%d bytes, %v", r.Bytes, err)
	}
}
