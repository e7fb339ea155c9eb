package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

var errDenied = errors.New("connections to this address are not allowed")

// denied are addresses that a session never connects to: link-local ones,
// among them the metadata services of clouds, and metadata services elsewhere.
// The hub decides about all others.
var denied = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("64:ff9b::a9fe:0/112"), // link-local through NAT64
	netip.MustParsePrefix("2002:a9fe::/32"),      // and through 6to4
}

// destination is where a port session goes.
type destination struct {
	host string // "localhost" for the node itself
	port uint16
}

func newDestination(host, port string) (*destination, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("port number %q is not valid", port)
	}
	if host == "" {
		host = "localhost"
	}
	return &destination{host: host, port: uint16(n)}, nil
}

// allowed refuses an address that is denied, in whatever form it is written.
func allowed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	for _, p := range denied {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// addresses resolves the host. One denied address of several is left out;
// errDenied says that there is no other.
func (d *destination) addresses(ctx context.Context) ([]netip.Addr, error) {
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", d.host)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", d.host, err)
	}
	var out []netip.Addr
	for _, a := range all {
		if allowed(a) {
			out = append(out, a.Unmap())
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("host %s: %w", d.host, errDenied)
	}
	return out, nil
}

// dial connects to the addresses that were checked, not to the name again.
func (d *destination) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	all, err := d.addresses(ctx)
	if err != nil {
		return nil, fmt.Errorf("unable to connect to specified port: %w", err)
	}
	var dialer net.Dialer
	for _, a := range all {
		conn, derr := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a, d.port).String())
		if derr == nil {
			return conn, nil
		}
		err = derr
	}
	return nil, fmt.Errorf("unable to connect to specified port: %w", err)
}
