// Package fault is a network that fails on purpose: a proxy on the loopback
// address that stalls and resets what runs through it.
package fault

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Plan says how a proxy fails. Zero counts mean never.
type Plan struct {
	Seed       uint64
	ResetEvery int           // bytes between two resets, on average
	StallEvery int           // bytes between two stalls, on average
	Stall      time.Duration // the longest stall
	Percent    int           // of connections that are reset, or stalled, in their first 16 KiB
}

// early is where connections of Plan.Percent fail at the latest.
const early = 16 << 10

// Proxy passes connections on to a target.
type Proxy struct {
	Address string

	listener net.Listener
	target   string
	plan     Plan

	mu     sync.Mutex
	rng    *rand.Rand
	conns  map[net.Conn]bool
	refuse bool
	resets int
	stop   chan struct{}
}

// NewProxy starts a proxy on a free port, until the test ends.
func NewProxy(t testing.TB, target string, plan Plan) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Address: l.Addr().String(), listener: l, target: target, plan: plan,
		rng: rand.New(rand.NewPCG(plan.Seed, 1)), conns: map[net.Conn]bool{}, stop: make(chan struct{}),
	}
	t.Cleanup(func() {
		close(p.stop)
		_ = l.Close()
		p.Cut()
	})
	go p.accept()
	return p
}

// Resets is how many connections the proxy has reset.
func (p *Proxy) Resets() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resets
}

// Cut resets every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.reset(c)
	}
}

// Refuse makes new connections end at once, or no longer.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// reset closes a connection with a reset; the caller holds the lock.
func (p *Proxy) reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
	delete(p.conns, c)
	p.resets++
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *Proxy) serve(c net.Conn) {
	out, err := net.Dial("tcp", p.target)
	p.mu.Lock()
	if err != nil || p.refuse {
		p.mu.Unlock()
		_ = c.Close()
		if out != nil {
			_ = out.Close()
		}
		return
	}
	p.conns[c], p.conns[out] = true, true
	p.mu.Unlock()
	go p.copy(out, c, 0)
	p.copy(c, out, p.doom())
}

// doom is the number of bytes from the target with which a connection fails, 0 for
// one that does not fail early.
func (p *Proxy) doom() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.IntN(100) >= p.plan.Percent {
		return 0
	}
	return 1 + p.rng.IntN(early)
}

func (p *Proxy) copy(to, from net.Conn, doom int) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if doom -= n; doom <= 0 && doom+n > 0 {
				if !p.doomed(to, from) {
					return
				}
			} else if !p.fails(n, to, from) {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// fails stalls or resets with the chance of n bytes; false ends the connection.
func (p *Proxy) fails(n int, to, from net.Conn) bool {
	p.mu.Lock()
	reset := p.plan.ResetEvery > 0 && p.rng.IntN(p.plan.ResetEvery) < n
	var stall time.Duration
	if p.plan.StallEvery > 0 && p.rng.IntN(p.plan.StallEvery) < n {
		stall = time.Duration(p.rng.Int64N(int64(p.plan.Stall)))
	}
	if reset {
		p.reset(to)
		p.reset(from)
	}
	p.mu.Unlock()
	p.rest(stall)
	return !reset
}

// doomed resets or stalls a connection that is to fail; false ends it.
func (p *Proxy) doomed(to, from net.Conn) bool {
	p.mu.Lock()
	reset := p.plan.Stall == 0 || p.rng.IntN(2) == 0
	if reset {
		p.reset(to)
		p.reset(from)
	}
	p.mu.Unlock()
	if !reset {
		p.rest(p.plan.Stall)
	}
	return !reset
}

func (p *Proxy) rest(stall time.Duration) {
	if stall <= 0 {
		return
	}
	t := time.NewTimer(stall)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.stop:
	}
}
