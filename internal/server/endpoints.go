package server

import (
	"github.com/watchbill/watchbill/internal/capability/key"
	"github.com/watchbill/watchbill/internal/platform/authz"
)

// openEndpoints makes the capabilities behind the other services of AWS that nodes and
// sessions speak to.
func (h *hub) openEndpoints() {
	c, p := &h.all, &h.platform
	c.key = key.New(key.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Allow: authz.Require})
}
