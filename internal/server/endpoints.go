package server

import (
	"context"

	"github.com/watchbill/watchbill/internal/capability/key"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// openEndpoints makes the capabilities behind the other services of AWS that nodes and
// sessions speak to.
func (h *hub) openEndpoints() {
	c, p := &h.all, &h.platform
	c.key = key.New(key.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Allow: authz.Require})
}

// unwrapDataKey opens the data key of an encrypted session, so that it is recorded.
func (h *hub) unwrapDataKey(ctx context.Context, s *session.Session, k relay.DataKey) ([]byte, error) {
	return h.all.key.Reveal(db.WithScope(ctx, s.Scope), k.CipherText, k.Context)
}
