package session

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// readPort reads the place that a Port session goes to.
func (p *plan) readPort(properties map[string]any) error {
	n, err := strconv.Atoi(word(properties["portNumber"]))
	if err != nil || n < 1 || n > 65535 {
		return fault.Validation("The port number must be from 1 to 65535.")
	}
	p.port, p.host = n, word(properties["host"])
	return CheckHost(p.host, n, p.content.AllowedHosts)
}

// CheckHost refuses hosts that a session may not reach. With a list of allowed
// hosts only those may be reached; without one every host but the addresses of
// the link and of metadata services, in whatever form they are written. A name
// is checked as a name: the node, which resolves it, checks the address again.
// The form of an allowed host is NAME, ADDRESS or NETWORK/BITS, with * in a
// name, and :PORT behind where only one port is meant. Error: a validation
// fault.
func CheckHost(host string, port int, allowed []string) error {
	name := strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	addr, isAddr := address(name)
	if len(allowed) > 0 {
		for _, a := range allowed {
			if matches(a, name, addr, isAddr, port) {
				return nil
			}
		}
		return fault.Validation("The document does not allow sessions to the host %q.", host)
	}
	if name == "" {
		return nil
	}
	if isAddr && denied(addr) || metadataName(name) {
		return fault.Validation("Sessions to the host %q are not allowed.", host)
	}
	return nil
}

// metadata are the services of clouds that give credentials to who can reach them.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"), netip.MustParsePrefix("168.63.129.16/32"),
}

func denied(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range metadata {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func metadataName(name string) bool {
	return name == "metadata" || name == "metadata.google.internal" || name == "instance-data" || strings.HasSuffix(name, ".instance-data.ec2.internal")
}

// address reads an address in any form that a resolver takes: dotted with one to
// four parts, each decimal, octal or hexadecimal; IPv6, also with an IPv4 address
// inside, which is then the one that counts.
func address(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return plainAddress(a.WithZone("")), true
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

// plainAddress takes an IPv4 address out of the forms of IPv6 that carry one.
func plainAddress(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	b := a.As16()
	for _, p := range []string{"64:ff9b::/96", "::/96"} {
		if netip.MustParsePrefix(p).Contains(a) && !a.IsLoopback() && !a.IsUnspecified() {
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	}
	if netip.MustParsePrefix("2002::/16").Contains(a) {
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// matches says that an allowed host covers a host and port.
func matches(allowed, name string, addr netip.Addr, isAddr bool, port int) bool {
	allowed = strings.ToLower(allowed)
	if host, only, ok := cutPort(allowed); ok {
		if only != strconv.Itoa(port) {
			return false
		}
		allowed = host
	}
	if prefix, err := netip.ParsePrefix(allowed); err == nil {
		return isAddr && prefix.Contains(addr)
	}
	if a, err := netip.ParseAddr(strings.Trim(allowed, "[]")); err == nil {
		return isAddr && a == addr
	}
	ok, err := path.Match(allowed, name)
	return err == nil && ok && !isAddr || allowed == "localhost" && name == ""
}

// cutPort takes :PORT off, which a bare IPv6 address has not.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Count(s, ":") > 1 && !strings.HasSuffix(s[:i], "]") && !strings.Contains(s[:i], "/") {
		return s, "", false
	}
	if _, err := strconv.ParseUint(s[i+1:], 10, 16); err != nil {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
