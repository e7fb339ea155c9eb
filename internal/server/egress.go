package server

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/watchbill/watchbill/internal/platform/egress"
)

const egressTimeout = 15 * time.Second

// parseNetworks reads --allow-private.
func parseNetworks(names []string) (out []netip.Prefix, err error) {
	for _, n := range names {
		if n == "loopback" {
			out = append(out, egress.Loopback()...)
			continue
		}
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("--allow-private %q: write a network as 10.0.0.0/8, or loopback", n)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// egress is the way out that the command line allows.
func (h *hub) egress() egress.Policy { return egress.Policy{Allow: h.cfg.networks} }
