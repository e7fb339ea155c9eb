package iampolicy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Policy is a compiled policy. It is immutable.
type Policy struct {
	version    string
	id         string
	statements []statement
	text       string
}

type statement struct {
	sid         string
	effect      Effect
	principal   *principals
	actions     []*pattern
	notAction   bool
	resources   []*pattern
	notResource bool
	conditions  []condition
}

// Warning is something that is accepted and probably not meant.
type Warning struct {
	Line, Column int
	Text         string
}

// String is the position and the text.
func (w Warning) String() string { return (&Error{w.Line, w.Column, w.Text}).Error() }

// The versions of the language; without one it is the older, which has no
// policy variables.
const (
	versionOld = "2008-10-17"
	versionNew = "2012-10-17"
)

// Checked at parse time only.
var (
	actionForm = regexp.MustCompile(`^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$`)
	sidForm    = regexp.MustCompile(`^[A-Za-z0-9 ]*$`)
)

// JSON is the policy's text without insignificant space.
func (p *Policy) JSON() string { return p.text }

// HasPrincipals reports a statement with a Principal: such a policy belongs to
// a resource (a role's trust, a document's grant), not to an identity.
func (p *Policy) HasPrincipals() bool {
	for i := range p.statements {
		if p.statements[i].principal != nil {
			return true
		}
	}
	return false
}

// Parse reads a policy. The error is an *Error with the position.
func Parse(data []byte) (*Policy, []Warning, error) {
	r, root, err := readJSON(data)
	if err != nil {
		return nil, nil, err
	}
	c := &compiler{reader: r, policy: &Policy{version: versionOld}}
	if err := c.policyOf(root); err != nil {
		return nil, nil, err
	}
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return nil, nil, r.errorf(0, "not JSON: %s", err)
	}
	c.policy.text = text.String()
	return c.policy, c.warnings, nil
}

type compiler struct {
	*reader
	policy   *Policy
	warnings []Warning
}

func (c *compiler) warn(at int, format string, args ...any) {
	e := c.errorf(at, format, args...).(*Error)
	c.warnings = append(c.warnings, Warning(*e))
}

func (c *compiler) variables() bool { return c.policy.version == versionNew }

func (c *compiler) policyOf(root node) error {
	if root.kind != '{' {
		return c.errorf(root.at, "a policy is an object")
	}
	var statements *node
	for i := range root.members {
		m := &root.members[i]
		switch m.name {
		case "Version":
			if m.value.kind != 's' || (m.value.text != versionNew && m.value.text != versionOld) {
				return c.errorf(m.value.at, "Version is %q or %q", versionNew, versionOld)
			}
			c.policy.version = m.value.text
		case "Id":
			if m.value.kind != 's' {
				return c.errorf(m.value.at, "Id is a string")
			}
			c.policy.id = m.value.text
		case "Statement":
			statements = &m.value
		default:
			return c.errorf(m.at, "%q is not an element of a policy", m.name)
		}
	}
	if statements == nil {
		return c.errorf(root.at, "Statement is missing")
	}
	return c.statements(*statements)
}

func (c *compiler) statements(n node) error {
	items := n.items
	if n.kind == '{' {
		items = []node{n}
	}
	if len(items) == 0 {
		return c.errorf(n.at, "Statement is an object or a list of objects, and not empty")
	}
	sids := map[string]bool{}
	for _, item := range items {
		s, err := c.statement(item)
		if err != nil {
			return err
		}
		if s.sid != "" && sids[s.sid] {
			return c.errorf(item.at, "the Sid %q is given twice", s.sid)
		}
		sids[s.sid] = true
		c.policy.statements = append(c.policy.statements, s)
	}
	return nil
}

func (c *compiler) statement(n node) (s statement, err error) {
	if n.kind != '{' {
		return s, c.errorf(n.at, "a statement is an object")
	}
	has := map[string]bool{}
	for _, m := range n.members {
		has[m.name] = true
		if err := c.element(&s, m); err != nil {
			return s, err
		}
	}
	switch {
	case !has["Effect"]:
		err = c.errorf(n.at, "Effect is missing")
	case has["Action"] == has["NotAction"]:
		err = c.errorf(n.at, "a statement has either Action or NotAction")
	case has["Principal"] && has["NotPrincipal"]:
		err = c.errorf(n.at, "a statement has either Principal or NotPrincipal")
	case has["Resource"] && has["NotResource"]:
		err = c.errorf(n.at, "a statement has either Resource or NotResource")
	case s.principal == nil && len(s.resources) == 0:
		err = c.errorf(n.at, "Resource is missing")
	case has["NotPrincipal"] && s.effect == Allow:
		err = c.errorf(n.at, "NotPrincipal goes with Deny only")
	}
	return s, err
}

func (c *compiler) element(s *statement, m member) (err error) {
	switch m.name {
	case "Sid":
		if m.value.kind != 's' || !sidForm.MatchString(m.value.text) {
			return c.errorf(m.value.at, "Sid is a string of letters and digits")
		}
		s.sid = m.value.text
	case "Effect":
		if m.value.kind != 's' || (m.value.text != string(Allow) && m.value.text != string(Deny)) {
			return c.errorf(m.value.at, "Effect is Allow or Deny")
		}
		s.effect = Effect(m.value.text)
	case "Principal", "NotPrincipal":
		s.principal, err = c.principals(m.value, m.name == "NotPrincipal")
	case "Action", "NotAction":
		s.notAction = m.name == "NotAction"
		s.actions, err = c.patterns(m, c.action)
	case "Resource", "NotResource":
		s.notResource = m.name == "NotResource"
		s.resources, err = c.patterns(m, c.resource)
	case "Condition":
		s.conditions, err = c.conditions(m.value)
	default:
		return c.errorf(m.at, "%q is not an element of a statement", m.name)
	}
	return err
}

// list gives the strings of a node that is one or a list of them.
func (c *compiler) list(n node, what string, kinds string) ([]node, error) {
	items := n.items
	if n.kind != '[' {
		items = []node{n}
	}
	if len(items) == 0 {
		return nil, c.errorf(n.at, "%s is empty", what)
	}
	for _, i := range items {
		if strings.IndexByte(kinds, i.kind) < 0 {
			return nil, c.errorf(i.at, "%s has a value of the wrong type", what)
		}
	}
	return items, nil
}

func (c *compiler) patterns(m member, compile func(string) (*pattern, error)) ([]*pattern, error) {
	items, err := c.list(m.value, m.name, "s")
	if err != nil {
		return nil, err
	}
	var out []*pattern
	for _, i := range items {
		p, err := compile(i.text)
		if err != nil {
			return nil, c.errorf(i.at, "%s", err)
		}
		c.warnVariable(i)
		out = append(out, p)
	}
	return out, nil
}

func (c *compiler) warnVariable(n node) {
	if !c.variables() && strings.Contains(n.text, "${") {
		c.warn(n.at, "policy variables need Version %s; the text is taken as it is", versionNew)
	}
}

func (c *compiler) action(text string) (*pattern, error) {
	if !actionForm.MatchString(text) {
		return nil, fmt.Errorf("%q is not an action (service:Operation or *)", text)
	}
	return compilePattern(strings.ToLower(text), dialect{wildcards: true})
}

func (c *compiler) resource(text string) (*pattern, error) {
	p, err := compilePattern(text, dialect{wildcards: true, variables: c.variables()})
	if err != nil {
		return nil, err
	}
	parts := splitARN(text, c.variables())
	if !p.matchAll() && (parts[0] != "arn" || (len(parts) < arnParts && !strings.HasSuffix(text, "*"))) {
		return nil, fmt.Errorf("%q is not a resource (an ARN or *)", text)
	}
	return p, nil
}

func (c *compiler) principals(n node, negated bool) (*principals, error) {
	p := &principals{not: negated}
	if n.kind == 's' && n.text == "*" {
		p.any = true
		return p, nil
	}
	if n.kind != '{' || len(n.members) == 0 {
		return nil, c.errorf(n.at, "a principal is \"*\" or an object with AWS, Service or Federated")
	}
	for _, m := range n.members {
		items, err := c.list(m.value, m.name, "s")
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			if err := p.add(m.name, i.text); err != nil {
				return nil, c.errorf(i.at, "%s", err)
			}
		}
	}
	return p, nil
}

func (c *compiler) conditions(n node) (out []condition, err error) {
	if n.kind != '{' {
		return nil, c.errorf(n.at, "Condition is an object")
	}
	for _, op := range n.members {
		if op.value.kind != '{' || len(op.value.members) == 0 {
			return nil, c.errorf(op.value.at, "a condition operator holds an object of keys, and not an empty one")
		}
		for _, key := range op.value.members {
			cond, err := c.condition(op, key)
			if err != nil {
				return nil, err
			}
			out = append(out, cond)
		}
	}
	return out, nil
}

func (c *compiler) condition(op, key member) (condition, error) {
	cond, how, err := newCondition(op.name, key.name)
	if err != nil {
		return cond, c.errorf(op.at, "%s", err)
	}
	if !strings.Contains(key.name, ":") || strings.Contains(key.name, "${") {
		return cond, c.errorf(key.at, "%q is not a condition key", key.name)
	}
	if !cond.known {
		c.warn(key.at, "condition key %q is unknown: an Allow with it never applies, a Deny always", key.name)
	}
	items, err := c.list(key.value, key.name, "snb")
	if err != nil {
		return cond, err
	}
	for _, i := range items {
		if err := c.conditionValue(&cond, how, i); err != nil {
			return cond, c.errorf(i.at, "%s: %s", op.name, err)
		}
	}
	return cond, nil
}

func (c *compiler) conditionValue(cond *condition, how operator, n node) error {
	if cond.null {
		b, err := compileNull(n.text)
		cond.nullWanted = append(cond.nullWanted, b)
		return err
	}
	c.warnVariable(n)
	m, err := how.compile(n.text, c.variables())
	cond.values = append(cond.values, m)
	return err
}
