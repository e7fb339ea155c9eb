package server

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of the limits of connections.
const (
	DefaultConnections        = 32768
	DefaultAddressConnections = 4096
)

// limits are the connections that the ports hold together. Whoever comes beyond them
// is hung up on before TLS, so that a flood costs the hub an accept and no more.
type limits struct {
	most, each int // in all and of one address, 0 for no limit
	refused    *prometheus.CounterVec

	mu    sync.Mutex
	total int
	of    map[netip.Addr]int
}

func newLimits(most, each int) *limits {
	return &limits{most: most, each: each, of: map[netip.Addr]int{}, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "watchbill_connections_refused_total", Help: "Connections that were hung up on for a limit.",
	}, []string{"limit"})}
}

func (l *limits) collectors() []prometheus.Collector {
	return []prometheus.Collector{l.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "watchbill_connections", Help: "Open connections of the ports.",
	}, func() float64 { return float64(l.open()) })}
}

func (l *limits) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// take counts a connection, and says whether there was room for it.
func (l *limits) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.most > 0 && l.total >= l.most:
		l.refused.WithLabelValues("total").Inc()
		return false
	case l.each > 0 && !from.IsLoopback() && l.of[from] >= l.each:
		l.refused.WithLabelValues("address").Inc()
		return false
	}
	l.total++
	l.of[from]++
	return true
}

func (l *limits) give(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.of[from]--; l.of[from] == 0 {
		delete(l.of, from)
	}
}

// sender is the address that a connection counts for: an IPv6 /64 network is one.
func sender(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	from := p.Addr().Unmap().WithZone("")
	if from.Is6() && !from.IsLoopback() {
		if network, err := from.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return from
}

// limited is a port that keeps to the limits.
type limited struct {
	net.Listener
	*limits
}

// Accept waits for the next connection that there is room for.
func (l limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := sender(c.RemoteAddr())
		if l.take(from) {
			return &counted{Conn: c, done: sync.OnceFunc(func() { l.give(from) })}, nil
		}
		_ = c.Close()
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	done func()
}

// Close closes the connection.
func (c *counted) Close() error {
	defer c.done()
	return c.Conn.Close()
}
