package server

import (
	"context"
	"net"
	"slices"

	"github.com/watchbill/watchbill/internal/capability/bucket"
	"github.com/watchbill/watchbill/internal/capability/key"
	"github.com/watchbill/watchbill/internal/capability/loggroup"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// openEndpoints makes the capabilities behind the other services of AWS that nodes and
// sessions speak to.
func (h *hub) openEndpoints() {
	c, p := &h.all, &h.platform
	c.key = key.New(key.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Allow: authz.Require, Session: h.nodeSession((*session.Service).Live)})
	c.loggroup = loggroup.New(loggroup.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Session: h.nodeSession((*session.Service).Logs), Command: h.nodeCommand,
	})
	c.bucket = bucket.New(bucket.Service{
		DB: h.db, Blobs: h.blobs, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Log: h.log, Bases: h.cfg.bucketBases(),
		Authenticate: p.identity.AuthenticateStream, Authorize: p.authz.Authorize, Around: p.audit.Around, Observe: h.observe,
		Session: h.nodeSession((*session.Service).Logs), Command: h.nodeCommand,
	})
}

// nodeSession asks the capability of sessions, which is made later, about a session of
// a node.
func (h *hub) nodeSession(ask func(s *session.Service, ctx context.Context, node, id string) (bool, error)) func(ctx context.Context, node, id string) (bool, error) {
	return func(ctx context.Context, node, id string) (bool, error) { return ask(h.all.session, ctx, node, id) }
}

// nodeCommand says whether a node may write outputs of a command. The region that a
// request is signed for is the bucket's, which is not always the node's.
func (h *hub) nodeCommand(ctx context.Context, node, id string) (bool, error) {
	for _, region := range h.cfg.Regions {
		its, err := h.all.command.Sent(db.WithScope(ctx, db.Scope{Account: db.ScopeOf(ctx).Account, Region: region}), node, id)
		if err != nil || its {
			return its, err
		}
	}
	return false, nil
}

// amazon is the domain that clients with endpoints of their own ask for, where its
// names were made to lead to the hub.
const amazon = "amazonaws.com"

// bucketBases are the host names of S3 before which the name of a bucket can stand.
func (c *Config) bucketBases() []string {
	out := []string{"localhost"}
	for _, domain := range []string{c.ServiceDomain, amazon} {
		if domain == "" {
			continue
		}
		out = append(out, "s3."+domain)
		for _, region := range c.Regions {
			out = append(out, "s3."+region+"."+domain)
		}
	}
	return out
}

// domainNames are the names of the service domain in the certificate: one for all
// services of a region, and one for all buckets in it.
func (c *Config) domainNames() (out []string) {
	if c.ServiceDomain == "" {
		return nil
	}
	d := c.ServiceDomain
	out = append(out, d, "*."+d, "*.s3."+d)
	for _, region := range c.Regions {
		out = append(out, "*."+region+"."+d, "*.s3."+region+"."+d)
	}
	return slices.Compact(out)
}

// domainName says that a text can be the domain that services have their names in.
func domainName(s string) bool {
	return s != "" && net.ParseIP(s) == nil && domainForm.MatchString(s)
}

// unwrapDataKey opens the data key of an encrypted session, so that it is recorded.
func (h *hub) unwrapDataKey(ctx context.Context, s *session.Session, k relay.DataKey) ([]byte, error) {
	return h.all.key.Reveal(db.WithScope(ctx, s.Scope), k.CipherText, k.Context)
}
