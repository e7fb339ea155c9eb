package sts

import (
	"context"
	"maps"
	"slices"

	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

// maxPolicies is the size of all session policies together in characters.
// Source: the STS reference, AssumeRole, Policy.
const maxPolicies = 2048

// AssumeRole makes credentials of a role, when its trust policy names the
// caller, or names the account and the caller's policies allow it.
func (s *Service) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	role, ok := s.Identity.Role(*in.RoleArn)
	if !ok {
		// As for a role that does not let the caller in: who may not assume it
		// does not learn whether it exists.
		return nil, authz.Denied(ctx, "sts:AssumeRole", *in.RoleArn)
	}
	if err := s.admit(ctx, role, in); err != nil {
		return nil, err
	}
	a, size, err := s.assumption(ctx, role, in)
	if err != nil {
		return nil, err
	}
	creds, who, err := s.Identity.Assume(identity.From(ctx), a)
	if err != nil {
		return nil, err
	}
	out := &sts.AssumeRoleOutput{
		AssumedRoleUser: &sts.AssumedRoleUser{Arn: &who.ARN, AssumedRoleId: &who.UserID}, Credentials: projection(creds),
	}
	if size > 0 {
		out.PackedPolicySize = new(int32(max(1, size*100/maxPolicies)))
	}
	err = s.record(ctx, "role.assumed", role.ARN, map[string]any{"Session": who.ARN, "AccessKeyId": creds.AccessKeyID, "Expiration": creds.Expiration}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// admit asks the trust policy and the caller's own policies.
func (s *Service) admit(ctx context.Context, role *identity.RoleInfo, in *sts.AssumeRoleInput) error {
	keys := trustKeys(ctx, in)
	actions := []string{"sts:AssumeRole"}
	if len(in.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	for _, action := range actions {
		trust := role.Trust.MatchPrincipal(iampolicy.Request{
			Principal: identity.From(ctx).Principal(), Action: action, Resource: role.ARN, Context: keys,
		})
		own, err := authz.Effect(ctx, action, role.ARN)
		if err != nil {
			return err
		}
		// A trust policy that names the caller itself is enough; one that names
		// the account leaves it to the account's own policies.
		named := trust.Match == iampolicy.MatchExact
		if !trust.Allowed() || own == iampolicy.Deny || !named && own != iampolicy.Allow {
			return authz.Denied(ctx, action, role.ARN)
		}
	}
	return nil
}

func trustKeys(ctx context.Context, in *sts.AssumeRoleInput) map[string][]string {
	keys := maps.Clone(authz.Keys(ctx))
	if keys == nil {
		keys = map[string][]string{}
	}
	keys["sts:RoleSessionName"] = []string{*in.RoleSessionName}
	if in.ExternalId != nil {
		keys["sts:ExternalId"] = []string{*in.ExternalId}
	}
	for _, t := range in.Tags {
		keys["aws:RequestTag/"+*t.Key] = []string{*t.Value}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], *t.Key)
	}
	if len(in.TransitiveTagKeys) > 0 {
		keys["sts:TransitiveTagKeys"] = in.TransitiveTagKeys
	}
	return keys
}

// assumption checks what the session is to carry; size is that of its policies.
func (s *Service) assumption(ctx context.Context, role *identity.RoleInfo, in *sts.AssumeRoleInput) (a identity.Assumption, size int, err error) {
	a = identity.Assumption{Role: role, Name: *in.RoleSessionName, Duration: seconds(in.DurationSeconds, defaultRole), Tags: map[string]string{}, Transitive: in.TransitiveTagKeys}
	c := identity.From(ctx)
	switch {
	case in.SerialNumber != nil || in.TokenCode != nil:
		return a, 0, denied("MultiFactorAuthentication failed: there is no device for this user")
	case in.SourceIdentity != nil:
		return a, 0, invalid("SourceIdentity is not kept by this server")
	case len(in.ProvidedContexts) > 0:
		return a, 0, invalid("ProvidedContexts is not read by this server")
	case a.Duration > role.MaxSession:
		return a, 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case !c.IssuedAt.IsZero() && a.Duration > chained:
		return a, 0, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	for _, t := range in.Tags {
		if _, twice := a.Tags[*t.Key]; twice {
			return a, 0, invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		a.Tags[*t.Key] = *t.Value
	}
	for _, key := range in.TransitiveTagKeys {
		if _, ok := a.Tags[key]; !ok {
			return a, 0, invalid("The specified transitive tag key must be included in the requested tags.")
		}
	}
	size, err = s.policies(in, &a)
	return a, size, err
}

func (s *Service) policies(in *sts.AssumeRoleInput, a *identity.Assumption) (size int, err error) {
	if in.Policy != nil {
		p, _, err := iampolicy.Parse([]byte(*in.Policy))
		if err != nil {
			return 0, &sts.MalformedPolicyDocumentException{Message: err.Error()}
		}
		if p.HasPrincipals() {
			return 0, &sts.MalformedPolicyDocumentException{Message: "a session policy has no Principal"}
		}
		a.Policies = append(a.Policies, p.JSON())
		size += len(p.JSON())
	}
	for _, d := range in.PolicyArns {
		if d.Arn == nil {
			continue
		}
		if _, ok := s.Identity.Policy(*d.Arn); !ok {
			return 0, invalid("There is no policy %s", *d.Arn)
		}
		if !slices.Contains(a.Managed, *d.Arn) {
			a.Managed = append(a.Managed, *d.Arn)
			size += len(*d.Arn)
		}
	}
	if size > maxPolicies {
		return 0, &sts.PackedPolicyTooLargeException{Message: "the session policies are larger than the limit of 2048 characters"}
	}
	return size, nil
}
