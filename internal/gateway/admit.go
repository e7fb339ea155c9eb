package gateway

import (
	"net/http"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Bounds of open connections. A node has one channel, and for a moment the one
// that it replaces and one that is being opened; whoever opens more is broken.
const (
	defaultMaxChannels = 50_000
	maxPerNode         = 4
)

// doors counts the connections of control channels, those that are not live yet or
// not live any more included.
type doors struct {
	all  int
	node map[string]int
}

// admit takes a place for a connection of a node. The error is none that makes a
// node change its ways: it comes back with its usual back-off.
func (g *Gateway) admit(id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doors.all >= g.MaxChannels {
		return fault.Unavailable("The hub has as many channels open as it can take.")
	}
	if g.doors.node[id] >= maxPerNode {
		return fault.New(http.StatusTooManyRequests, "TooManyRequestsException", "The node has too many channels open.")
	}
	g.doors.all++
	g.doors.node[id]++
	return nil
}

// leave gives a place back.
func (g *Gateway) leave(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doors.all--
	if g.doors.node[id]--; g.doors.node[id] == 0 {
		delete(g.doors.node, id)
	}
}
