package gateway

import (
	"maps"
	"net/http"
	"time"

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
	all       int
	node      map[string]int
	contested map[string]contest
}

// Two agents with one key replace each other's channel for ever, the stock one once a
// second (seen). No channel is opened for a while after each time, and it is told once in
// a while.
const (
	contestPause = 20 * time.Second
	contestTold  = 10 * time.Minute
)

// contest is when a node's replaced channel had an agent at its end, and when that was told.
type contest struct{ seen, told time.Time }

// contest keeps that two agents of a node were seen and says whether to tell it.
func (g *Gateway) contest(id string, now time.Time) (tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.doors.contested, func(_ string, c contest) bool { return now.Sub(c.seen) > contestTold })
	c := g.doors.contested[id]
	c.seen = now
	if tell = now.Sub(c.told) >= contestTold; tell {
		c.told = now
	}
	g.doors.contested[id] = c
	return tell
}

// quarrel is the answer to a node whose channel was just contested, nil for any other.
func (g *Gateway) quarrel(id string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.doors.contested[id]; ok && now.Sub(c.seen) < contestPause {
		return fault.New(http.StatusTooManyRequests, "TooManyRequestsException", "Two agents run with the key of this node.")
	}
	return nil
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
