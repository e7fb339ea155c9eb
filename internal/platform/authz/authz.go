package authz

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// TagLookup finds the tags of a resource by its ARN; none for a resource that
// does not exist.
type TagLookup func(ctx context.Context, arn string) (map[string]string, error)

// Authorizer decides over calls. It is safe for use by several goroutines.
type Authorizer struct {
	Tags TagLookup // nil: resources have no tags

	traits sync.Map // *iampolicy.Policy -> trait
}

// New makes an authorizer.
func New(tags TagLookup) *Authorizer { return &Authorizer{Tags: tags} }

type authorizerKey struct{}

// Authorize decides whether the caller of ctx may run an operation with this
// input. A no is an AccessDenied fault; it also puts the authorizer into the
// context returned, where Require finds it.
func (a *Authorizer) Authorize(ctx context.Context, service, operation string, input any) (context.Context, error) {
	row, ok := Lookup(service, operation)
	if !ok {
		return ctx, denied(service, identity.From(ctx), service+":"+operation, "*", "no rule exists for")
	}
	d := &decision{a: a, ctx: ctx, row: row, caller: identity.From(ctx), scope: db.ScopeOf(ctx), input: input}
	ctx = context.WithValue(ctx, authorizerKey{}, d)
	if d.caller.ARN == "" {
		return ctx, denied(service, d.caller, row.Action, "*", "no identity makes")
	}
	if d.caller.Kind == identity.Node {
		return ctx, d.node()
	}
	if row.Open {
		return ctx, nil
	}
	return ctx, d.all()
}

// Require decides on resources found in the course of an operation: each must
// be allowed the action. Without resources it decides on "*".
func Require(ctx context.Context, action string, resources ...string) error {
	d, ok := ctx.Value(authorizerKey{}).(*decision)
	if !ok {
		return denied("", identity.From(ctx), action, strings.Join(resources, ", "), "nothing authorizes")
	}
	if d.caller.Kind == identity.Node {
		return denied(d.row.Service, d.caller, action, strings.Join(resources, ", "), because)
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	late := *d
	late.ctx = ctx
	for _, r := range resources {
		if err := late.allow(action, []string{r}, serviceOf(action)); err != nil {
			return err
		}
	}
	return nil
}

func serviceOf(action string) string {
	s, _, _ := strings.Cut(action, ":")
	return s
}

// decision is one call while it is decided.
type decision struct {
	a      *Authorizer
	ctx    context.Context // of the call
	row    *Row
	caller identity.Caller
	scope  db.Scope
	input  any
	base   map[string][]string // condition keys without those of a resource
}

// node allows what the table lets a node do to itself.
func (d *decision) node() error {
	id := d.caller.NodeID()
	ok := false
	switch rule := d.row.Node; {
	case id == "" || rule == "":
	case rule == "-":
		ok = true
	case rule[0] == '!':
		v := values(d.input, rule[1:])
		ok = len(v) == 0 || len(v) == 1 && v[0] == "false"
	default:
		v := values(d.input, rule)
		ok = len(v) == 1 && v[0] == id
	}
	if !ok {
		return denied(d.row.Service, d.caller, d.row.Action, "*", "a node may act for itself only:")
	}
	return nil
}

// all decides on every resource of the input.
func (d *decision) all() error {
	none := true
	for _, alternatives := range d.row.Resources {
		lists := make([][]string, len(alternatives))
		for i, ref := range alternatives {
			lists[i] = ref.arns(d.scope, d.input)
		}
		for i := range lists[0] {
			none = false
			arns := make([]string, 0, len(lists))
			for _, l := range lists {
				arns = append(arns, l[min(i, len(l)-1)])
			}
			if err := d.allow(d.row.Action, arns, d.row.Service); err != nil {
				return err
			}
		}
	}
	if none {
		if err := d.allow(d.row.Action, []string{"*"}, d.row.Service); err != nil {
			return err
		}
	}
	return d.extra()
}

func (d *decision) extra() error {
	for _, e := range d.row.Extra {
		for _, arn := range e.Ref.arns(d.scope, d.input) {
			if err := d.allow(e.Action, []string{arn}, d.row.Service); err != nil {
				return err
			}
		}
	}
	return nil
}

// allow decides on one resource that goes by any of the given ARNs: one Allow
// is enough, one Deny too much.
func (d *decision) allow(action string, arns []string, service string) error {
	allowed := false
	for _, arn := range arns {
		keys, err := d.keys(action, arn)
		if err != nil {
			return err
		}
		got := iampolicy.Evaluate(iampolicy.Request{
			Principal: d.caller.Principal(), Action: action, Resource: arn, Context: keys,
		}, d.caller.Policies...)
		if got.Effect == iampolicy.Deny {
			return denied(service, d.caller, action, arn, "with an explicit deny in")
		}
		allowed = allowed || got.Allowed()
	}
	if !allowed {
		return denied(service, d.caller, action, arns[0], because)
	}
	return nil
}

const because = "because no"

// denied is AWS's AccessDenied, in the words and under the code of the service.
func denied(service string, c identity.Caller, action, resource, why string) error {
	who := c.ARN
	if who == "" {
		who = "anonymous"
	}
	text := "User: " + who + " is not authorized to perform: " + action
	if resource != "*" {
		text += " on resource: " + resource
	}
	switch why {
	case because:
		text += " because no identity-based policy allows the " + action + " action"
	case "with an explicit deny in":
		text += " with an explicit deny in an identity-based policy"
	}
	switch sigv4.FamilyOf(service) {
	case sigv4.Query:
		return fault.New(http.StatusForbidden, "AccessDenied", "%s", text)
	case sigv4.REST:
		return fault.New(http.StatusForbidden, "AccessDeniedException", "%s", text)
	}
	return fault.AccessDenied("%s", text)
}
