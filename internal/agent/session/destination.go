package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/watchbill/watchbill/internal/lang/address"
)

var errDenied = errors.New("connections to this address are not allowed")

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

// addresses resolves the host. One denied address of several is left out;
// errDenied says that there is no other.
func (d *destination) addresses(ctx context.Context) ([]netip.Addr, error) {
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", d.host)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", d.host, err)
	}
	var out []netip.Addr
	for _, a := range all {
		if !address.Denied(a) {
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
