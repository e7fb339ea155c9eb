package identity

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Assumption is a session of a role, as its caller wishes it. Whether the caller
// may have it is decided before.
type Assumption struct {
	Role       *RoleInfo
	Name       string
	Duration   time.Duration
	Policies   []string // JSON
	Managed    []string // ARNs
	Tags       map[string]string
	Transitive []string // names of tags that go on to sessions made from this one
}

// Assume makes credentials of a role for c. The human behind, and the time of
// the second factor, go with them.
func (s *Service) Assume(c Caller, a Assumption) (Credentials, Caller, error) {
	x := session{
		Kind: Role, ARN: a.Role.caller(s.config.Account, a.Name).ARN, Holder: a.Role.ARN, Name: a.Name, Human: c.Human,
		Source: c.ARN, Via: c.Via, Policies: a.Policies, Managed: a.Managed, Tags: map[string]string{},
	}
	if !c.MFAAt.IsZero() {
		x.MFA = c.MFAAt.UnixMicro()
	}
	maps.Copy(x.Tags, a.Tags)
	x.Transitive = slices.Clone(a.Transitive)
	for _, name := range c.transitive {
		x.Tags[name] = c.Tags[name]
		x.Transitive = append(x.Transitive, name)
	}
	creds, err := s.mint(x, a.Duration)
	if err != nil {
		return Credentials{}, Caller{}, err
	}
	parsed, ok := s.openToken(creds.SessionToken.Reveal())
	if !ok {
		return Credentials{}, Caller{}, fault.New(400, "MalformedPolicyDocument", "the session policy cannot be read")
	}
	who, _ := s.sessionCaller(parsed)
	return creds, who, nil
}

// services are those that may act as a role inside the hub.
var services = []string{"ssm.amazonaws.com", "ssm-incidents.amazonaws.com"}

// AssumeRole is the role as a part of the hub takes it on to work for the caller
// of ctx: a runbook, a window. The trust policy must name ssm.amazonaws.com or
// ssm-incidents.amazonaws.com. Each of the sets given must allow too, such as the
// policies of the one who started the work. Errors are AccessDenied faults.
func (s *Service) AssumeRole(ctx context.Context, roleARN, sessionName string, sets ...[]*iampolicy.Policy) (Caller, error) {
	role, ok := s.Role(roleARN)
	if !ok || !role.trusts() {
		return Caller{}, fault.AccessDenied("The role %s does not exist, or its trust policy does not let ssm.amazonaws.com assume it", roleARN)
	}
	from := From(ctx)
	c := role.caller(s.config.Account, sessionName)
	c.Human, c.SourceIP, c.MFAAt = from.Human, from.SourceIP, from.MFAAt
	c.IssuedAt = time.Now()
	c.Policies = append(slices.Clone(c.Policies), sets...)
	return c, nil
}

func (r *RoleInfo) trusts() bool {
	return slices.ContainsFunc(services, func(name string) bool {
		return r.Trust.MatchPrincipal(iampolicy.Request{
			Principal: iampolicy.Principal{ARN: name, Kind: iampolicy.Service}, Action: "sts:AssumeRole", Resource: r.ARN,
		}).Allowed()
	})
}
