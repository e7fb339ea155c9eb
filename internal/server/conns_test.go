package server

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestConnectionsOfAnAddress(t *testing.T) {
	l := newLimits(3, 2)
	a, b, here := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("127.0.0.1")
	got := []bool{l.take(a), l.take(a), l.take(a), l.take(b), l.take(b)}
	if want := []bool{true, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
	for range 2 {
		l.give(a)
	}
	l.give(b)
	if l.open() != 0 || len(l.of) != 0 {
		t.Errorf("%d are open, of %v", l.open(), l.of)
	}
	var local []bool
	for range 4 {
		local = append(local, l.take(here))
	}
	if want := []bool{true, true, true, false}; !slices.Equal(local, want) {
		t.Errorf("of this machine %v, want %v: it is bound by the limit of all alone", local, want)
	}
	free := newLimits(0, 0)
	for range 2 {
		if !free.take(a) {
			t.Error("0 is a limit")
		}
	}
}

func TestSendersOfConnections(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:99": "192.0.2.1", "[::ffff:192.0.2.1]:99": "192.0.2.1", "[2001:db8::1:2]:99": "2001:db8::", "[fe80::1%eth0]:99": "fe80::", "[::1]:99": "::1",
	} {
		if got := sender(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))); got.String() != want {
			t.Errorf("%s counts for %s, want %s", text, got, want)
		}
	}
}

// A connection beyond the limit is hung up on; a place is free again when one closes.
func TestPortKeepsToItsLimits(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := limited{tcp, newLimits(1, 0)}
	defer func() { _ = port.Close() }()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	first := dial()
	server, err := port.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := port.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	if n, err := dial().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one too many: read %d %v", n, err)
	}
	_ = first.Close()
	_, _ = server.Close(), server.Close()
	second := dial()
	c := <-accepted
	if c.RemoteAddr().String() != second.LocalAddr().String() {
		t.Error("another connection was accepted")
	}
	_ = c.Close()
	if port.open() != 0 {
		t.Errorf("%d are open", port.open())
	}
}
