package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of wrong activations from one address. Codes have 130 bits: this keeps the
// journal and the store from those who try nevertheless.
const (
	mostGuesses  = 20
	guessWindow  = time.Minute
	mostGuessers = 10_000 // addresses that are counted
)

// guesses counts the wrong activations of addresses in the current window.
type guesses struct {
	mu    sync.Mutex
	began time.Time
	of    map[netip.Addr]int
}

// over says that an address has guessed enough for now.
func (g *guesses) over(from netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.began) >= guessWindow {
		g.began, g.of = now, map[netip.Addr]int{}
	}
	return g.of[from] >= mostGuesses
}

func (g *guesses) wrong(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.of[from]; known || len(g.of) < mostGuessers {
		g.of[from]++
	}
}

// addressOf is the address of the connection, whatever headers say; an IPv6 /64
// network is one.
func addressOf(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
