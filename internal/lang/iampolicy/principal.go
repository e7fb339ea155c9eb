package iampolicy

import (
	"fmt"
	"regexp"
	"strings"
)

// PrincipalMatch says how a policy named a principal.
type PrincipalMatch string

// The ways of naming. A principal that matched only through its account still
// needs its own policies to allow the action.
const (
	MatchNone    PrincipalMatch = ""
	MatchAny     PrincipalMatch = "*"
	MatchAccount PrincipalMatch = "account"
	MatchExact   PrincipalMatch = "exact"
)

// principals is a compiled Principal or NotPrincipal.
type principals struct {
	not      bool
	any      bool
	accounts []string
	arns     []string
	services []string
	provider []string
}

// Checked at parse time only.
var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	arnForm     = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::(\d{12}):(root|(user|role|federated-user)/[^*?]+|assumed-role/[^*?/]+/[^*?/]+)$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9.-]+\.(amazonaws\.com|watchbill)$`)
)

func (p *principals) add(kind, value string) error {
	switch kind {
	case "AWS":
		return p.addAWS(value)
	case "Service":
		if !serviceForm.MatchString(value) {
			return fmt.Errorf("%q is not a service principal", value)
		}
		p.services = append(p.services, value)
	case "Federated":
		if value == "" || strings.ContainsAny(value, "*?") {
			return fmt.Errorf("%q is not an identity provider", value)
		}
		p.provider = append(p.provider, value)
	default:
		return fmt.Errorf("%q is not a kind of principal (AWS, Service, Federated)", kind)
	}
	return nil
}

func (p *principals) addAWS(value string) error {
	if value == "*" {
		p.any = true
		return nil
	}
	if accountForm.MatchString(value) {
		p.accounts = append(p.accounts, value)
		return nil
	}
	m := arnForm.FindStringSubmatch(value)
	if m == nil {
		return fmt.Errorf("%q is not a principal (an account, an ARN without wildcards, or \"*\")", value)
	}
	if m[3] == "root" {
		p.accounts = append(p.accounts, m[2])
	} else {
		p.arns = append(p.arns, value)
	}
	return nil
}

// match is the strongest way in which who is named.
func (p *principals) match(who Principal) PrincipalMatch {
	switch who.Kind {
	case Service:
		return exactOr(p.services, who.ARN, p.any)
	case Federated:
		if contains(p.provider, who.ARN) || contains(p.arns, who.ARN) {
			return MatchExact
		}
	case Anonymous, "":
	default:
		if who.ARN != "" && (contains(p.arns, who.ARN) || contains(p.arns, who.role())) {
			return MatchExact
		}
		if contains(p.accounts, who.Account) {
			return MatchAccount
		}
	}
	return exactOr(nil, "", p.any)
}

func exactOr(list []string, s string, anyone bool) PrincipalMatch {
	switch {
	case contains(list, s):
		return MatchExact
	case anyone:
		return MatchAny
	}
	return MatchNone
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s && s != "" {
			return true
		}
	}
	return false
}

// role is the ARN of the role behind a session, "" for anybody else.
func (p Principal) role() string {
	if p.RoleARN != "" || p.Kind != Role {
		return p.RoleARN
	}
	head, rest, ok := strings.Cut(p.ARN, ":assumed-role/")
	name, _, session := strings.Cut(rest, "/")
	if !ok || !session {
		return ""
	}
	return strings.Replace(head, ":sts:", ":iam:", 1) + ":role/" + name
}

func (s *statement) matchPrincipal(who Principal) truth {
	t := truthOf(s.principal.match(who) != MatchNone)
	if s.principal.not {
		return not(t)
	}
	return t
}

// MatchPrincipal decides by a trust policy (or another policy attached to a
// resource): whether it lets the request's principal do the action. Statements
// without a principal do not count. Decision.Match says how the principal of
// an Allow is named, the strongest way when several statements allow.
func (p *Policy) MatchPrincipal(req Request) Decision {
	e := newEnv(&req)
	out := Decision{Effect: ImplicitDeny}
	for j := range p.statements {
		s := &p.statements[j]
		if s.principal == nil {
			continue
		}
		t := s.match(e)
		switch {
		case t == no || (s.effect == Allow && t != yes):
			continue
		case s.effect == Deny:
			return Decision{Effect: Deny, Sid: s.sid, Statement: j, Uncertain: t == unknown}
		}
		if m := s.principal.match(req.Principal); out.Effect != Allow || stronger(m, out.Match) {
			out = Decision{Effect: Allow, Sid: s.sid, Statement: j, Match: m}
		}
	}
	return out
}

func stronger(a, b PrincipalMatch) bool { return strength(a) > strength(b) }

func strength(m PrincipalMatch) int {
	switch m {
	case MatchExact:
		return 3
	case MatchAccount:
		return 2
	case MatchAny:
		return 1
	}
	return 0
}
