package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/capability/session"
)

// Config is what a relay needs.
type Config struct {
	Sessions *session.Service
	// Unwrap opens the data key of a session that is encrypted with a key of
	// this hub. Nil, or an error: the session cannot be recorded.
	Unwrap func(ctx context.Context, s *session.Session, key DataKey) ([]byte, error)
	Logger *slog.Logger
}

// DataKey is a data key as the client got it from the key service.
type DataKey struct {
	KeyID      string
	CipherText []byte
	Context    map[string]string // of the encryption
}

// Relay holds the sessions whose sockets are on this hub. It is safe for
// concurrent use.
type Relay struct {
	Config

	mu      sync.Mutex
	lives   map[string]*live
	closing bool
	open    sync.WaitGroup
}

// New makes a relay.
func New(c Config) *Relay { return &Relay{Config: c, lives: map[string]*live{}} }

// errStops says that the hub stops.
var errStops = errors.New("relay: the hub stops")

// ServeNode is the node's end of a session on a socket until it is over. Errors:
// those of session.Service.AttachNode; the socket is not used then.
func (h *Relay) ServeNode(ctx context.Context, id, token string, conn *websocket.Conn) error {
	l, err := h.enter(id)
	if err != nil {
		return err
	}
	defer h.leave(l)
	seat, err := l.sit(func() (*Seat, error) {
		s, err := h.Sessions.AttachNode(ctx, id, token)
		if err != nil {
			return nil, err
		}
		l.begin(ctx, s)
		return l.room.Take(Node, conn), nil
	})
	if err != nil {
		return err
	}
	seat.Serve()
	return l.left(Node, func() error { return h.Sessions.NodeLeft(ctx, id) })
}

// ServeClient is a client's end. A session that has ended is told to the
// client. Errors: session.ErrToken.
func (h *Relay) ServeClient(ctx context.Context, id, token string, conn *websocket.Conn) error {
	l, err := h.enter(id)
	if err != nil {
		return err
	}
	defer h.leave(l)
	var who session.Client
	seat, err := l.sit(func() (_ *Seat, err error) {
		var s *session.Session
		s, who, err = h.Sessions.AttachClient(ctx, id, token)
		if err != nil {
			return nil, err
		}
		l.begin(ctx, s)
		if who.PersonID != "" {
			return nil, nil
		}
		return l.room.Take(Client, conn), nil
	})
	switch {
	case errors.Is(err, session.ErrEnded):
		return h.tellEnd(ctx, id, conn)
	case err != nil:
		return err
	case seat == nil:
		l.watch(who, conn)
		return h.Sessions.ClientLeft(ctx, id, who)
	}
	seat.Serve()
	return l.left(Client, func() error { return h.Sessions.ClientLeft(ctx, id, who) })
}

// tellEnd lets a client that came late hear of the end.
func (h *Relay) tellEnd(ctx context.Context, id string, conn *websocket.Conn) error {
	output, _, err := h.Sessions.Closing(ctx, id)
	if err != nil {
		return err
	}
	m := NewMachine(id, "", false, false)
	m.Next(End{output}, time.Now())
	NewRoom(m, nobody{}, h.Logger).Take(Client, conn).Serve()
	return nil
}

// nobody listens to a room in which nothing happens.
type nobody struct{}

func (nobody) Deliver(Deliver) {}
func (nobody) State(string)    {}
func (nobody) Full() bool      { return false }

// enter gives the place of a session, which exists until the last one leaves
// and the session has ended.
func (h *Relay) enter(id string) (*live, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil, errStops
	}
	l := h.lives[id]
	if l == nil {
		l = &live{relay: h, id: id, log: h.Logger.With("session", id)}
		h.lives[id] = l
	}
	l.refs++
	h.open.Add(1)
	return l, nil
}

func (h *Relay) leave(l *live) {
	h.mu.Lock()
	l.refs--
	unused := l.refs == 0 && (l.room == nil || l.over)
	if unused && h.lives[l.id] == l {
		delete(h.lives, l.id)
	}
	h.mu.Unlock()
	h.open.Done()
}

// ended takes a session that is over out of the relay, unless somebody is there.
func (h *Relay) ended(l *live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.over = true
	if l.refs == 0 && h.lives[l.id] == l {
		delete(h.lives, l.id)
	}
}

// forget makes place for the session to begin here anew, though somebody is there.
func (h *Relay) forget(l *live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.over = true
	if h.lives[l.id] == l {
		delete(h.lives, l.id)
	}
}

// Len is how many sessions have their sockets here.
func (h *Relay) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lives)
}

func (h *Relay) all() (out []*live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lives {
		if l.room != nil {
			out = append(out, l)
		}
	}
	return out
}

// Run keeps the activity of the sessions until ctx ends; then it closes their
// sockets, whose ends come back when a hub is there again.
func (h *Relay) Run(ctx context.Context) error {
	t := time.NewTicker(session.PulseEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.pulse(ctx)
		case <-ctx.Done():
			h.shut()
			return nil
		}
	}
}

func (h *Relay) pulse(ctx context.Context) {
	var pulses []session.Pulse
	for _, l := range h.all() {
		pulses = append(pulses, l.pulse())
	}
	if err := h.Sessions.Active(ctx, pulses); err != nil && ctx.Err() == nil {
		h.Logger.Error("the activity of sessions was not kept", "error", err)
	}
}

func (h *Relay) shut() {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	lives := h.all()
	for _, l := range lives {
		l.room.Cut()
	}
	h.open.Wait()
	for _, l := range lives {
		l.close(true)
	}
}
