package authz

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

// trait is what a policy needs to know of a request.
type trait struct {
	keys bool // any condition or variable
	tags bool // tags of the resource
}

func (a *Authorizer) trait(p *iampolicy.Policy) trait {
	if t, ok := a.traits.Load(p); ok {
		return t.(trait)
	}
	text := strings.ToLower(p.JSON())
	t := trait{
		keys: strings.Contains(text, `"condition"`) || strings.Contains(text, "${"),
		tags: strings.Contains(text, "resourcetag/"),
	}
	a.traits.Store(p, t)
	return t
}

func (a *Authorizer) needs(sets [][]*iampolicy.Policy) (t trait) {
	for _, set := range sets {
		for _, p := range set {
			x := a.trait(p)
			t.keys, t.tags = t.keys || x.keys, t.tags || x.tags
		}
	}
	return t
}

// keys are the condition keys of the call for one resource; nil when no policy
// of the caller asks for any.
func (d *decision) keys(action, arn string) (map[string][]string, error) {
	need := d.a.needs(d.caller.Policies)
	if !need.keys {
		return nil, nil
	}
	if d.base == nil {
		d.base = d.global()
		d.fromInput()
	}
	keys := make(map[string][]string, len(d.base)+4)
	for k, v := range d.base {
		keys[k] = v
	}
	if action == "iam:PassRole" {
		keys["iam:PassedToService"] = []string{d.row.Service + ".amazonaws.com"}
	}
	if !need.tags || d.a.Tags == nil || arn == "*" {
		return keys, nil
	}
	tags, err := d.a.Tags(d.ctx, arn)
	if err != nil {
		return nil, fmt.Errorf("authz: tags of %s: %w", arn, err)
	}
	if d.retagged && action == d.row.Action {
		tags = d.retag(tags)
	}
	for k, v := range tags {
		keys["aws:ResourceTag/"+k] = []string{v}
		keys["ssm:resourceTag/"+k] = []string{v}
	}
	return keys, nil
}

// global are the keys that every request has.
func (d *decision) global() map[string][]string {
	now, c := time.Now().UTC(), d.caller
	keys := map[string][]string{
		"aws:CurrentTime":            {now.Format(time.RFC3339)},
		"aws:EpochTime":              {strconv.FormatInt(now.Unix(), 10)},
		"aws:RequestedRegion":        {d.scope.Region},
		"aws:ResourceAccount":        {d.scope.Account},
		"aws:userid":                 {c.UserID},
		"aws:PrincipalIsAWSService":  {strconv.FormatBool(c.Kind == identity.Hub)},
		"aws:ViaAWSService":          {"false"},
		"aws:MultiFactorAuthPresent": {strconv.FormatBool(!c.MFAAt.IsZero())},
	}
	if c.Kind == identity.User {
		keys["aws:username"] = []string{c.Name()}
	}
	if c.SourceIP != "" {
		keys["aws:SourceIp"] = []string{c.SourceIP}
	}
	if !c.IssuedAt.IsZero() {
		keys["aws:TokenIssueTime"] = []string{c.IssuedAt.UTC().Format(time.RFC3339)}
	}
	if !c.MFAAt.IsZero() {
		keys["aws:MultiFactorAuthAge"] = []string{strconv.Itoa(int(now.Sub(c.MFAAt) / time.Second))}
	}
	for k, v := range c.Tags {
		keys["aws:PrincipalTag/"+k] = []string{v}
	}
	return keys
}

// fromInput adds the keys that the row fills from the input.
func (d *decision) fromInput() {
	for _, k := range d.row.Keys {
		switch {
		case k.Name == "aws:RequestTag":
			d.requestTags(tags(d.input, k.Member))
		case k.Member == "":
			d.base[k.Name] = []string{k.Form}
		case k.Form == "present":
			d.base[k.Name] = []string{strconv.FormatBool(len(values(d.input, k.Member)) > 0)}
		default:
			v := values(d.input, k.Member)
			if len(v) == 0 && k.Form == "bool" {
				v = []string{"false"}
			}
			if len(v) > 0 {
				d.base[k.Name] = v
			}
		}
	}
}

// retag is the tags of a resource as they are after an operation that changes them.
func (d *decision) retag(old map[string]string) map[string]string {
	out := make(map[string]string, len(old))
	maps.Copy(out, old)
	for _, k := range d.row.Keys {
		switch k.Name {
		case "aws:RequestTag":
			maps.Copy(out, tags(d.input, k.Member))
		case "aws:TagKeys":
			for _, name := range values(d.input, k.Member) {
				delete(out, name)
			}
		}
	}
	return out
}

func (d *decision) requestTags(tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	names := make([]string, 0, len(tags))
	for k, v := range tags {
		d.base["aws:RequestTag/"+k] = []string{v}
		names = append(names, k)
	}
	slices.Sort(names)
	d.base["aws:TagKeys"] = names
}
