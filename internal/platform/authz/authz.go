package authz

import (
	"context"
	"net/http"
	"slices"
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

// Locks says what is locked: nothing allows a caller or a resource that is.
type Locks interface {
	Caller(c identity.Caller, scope db.Scope) bool
	Resource(scope db.Scope, arn string) bool
}

// Authorizer decides over calls. It is safe for use by several goroutines.
type Authorizer struct {
	Tags  TagLookup // nil: resources have no tags
	Locks Locks     // nil: nothing is locked

	traits sync.Map // *iampolicy.Policy -> trait

	// NodeRole gives the caller that a node's role is, with its policies; false
	// when the role is not one that anybody has defined. Nil: there is none.
	NodeRole func(ctx context.Context, nodeID string) (identity.Caller, bool)
}

// New makes an authorizer.
func New(tags TagLookup) *Authorizer { return &Authorizer{Tags: tags} }

type callKey struct{}

// Authorize decides whether the caller of ctx may run an operation with this
// input; service is the signing name. A no is an AccessDenied fault. The context
// returned carries what Require needs: the method runs with it.
func (a *Authorizer) Authorize(ctx context.Context, service, operation string, input any) (context.Context, error) {
	row, _ := Lookup(service, operation)
	d := &decision{a: a, ctx: ctx, row: row, service: service, caller: identity.From(ctx), scope: db.ScopeOf(ctx), input: input}
	return context.WithValue(ctx, callKey{}, d), d.whole()
}

// whole decides on the call.
func (d *decision) whole() error {
	switch {
	case d.row == nil:
		return d.denied(d.service+":*", "*", unknown)
	case d.caller.ARN == "":
		return d.denied(d.row.Action, "*", unknown)
	case d.callerLocked():
		return d.denied(d.row.Action, "*", locked)
	case d.caller.Kind == identity.Node:
		return d.node()
	case d.row.Open:
		return nil
	case d.row.Access == "tagging":
		return d.tagging()
	}
	return d.all()
}

// Require decides on resources found in the course of an operation: each must
// be allowed the action. Without resources it decides on "*". Outside a call
// the answer is no.
func Require(ctx context.Context, action string, resources ...string) error {
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	d, ok := inCall(ctx)
	if !ok {
		return d.denied(action, resources[0], unknown)
	}
	if d.caller.Kind == identity.Node {
		return d.denied(action, resources[0], implicit)
	}
	for _, r := range resources {
		if err := d.allow(action, []string{r}); err != nil {
			return err
		}
	}
	return nil
}

// inCall is the decision to make anew within the call that ctx belongs to.
func inCall(ctx context.Context) (*decision, bool) {
	call, ok := ctx.Value(callKey{}).(*decision)
	if !ok || call.row == nil {
		return &decision{caller: identity.From(ctx)}, false
	}
	d := *call
	d.ctx, d.caller, d.base = ctx, identity.From(ctx), nil
	return &d, true
}

// Effect is what the caller's own policies say of an action on a resource, for
// operations where a resource's policy has a say too. Outside a call it is Deny.
func Effect(ctx context.Context, action, resource string) (iampolicy.Effect, error) {
	d, ok := inCall(ctx)
	if !ok || d.caller.Kind == identity.Node {
		return iampolicy.Deny, nil
	}
	return d.effect(action, resource)
}

// Keys are the condition keys of the call without those of a resource.
func Keys(ctx context.Context) map[string][]string {
	d, ok := inCall(ctx)
	if !ok {
		return nil
	}
	d.base = d.global()
	d.fromInput()
	return d.base
}

// Denied is the AccessDenied of the call for an action that is not allowed.
func Denied(ctx context.Context, action, resource string) error {
	d, _ := inCall(ctx)
	return d.denied(action, resource, unknown)
}

// decision is one call while it is decided.
type decision struct {
	a       *Authorizer
	ctx     context.Context // of the call
	row     *Row
	service string
	caller  identity.Caller
	scope   db.Scope
	input   any
	base    map[string][]string // condition keys without those of a resource
	// retagged decides as if the resource had the tags that the operation gives it.
	retagged bool
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
	if !ok && strings.HasPrefix(d.row.Node, "!") {
		return d.role(id)
	}
	if !ok {
		return d.denied(d.row.Action, "*", implicit)
	}
	return nil
}

// role lets a node do more with what the table opens to nodes in part, such as
// reading a SecureString: as far as the policies of its role allow it.
func (d *decision) role(nodeID string) error {
	if nodeID == "" || d.a.NodeRole == nil {
		return d.denied(d.row.Action, "*", implicit)
	}
	role, ok := d.a.NodeRole(d.ctx, nodeID)
	if !ok {
		return d.denied(d.row.Action, "*", implicit)
	}
	d.caller.Policies = role.Policies
	return d.all()
}

// unlocked are what a locked node may still do: hold its control channel, on which
// nothing goes, so that it is there when the lock is taken away.
var unlocked = []string{"ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel"}

func (d *decision) callerLocked() bool {
	return d.a.Locks != nil && !slices.Contains(unlocked, d.row.Action) && d.a.Locks.Caller(d.caller, d.scope)
}

// starting are the actions that a lock on a node or a document refuses.
var starting = []string{
	"ssm:SendCommand", "ssm:StartSession", "ssm:ResumeSession", "ssm:StartAutomationExecution", "ssm:StartChangeRequestExecution", "watchbill:StartRollout",
}

func (d *decision) resourceLocked(action, arn string) bool {
	return d.a.Locks != nil && slices.Contains(starting, action) && d.a.Locks.Resource(d.scope, arn)
}

// tagging decides over the resource as it is and as it is going to be: nobody tags a
// resource into what they may not touch, or out of it.
func (d *decision) tagging() error {
	if err := d.all(); err != nil {
		return err
	}
	after := *d
	after.retagged = true
	return after.all()
}

// all decides on every resource of the input.
func (d *decision) all() error {
	none := true
	for _, alternatives := range d.row.Resources {
		lists := make([][]string, len(alternatives))
		for i, ref := range alternatives {
			if id, ok := ref.foreign(d.scope, d.input); ok {
				return d.denied(d.row.Action, id, implicit)
			}
			lists[i] = ref.arns(d.scope, d.input)
		}
		for i := range lists[0] {
			none = false
			arns := make([]string, 0, len(lists))
			for _, l := range lists {
				arns = append(arns, l[min(i, len(l)-1)])
			}
			if err := d.allow(d.row.Action, arns); err != nil {
				return err
			}
		}
	}
	if none {
		if err := d.allow(d.row.Action, []string{"*"}); err != nil {
			return err
		}
	}
	return d.extra()
}

func (d *decision) extra() error {
	for _, e := range d.row.Extra {
		for _, arn := range e.Ref.arns(d.scope, d.input) {
			if err := d.allow(e.Action, []string{arn}); err != nil {
				return err
			}
		}
	}
	return nil
}

// allow decides on one resource that goes by any of the given ARNs: one Allow
// is enough, one Deny too much.
func (d *decision) allow(action string, arns []string) error {
	allowed := false
	for _, arn := range arns {
		if d.resourceLocked(action, arn) {
			return d.denied(action, arn, locked)
		}
		got, err := d.effect(action, arn)
		if err != nil {
			return err
		}
		if got == iampolicy.Deny {
			return d.denied(action, arn, explicit)
		}
		allowed = allowed || got == iampolicy.Allow
	}
	if !allowed {
		return d.denied(action, arns[0], implicit)
	}
	return nil
}

func (d *decision) effect(action, arn string) (iampolicy.Effect, error) {
	keys, err := d.keys(action, arn)
	if err != nil {
		return iampolicy.Deny, err
	}
	return iampolicy.Evaluate(iampolicy.Request{
		Principal: d.caller.Principal(), Action: action, Resource: arn, Context: keys,
	}, d.caller.Policies...).Effect, nil
}

// reason is why a decision is no.
type reason int

const (
	unknown  reason = iota // no row, or nobody calls
	implicit               // nothing allows it
	explicit               // something denies it
	locked                 // a lock is on it
)

// denied is AWS's AccessDenied, in the words and under the code of the service.
func (d *decision) denied(action, resource string, why reason) error {
	who := d.caller.ARN
	if who == "" {
		who = "anonymous"
	}
	text := "User: " + who + " is not authorized to perform: " + action
	if resource != "*" {
		text += " on resource: " + resource
	}
	switch why {
	case implicit:
		text += " because no identity-based policy allows the " + action + " action"
	case locked:
		text += " because of a lock"
	case explicit:
		text += " with an explicit deny in an identity-based policy"
	}
	switch sigv4.FamilyOf(d.service) {
	case sigv4.Query:
		return fault.New(http.StatusForbidden, "AccessDenied", "%s", text)
	case sigv4.REST:
		return fault.New(http.StatusForbidden, "AccessDeniedException", "%s", text)
	}
	return fault.AccessDenied("%s", text)
}
