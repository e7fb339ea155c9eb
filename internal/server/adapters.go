package server

import (
	"context"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// nodeRole is the role of a node's activation as a caller, where identity.yaml
// defines it.
func (h *hub) nodeRole(ctx context.Context, nodeID string) (identity.Caller, bool) {
	n, err := h.all.node.Lookup(ctx, nodeID)
	if err != nil {
		return identity.Caller{}, false
	}
	name := n.IamRole[strings.LastIndexByte(n.IamRole, '/')+1:]
	return h.platform.identity.Principal("arn:aws:sts::" + h.cfg.Account + ":assumed-role/" + name + "/" + nodeID)
}

// mintNode makes the credentials of a node.
func (h *hub) mintNode(ctx context.Context, nodeID string, ttl time.Duration) (node.Credentials, error) {
	c, err := h.platform.identity.MintNode(ctx, nodeID, ttl)
	if err != nil {
		return node.Credentials{}, err
	}
	return node.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.SessionToken.Reveal(), Expires: c.Expiration}, nil
}

// revokeNode ends the credentials of a node.
func (h *hub) revokeNode(ctx context.Context, nodeID string) error {
	return h.platform.identity.Revoke(ctx, h.platform.identity.NodeARN(nodeID))
}

// commandDocument finds the document of a command.
func (h *hub) commandDocument(tx *db.Tx, name, version string) (*command.Document, error) {
	r, err := h.all.document.Resolve(tx, name, version)
	if err != nil {
		return nil, err
	}
	platforms := make([]string, len(r.Platforms))
	for i, p := range r.Platforms {
		platforms[i] = string(p)
	}
	return &command.Document{
		Name: r.Name, Version: r.Version, Type: string(r.Type), Format: string(r.Format), Hash: r.Hash, Content: []byte(r.Content), PlatformTypes: platforms,
	}, nil
}

// sessionDocument finds the document of a session.
func (h *hub) sessionDocument(tx *db.Tx, name string) (*session.Document, error) {
	r, err := h.all.document.Resolve(tx, name, "")
	if err != nil {
		return nil, err
	}
	return &session.Document{Name: r.Name, Version: r.Version, Type: string(r.Type), Format: string(r.Format), Content: []byte(r.Content)}, nil
}

// locks are those that authorization asks for.
type locks struct{ locks *lock.Service }

// Caller says that a lock names the caller; that of a node is on its id.
func (l locks) Caller(c identity.Caller, scope db.Scope) bool {
	if id := c.NodeID(); id != "" {
		return l.locks.Resource(scope, lock.ManagedInstance, id)
	}
	return l.locks.Locked(lock.PrincipalOf(c))
}

// Resource says that a lock is on a node or a document.
func (l locks) Resource(scope db.Scope, name string) bool { return l.locks.ARN(scope.Account, name) }

// roles gives runbooks the identity that their steps call under.
type roles struct{ identity *identity.Service }

// AssumeRole answers a context whose caller is a session of the role.
func (r roles) AssumeRole(ctx context.Context, roleARN, sessionName string) (context.Context, error) {
	c, err := r.identity.AssumeRole(ctx, roleARN, sessionName)
	return identity.With(ctx, c), err
}

// Resume answers a context whose caller is the principal as it is now, within the
// bounds of the session that it started the work in.
func (r roles) Resume(ctx context.Context, principalARN, session string) (context.Context, error) {
	c, ok := r.identity.Resume(principalARN, session)
	if !ok {
		return ctx, fault.AccessDenied("%s, who started this, does not exist any more, or its session was revoked", principalARN)
	}
	return identity.With(ctx, c), nil
}

// revealing says that a read asks for secrets in plain.
func revealing(input any) bool {
	switch in := input.(type) {
	case *ssm.GetParameterInput:
		return in.WithDecryption != nil && *in.WithDecryption
	case *ssm.GetParametersInput:
		return in.WithDecryption != nil && *in.WithDecryption
	case *ssm.GetParametersByPathInput:
		return in.WithDecryption != nil && *in.WithDecryption
	case *ssm.GetParameterHistoryInput:
		return in.WithDecryption != nil && *in.WithDecryption
	}
	return true
}
