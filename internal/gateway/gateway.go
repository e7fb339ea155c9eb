package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/wire"
)

// Config is what a gateway needs. All are required but the logger.
type Config struct {
	Nodes    *node.Service
	Commands *command.Service
	Sessions *session.Service
	Relay    *relay.Relay
	Mailbox  *mailbox.Mailbox

	// Authenticate checks the signature of a request with its body and gives
	// the context with caller and scope, and the service of the credential
	// scope: the same function as the router's.
	Authenticate func(r *http.Request, body []byte) (context.Context, string, error)

	// Authorize decides by the table of operations.
	Authorize func(ctx context.Context, service, operation string, input any) (context.Context, error)

	// Observe hears of every request for a channel that was refused. It may be nil.
	Observe func(ctx context.Context, c wire.Call)

	// MaxChannels is how many control channels are open at most, 0 for 50,000.
	MaxChannels int
	// ReleaseKeys are the keys that a node trusts for updates of its program,
	// handed to it when it registers. It may be nil.
	ReleaseKeys func() []string

	Logger *slog.Logger
}

// Gateway serves nodes. It is safe for concurrent use.
type Gateway struct {
	Config

	admission admission
	guesses   guesses

	mu       sync.Mutex
	channels map[string]*channel // by node id; the live ones
	doors    doors
	closing  bool
	open     sync.WaitGroup
	draining chan struct{}
	drain    sync.Once

	strangers atomic.Int64 // data channels whose token is not known yet
}

// New makes a gateway.
func New(c Config) *Gateway {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxChannels == 0 {
		c.MaxChannels = defaultMaxChannels
	}
	return &Gateway{Config: c, channels: map[string]*channel{}, doors: doors{node: map[string]int{}, contested: map[string]contest{}}, draining: make(chan struct{})}
}

// Handler serves the paths of ssmmessages: /v1/control-channel/ and
// /v1/data-channel/.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/control-channel/{node}", g.createControlChannel)
	mux.HandleFunc("GET /v1/control-channel/{node}", g.openControlChannel)
	mux.HandleFunc("POST /v1/data-channel/{session}", g.createDataChannel)
	mux.HandleFunc("GET /v1/data-channel/{session}", g.openDataChannel)
	return mux
}

// Run starts the watch over presence and keeps that of connected nodes up to
// date until ctx ends; then it closes all channels, whose nodes come back when a hub is there again.
func (g *Gateway) Run(ctx context.Context) error {
	if err := errors.Join(g.Nodes.Start(ctx), g.Sessions.Start(ctx)); err != nil {
		return err
	}
	t := time.NewTicker(node.PingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := g.Nodes.Seen(ctx, g.connections()); err != nil && ctx.Err() == nil {
				g.Logger.Error("presence of nodes cannot be kept", "error", err)
			}
		case <-ctx.Done():
			g.shut()
			return nil
		}
	}
}

// Drain answers the polls that are held: the hub stops.
func (g *Gateway) Drain() { g.drain.Do(func() { close(g.draining) }) }

// Channels is how many control channels are open.
func (g *Gateway) Channels() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.channels)
}

func (g *Gateway) connections() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]string, 0, len(g.channels))
	for _, c := range g.channels {
		out = append(out, c.id)
	}
	return out
}

// shut closes every channel and waits until they are gone.
func (g *Gateway) shut() {
	g.mu.Lock()
	g.closing = true
	for _, c := range g.channels {
		c.end(endHubStops)
	}
	g.mu.Unlock()
	g.open.Wait()
}

// attach makes c its node's live channel; false when the hub stops.
func (g *Gateway) attach(c *channel) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return false
	}
	if old := g.channels[c.node]; old != nil {
		old.end(endReplaced)
	}
	g.channels[c.node] = c
	g.open.Add(1)
	return true
}

func (g *Gateway) detach(c *channel) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.channels[c.node] == c {
		delete(g.channels, c.node)
	}
	g.open.Done()
}
