package session

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/lang/address"
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
	addr, isAddr := address.Parse(name)
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
	if isAddr && address.Denied(addr) || metadataName(name) {
		return fault.Validation("Sessions to the host %q are not allowed.", host)
	}
	return nil
}

func metadataName(name string) bool {
	return name == "metadata" || name == "metadata.google.internal" || name == "instance-data" || strings.HasSuffix(name, ".instance-data.ec2.internal")
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
