package address

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// metadata are the addresses of the link and the services of clouds that give
// credentials to who can reach them. Source: the documentation of each cloud.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("fd20:ce::254/128"), netip.MustParsePrefix("255.255.255.255/32"),
}

// Denied says that an address is one of the link, of a metadata service or of no
// single host. An IPv4 address inside an IPv6 one counts as itself.
func Denied(a netip.Addr) bool {
	a = Plain(a)
	return a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() ||
		slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Parse reads an address in any form that a resolver takes: dotted with one to
// four parts, each decimal, octal or hexadecimal; IPv6, also with an IPv4 address
// inside, which is then the one that counts. The last is false for other texts.
func Parse(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return Plain(a), true
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(octal(part), 0, 32)
		last := i == len(parts)-1
		if err != nil || !last && n > 255 || last && n >= 1<<(8*(5-len(parts))) {
			return netip.Addr{}, false
		}
		if last {
			value |= n
		} else {
			value |= n << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// octal writes a number with a leading 0 in the form that is octal in Go, too, and
// spoils what Go reads and resolvers do not.
func octal(s string) string {
	switch {
	case strings.Contains(s, "_") || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "0b") || strings.HasPrefix(s, "0o"):
		return "no"
	case len(s) > 1 && s[0] == '0' && s[1] != 'x':
		return "0o" + s[1:]
	}
	return s
}

// carriers are the forms of IPv6 that carry an IPv4 address, and at which byte:
// IPv4-compatible, translated, NAT64 (well-known and local) and 6to4. Source:
// RFC 4291, 2765, 6052, 8215, 3056.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

// Plain takes the zone off an address, and an IPv4 address out of the forms of
// IPv6 that carry one.
func Plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() || a.IsLoopback() || a.IsUnspecified() {
		return a
	}
	b := a.As16()
	for _, c := range carriers {
		if c.prefix.Contains(a) {
			return netip.AddrFrom4([4]byte(b[c.at : c.at+4]))
		}
	}
	return a
}
