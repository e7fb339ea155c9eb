package identity

import (
	"context"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Kind says what sort of principal calls.
type Kind string

// The kinds of callers.
const (
	User Kind = "user"
	Role Kind = "role"    // an assumed role
	Node Kind = "node"    // a managed node with its own credentials
	Hub  Kind = "service" // a part of the hub acting on its own: an intake, a timer
)

// Caller is who makes a request.
type Caller struct {
	ARN         string // arn:aws:iam::ACC:user/NAME or arn:aws:sts::ACC:assumed-role/ROLE/SESSION
	Account     string
	UserID      string // aws:userid; "ROLEID:SESSION" for a role
	Kind        Kind
	Human       string // the person behind the key; approvals count these. "" for machines
	AccessKeyID string
	SessionName string
	SourceIP    string
	Tags        map[string]string // aws:PrincipalTag
	// Policies are the sets that decide what the caller may do: each must allow.
	Policies [][]*iampolicy.Policy
	MFAAt    time.Time // of the last second factor, zero without one
	IssuedAt time.Time // of temporary credentials, zero for an access key

	// Via is the ARN of the runbook that calls for the caller, "" for a call of its
	// own; sessions made in the course of a runbook keep it.
	Via string

	transitive []string // tags that sessions made from this one inherit
	session    *session // nil without temporary credentials
}

type callerKey struct{}

// With gives the context its caller, whom the journal names as the actor.
func With(ctx context.Context, c Caller) context.Context {
	return journal.WithActor(context.WithValue(ctx, callerKey{}, &c), c.ARN)
}

// From is the caller of the context; the zero Caller, which may do nothing,
// when there is none.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return *c
	}
	return Caller{}
}

// NodeID is the id of the node that calls, "" for any other caller.
func (c Caller) NodeID() string {
	if c.Kind != Node {
		return ""
	}
	return c.SessionName
}

// Name is the user's name, or that of the role.
func (c Caller) Name() string {
	_, resource, _ := strings.Cut(c.ARN, "/")
	if c.Kind != User {
		resource, _, _ = strings.Cut(resource, "/")
	}
	return resource[strings.LastIndex(resource, "/")+1:]
}

// Source is the ARN of the principal that made the caller's temporary credentials,
// "" without them.
func (c Caller) Source() string {
	if c.session == nil {
		return ""
	}
	return c.session.Source
}

// Principal is the caller as the policy language sees it.
func (c Caller) Principal() iampolicy.Principal {
	p := iampolicy.Principal{ARN: c.ARN, Account: c.Account, Kind: iampolicy.User}
	switch c.Kind {
	case Role, Node:
		p.Kind = iampolicy.Role
	case Hub:
		p.Kind = iampolicy.Service
	case "":
		p.Kind = iampolicy.Anonymous
	}
	return p
}
