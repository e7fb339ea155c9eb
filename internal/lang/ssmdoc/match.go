package ssmdoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Match decides the rule. Expand resolves the references of Variable and
// Operand (a closure over Expand). An operand of the wrong type is an error.
func (r *Rule) Match(expand func(any) (any, error)) (bool, error) {
	switch {
	case r.Not != nil:
		ok, err := r.Not.Match(expand)
		return !ok, err
	case r.And != nil:
		return matchAll(r.And, expand)
	case r.Or != nil:
		return matchAny(r.Or, expand)
	}
	variable, err := expand(r.Variable.Any())
	if err != nil {
		return false, err
	}
	operand, err := expand(r.Operand.Any())
	if err != nil {
		return false, err
	}
	return compare(r.Operator, variable, operand)
}

func matchAll(rules []Rule, expand func(any) (any, error)) (bool, error) {
	for i := range rules {
		if ok, err := rules[i].Match(expand); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func matchAny(rules []Rule, expand func(any) (any, error)) (bool, error) {
	for i := range rules {
		if ok, err := rules[i].Match(expand); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func compare(operator string, variable, operand any) (bool, error) {
	switch {
	case operator == "BooleanEquals":
		return compareBools(variable, operand)
	case strings.HasPrefix(operator, "Numeric"):
		return compareNumbers(operator, variable, operand)
	}
	if list, ok := variable.([]any); ok && operator == "Contains" {
		return slices.ContainsFunc(list, func(item any) bool { return equalText(item, operand) }), nil
	}
	v, err := Text(variable)
	if err != nil {
		return false, err
	}
	o, err := Text(operand)
	if err != nil {
		return false, err
	}
	switch operator {
	case "StringEquals":
		return v == o, nil
	case "EqualsIgnoreCase":
		return strings.EqualFold(v, o), nil
	case "StartsWith":
		return strings.HasPrefix(v, o), nil
	case "EndsWith":
		return strings.HasSuffix(v, o), nil
	case "Contains":
		return strings.Contains(v, o), nil
	}
	return false, fmt.Errorf("unknown operator %q", operator)
}

func equalText(a, b any) bool {
	x, err := Text(a)
	if err != nil {
		return false
	}
	y, err := Text(b)
	return err == nil && x == y
}

func compareBools(variable, operand any) (bool, error) {
	v, err := asBool(variable)
	if err != nil {
		return false, err
	}
	o, err := asBool(operand)
	return v == o, err
}

func asBool(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		if b, ok := (&Node{Kind: String, Text: v}).Bool(); ok {
			return b, nil
		}
	}
	return false, fmt.Errorf("BooleanEquals needs booleans")
}

func compareNumbers(operator string, variable, operand any) (bool, error) {
	v, err := asNumber(operator, variable)
	if err != nil {
		return false, err
	}
	o, err := asNumber(operator, operand)
	if err != nil {
		return false, err
	}
	switch operator {
	case "NumericEquals":
		return v == o, nil
	case "NumericGreater":
		return v > o, nil
	case "NumericLesser":
		return v < o, nil
	case "NumericGreaterOrEquals":
		return v >= o, nil
	case "NumericLesserOrEquals":
		return v <= o, nil
	}
	return false, fmt.Errorf("unknown operator %q", operator)
}

func asNumber(operator string, v any) (float64, error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case int:
		return float64(v), nil
	case float64:
		return v, nil
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return f, nil
		}
	}
	return 0, fmt.Errorf("%s needs numbers", operator)
}
