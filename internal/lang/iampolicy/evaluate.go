package iampolicy

import "strings"

// PrincipalKind says what sort of caller a principal is.
type PrincipalKind string

// The kinds of principals.
const (
	User      PrincipalKind = "User"
	Role      PrincipalKind = "AssumedRole"
	Account   PrincipalKind = "Account"
	Service   PrincipalKind = "Service"
	Federated PrincipalKind = "FederatedUser"
	Anonymous PrincipalKind = "Anonymous"
)

// Principal is who makes a request. ARN is that of the user, or of the role
// session (arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION), or the service's
// name for Service, or the provider for Federated.
type Principal struct {
	ARN     string
	Account string
	Kind    PrincipalKind
	// RoleARN is the role behind a session; needed only for roles with a path.
	RoleARN string
}

// Request is one thing a principal wants to do to one resource. Context keys
// are compared without regard to case.
type Request struct {
	Principal Principal
	Action    string // service:Operation
	Resource  string // ARN, or "*" where the operation has no resources
	Context   map[string][]string
}

// Effect is the outcome of a decision.
type Effect string

// The effects. ImplicitDeny is the outcome when nothing applies.
const (
	Allow        Effect = "Allow"
	Deny         Effect = "Deny"
	ImplicitDeny Effect = "ImplicitDeny"
)

// Decision is the outcome with the statement that made it.
type Decision struct {
	Effect Effect
	// Sid names the deciding statement, Statement counts it from 0 within its
	// policy, Policy within its set, Set within the sets. For ImplicitDeny only
	// Set has a meaning: the first one that did not allow.
	Sid                    string
	Set, Policy, Statement int
	// Uncertain tells a Deny that applied because something could not be known.
	Uncertain bool
	// Match says how a trust policy named the principal (MatchPrincipal only).
	Match PrincipalMatch
}

// Allowed reports an Allow.
func (d Decision) Allowed() bool { return d.Effect == Allow }

// Evaluate decides a request. Every set must allow it (identity policies,
// session policies, permissions boundary: leave out a set that does not exist;
// an empty one allows nothing) and a Deny anywhere wins.
func Evaluate(req Request, sets ...[]*Policy) Decision {
	e := newEnv(&req)
	var allow Decision
	missing := -1
	for s, policies := range sets {
		d := e.set(policies)
		d.Set = s
		switch {
		case d.Effect == Deny:
			return d
		case d.Effect == ImplicitDeny && missing < 0:
			missing = s
		case d.Effect == Allow && s == 0:
			allow = d
		}
	}
	if len(sets) == 0 || missing >= 0 {
		return Decision{Effect: ImplicitDeny, Set: max(0, missing)}
	}
	return allow
}

// env is a request while it is decided.
type env struct {
	req    *Request
	action string
}

func newEnv(req *Request) *env { return &env{req: req, action: strings.ToLower(req.Action)} }

// set decides by one set of policies.
func (e *env) set(policies []*Policy) Decision {
	out := Decision{Effect: ImplicitDeny}
	for i, p := range policies {
		for j := range p.statements {
			s := &p.statements[j]
			if s.effect == Allow && out.Effect == Allow {
				continue
			}
			t := s.match(e)
			if t == no || (s.effect == Allow && t != yes) {
				continue
			}
			d := Decision{Effect: s.effect, Sid: s.sid, Policy: i, Statement: j, Uncertain: t == unknown}
			if s.effect == Deny {
				return d
			}
			out = d
		}
	}
	return out
}

// match tells whether the statement applies, cheapest questions first.
func (s *statement) match(e *env) truth {
	t := s.matchAction(e)
	if t != no {
		t = min(t, s.matchResource(e))
	}
	if t != no && s.principal != nil {
		t = min(t, s.matchPrincipal(e.req.Principal))
	}
	for i := range s.conditions {
		if t == no {
			return no
		}
		t = min(t, s.conditions[i].match(e))
	}
	return t
}

func (s *statement) matchAction(e *env) truth {
	t := no
	for _, p := range s.actions {
		if t = p.match(e, e.action); t == yes {
			break
		}
	}
	if s.notAction {
		return not(t)
	}
	return t
}

// matchResource also holds for a statement without resources, which is one of
// a policy attached to a resource.
func (s *statement) matchResource(e *env) truth {
	if len(s.resources) == 0 {
		return yes
	}
	t := no
	for _, p := range s.resources {
		if t = max(t, p.match(e, e.req.Resource)); t == yes {
			break
		}
	}
	if s.notResource {
		return not(t)
	}
	return t
}

type keyState int8

const (
	absent keyState = iota
	found
	ambiguous
)

// lookup finds a context key: as it is written, else without regard to case.
// Two keys that differ only in case are ambiguous unless one is as written.
func (e *env) lookup(key string) ([]string, keyState) {
	if v, ok := e.req.Context[key]; ok {
		return v, found
	}
	var values []string
	state := absent
	for k, v := range e.req.Context {
		if len(k) == len(key) && strings.EqualFold(k, key) {
			if state == found {
				return nil, ambiguous
			}
			values, state = v, found
		}
	}
	if state == absent {
		return e.fromPrincipal(key)
	}
	return values, state
}

func (e *env) fromPrincipal(key string) ([]string, keyState) {
	p, value := e.req.Principal, ""
	switch {
	case strings.EqualFold(key, "aws:PrincipalArn"):
		value = p.ARN
		if role := p.role(); role != "" {
			value = role
		}
	case strings.EqualFold(key, "aws:PrincipalAccount"):
		value = p.Account
	case strings.EqualFold(key, "aws:PrincipalType"):
		value = string(p.Kind)
	}
	if value == "" {
		return nil, absent
	}
	return []string{value}, found
}
