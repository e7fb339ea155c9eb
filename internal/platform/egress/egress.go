// Package egress is the only way out of the hub: every outbound connection is
// dialed here, against a list of what is allowed, with the resolved address checked
// rather than the name.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrRefused says that the policy does not allow a destination.
var ErrRefused = errors.New("egress: the destination is not allowed")

// Policy says where connections may go. The zero value allows public addresses
// only: not loopback, private, link-local (cloud metadata among them), shared or
// multicast ones.
type Policy struct {
	Allow []netip.Prefix // allowed although not public
	Deny  []netip.Prefix // refused although public; wins over Allow
}

// Loopback allows this machine as well; for development and drills.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// Check says whether an address may be dialed.
func (p Policy) Check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if within(a, p.Deny) {
		return fmt.Errorf("%w: %s", ErrRefused, a)
	}
	if within(a, p.Allow) || public(a) {
		return nil
	}
	return fmt.Errorf("%w: %s is not a public address", ErrRefused, a)
}

func public(a netip.Addr) bool {
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !within(a, notPublic)
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

const dialTimeout = 10 * time.Second

// Dialer returns a dialer that checks each address that a name resolves to, at the
// moment of connecting.
func (p Policy) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
		if network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("%w: network %s", ErrRefused, network)
		}
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrRefused, address)
		}
		return p.Check(ap.Addr())
	}}
}

// Client returns an HTTP client that goes out by the policy, uses no proxy from the
// environment and follows no redirects.
func (p Policy) Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{DialContext: p.Dialer().DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: dialTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
