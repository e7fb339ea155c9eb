package ssmdoc

import (
	"slices"
)

// operators are the comparisons of an aws:branch choice.
var operators = []string{
	"StringEquals", "EqualsIgnoreCase", "StartsWith", "EndsWith", "Contains",
	"NumericEquals", "NumericGreater", "NumericLesser", "NumericGreaterOrEquals", "NumericLesserOrEquals",
	"BooleanEquals",
}

func buildBranch(at place, inputs *Node) (*Branch, error) {
	b := &Branch{Default: inputs.Get("Default").Str()}
	n := inputs.Get("Choices")
	at = at.key("Choices")
	if err := at.want(n, List); err != nil || n == nil {
		return b, err
	}
	for i, item := range n.Items {
		at := at.index(i)
		if err := at.want(item, Map); err != nil {
			return b, err
		}
		next := item.Get("NextStep")
		if err := at.key("NextStep").want(next, String); err != nil {
			return b, err
		}
		if next.Str() == "" {
			return b, at.errorf(item.Line, "a choice needs NextStep")
		}
		rule, err := buildRule(at, item, "NextStep")
		if err != nil {
			return b, err
		}
		b.Choices = append(b.Choices, Choice{NextStep: next.Str(), Rule: rule, Line: item.Line})
	}
	return b, nil
}

// buildRule reads And, Or, Not or one comparison; extra keys belong to the caller.
func buildRule(at place, n *Node, extra ...string) (Rule, error) {
	r := Rule{Line: n.Line}
	if err := at.want(n, Map); err != nil {
		return r, err
	}
	forms := 0
	for _, f := range n.Fields {
		if slices.Contains(extra, f.Key) || f.Key == "Variable" {
			continue
		}
		forms++
		if err := r.form(at.key(f.Key), f); err != nil {
			return r, err
		}
	}
	if forms != 1 {
		return r, at.errorf(n.Line, "a condition needs exactly one of And, Or, Not or an operator, not %d", forms)
	}
	r.Variable = n.Get("Variable")
	if r.Operator != "" && r.Variable == nil {
		return r, at.errorf(n.Line, "a comparison needs Variable")
	}
	if r.Operator == "" && r.Variable != nil {
		return r, at.errorf(r.Variable.Line, "Variable goes with an operator, not with And, Or or Not")
	}
	return r, nil
}

func (r *Rule) form(at place, f Field) (err error) {
	switch f.Key {
	case "And":
		r.And, err = buildRules(at, f.Value)
		return err
	case "Or":
		r.Or, err = buildRules(at, f.Value)
		return err
	case "Not":
		not, err := buildRule(at, f.Value)
		r.Not = &not
		return err
	}
	if !slices.Contains(operators, f.Key) {
		return at.errorf(f.Line, "unknown operator %q%s", f.Key, meant(f.Key, operators))
	}
	r.Operator, r.Operand = f.Key, f.Value
	return nil
}

func buildRules(at place, n *Node) ([]Rule, error) {
	if err := at.want(n, List); err != nil {
		return nil, err
	}
	if len(n.Items) == 0 {
		return nil, at.errorf(n.Line, "needs at least one condition")
	}
	rules := make([]Rule, 0, len(n.Items))
	for i, item := range n.Items {
		r, err := buildRule(at.index(i), item)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}
