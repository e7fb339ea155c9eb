package plane

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// Limits of links that are being opened.
const (
	maxBody      = 16 << 10
	maxStrangers = 512 // whose token is not known yet
	helloWait    = 15 * time.Second
)

// Config is what a hub of data planes needs.
type Config struct {
	Sessions     *session.Service
	Authenticate func(r *http.Request, body []byte) (context.Context, string, error)
	Authorize    func(ctx context.Context, service, operation string, input any) (context.Context, error)
	Logger       *slog.Logger
}

// Hub holds the sessions whose links are here. It is safe for concurrent use.
type Hub struct {
	Config

	mu        sync.Mutex
	lives     map[string]*live
	closing   bool
	strangers int
	open      sync.WaitGroup
}

// NewHub makes a hub.
func NewHub(c Config) *Hub { return &Hub{Config: c, lives: map[string]*live{}} }

// Path is where the hub serves links.
const Path = "/v1/plane/"

// Handler serves POST for the token of a node's link and GET for links.
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path+"{session}", h.createLink)
	mux.HandleFunc("GET "+Path+"{session}", h.openLink)
	return mux
}

// node checks that a node signed the request and may make it.
func (h *Hub) node(w http.ResponseWriter, r *http.Request, operation string) (context.Context, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fault.TooLarge(maxBody)
	}
	ctx, service, err := h.Authenticate(r, body)
	if err != nil {
		return nil, err
	}
	if service != "ssmmessages" {
		return nil, fault.InvalidSignature("Credential should be scoped to correct service: 'ssmmessages'.")
	}
	caller := identity.From(ctx)
	if caller.NodeID() == "" {
		return nil, fault.AccessDenied("Only a managed node may call this operation.")
	}
	return h.Authorize(journal.WithActor(ctx, caller.ARN), service, operation, nil)
}

// createLink hands out the token of the node's link.
func (h *Hub) createLink(w http.ResponseWriter, r *http.Request) {
	ctx, err := h.node(w, r, "CreateDataChannel")
	var token string
	if err == nil {
		token, err = h.Sessions.NodeToken(ctx, r.PathValue("session"))
	}
	if errors.Is(err, session.ErrEnded) {
		err = fault.New(http.StatusBadRequest, "InvalidRequestException", mgs.SessionTerminated)
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(mgs.MarshalToken("CreateDataChannel", token))
}

type xmlFault struct {
	XMLName xml.Name
	Message string `xml:"Message"`
}

func (h *Hub) refuse(w http.ResponseWriter, err error) {
	coded := fault.Of(err)
	if f, ok := errors.AsType[*fault.Fault](coded); ok && f.Cause != nil {
		h.Logger.Error("a link cannot be opened", "error", f.Cause)
	}
	body, err := xml.Marshal(xmlFault{XMLName: xml.Name{Local: coded.ErrorCode()}, Message: coded.ErrorMessage()})
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(coded.HTTPStatus())
	_, _ = w.Write(body)
}

var upgrader = websocket.Upgrader{WriteBufferSize: 1 << 10, WriteBufferPool: &sync.Pool{}}

// openLink serves a link. A node signs its request; for a client the token counts.
func (h *Hub) openLink(w http.ResponseWriter, r *http.Request) {
	id, ctx, isNode := r.PathValue("session"), journal.WithActor(r.Context(), "session client"), r.Header.Get("Authorization") != ""
	if isNode {
		var err error
		if ctx, err = h.node(w, r, "OpenDataChannel"); err != nil {
			h.refuse(w, err)
			return
		}
	}
	if !h.stranger(1) {
		h.refuse(w, fault.Unavailable("Too many links are being opened."))
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		h.stranger(-1)
		return // Upgrade has answered
	}
	link := plane.NewLink(conn.NetConn(), false)
	go h.greet(context.WithoutCancel(ctx), id, isNode, link) // the request ends here
}

func (h *Hub) greet(ctx context.Context, id string, isNode bool, link *plane.Link) {
	defer link.Close()
	late := time.AfterFunc(helloWait, link.Close)
	hello, err := plane.ReadHello(link)
	late.Stop()
	h.stranger(-1)
	if err != nil {
		h.Logger.Warn("a link was not opened", "session", id, "error", err)
		return
	}
	h.serve(ctx, id, isNode, hello.TokenValue, link)
}

// stranger counts links whose token is not known; false when there are too many.
func (h *Hub) stranger(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > 0 && h.strangers >= maxStrangers {
		return false
	}
	h.strangers += n
	return true
}

// serve attaches a link to its session and serves it.
func (h *Hub) serve(ctx context.Context, id string, isNode bool, token string, link *plane.Link) {
	l, err := h.enter(id)
	if err == nil {
		defer h.leave(l)
		err = l.join(ctx, isNode, token, link)
	}
	if err == nil {
		return
	}
	w := plane.Welcome{Error: "the hub cannot open the link now"}
	switch {
	case errors.Is(err, session.ErrEnded):
		w = plane.Welcome{Error: mgs.SessionTerminated, Over: true}
		if output, ended, closingErr := h.Sessions.Closing(ctx, id); closingErr == nil && ended && output != "" {
			w.Error = output
		}
	case errors.Is(err, session.ErrToken):
		w.Error = "the token is not valid"
	default:
		h.Logger.Error("a link was not opened", "session", id, "error", err)
	}
	_ = link.Welcome(w)
}

var errStops = errors.New("plane: the hub stops")

// enter finds or makes what is here of a session.
func (h *Hub) enter(id string) (*live, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil, errStops
	}
	l := h.lives[id]
	if l == nil {
		l = &live{hub: h, id: id, log: h.Logger.With("session", id), over: make(chan struct{}), audience: newAudience()}
		h.lives[id] = l
	}
	l.refs++
	h.open.Add(1)
	return l, nil
}

// leave forgets a session that has no link here any more, once it is over: until
// then it keeps what it knows for links that come back.
func (h *Hub) leave(l *live) {
	h.mu.Lock()
	l.refs--
	forget := l.refs == 0 && (l.relay == nil || l.isOver())
	if forget && h.lives[l.id] == l {
		delete(h.lives, l.id)
	}
	h.mu.Unlock()
	h.open.Done()
}

// ended forgets a session that is over.
func (h *Hub) ended(l *live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lives[l.id] == l {
		delete(h.lives, l.id)
	}
}

func (h *Hub) all() []*live {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*live, 0, len(h.lives))
	for _, l := range h.lives {
		if l.relay != nil {
			out = append(out, l)
		}
	}
	return out
}

// Run tells of the activity of sessions until ctx ends; then it closes the links,
// whose ends come back to the next hub.
func (h *Hub) Run(ctx context.Context) error {
	t := time.NewTicker(session.PulseEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			var pulses []session.Pulse
			for _, l := range h.all() {
				pulses = append(pulses, l.pulse())
			}
			if err := h.Sessions.Active(ctx, pulses); err != nil && ctx.Err() == nil {
				h.Logger.Error("the activity of sessions was not kept", "error", err)
			}
		case <-ctx.Done():
			h.mu.Lock()
			h.closing = true
			h.mu.Unlock()
			for _, l := range h.all() {
				l.relay.Cut()
				l.audience.cut()
				l.close(true)
			}
			h.open.Wait()
			return nil
		}
	}
}
