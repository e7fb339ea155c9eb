package ssmdoc

import (
	"fmt"
	"strings"

	"github.com/ohler55/ojg/jp"
)

// Select applies a JSONPath ("$.a.b", "$.list[0]", "$..x", "$.list[*].id") to
// a plain value. A path that names one place answers its value; one with a
// wildcard, slice, union, filter or descent answers []any of all matches.
// Nothing found is nil.
func Select(value any, path string) (any, error) {
	expr, err := compilePath(path)
	if err != nil {
		return nil, err
	}
	if one(expr) {
		return expr.First(value), nil
	}
	return expr.Get(value), nil
}

func compilePath(path string) (expr jp.Expr, err error) {
	if !strings.HasPrefix(path, "$") {
		return nil, fmt.Errorf("selector %q must start with $", path)
	}
	defer func() { // the parser of filters panics on some input
		if recover() != nil {
			err = fmt.Errorf("selector %q is not a JSONPath", path)
		}
	}()
	if expr, err = jp.ParseString(path); err != nil {
		return nil, fmt.Errorf("selector %q is not a JSONPath: %w", path, err)
	}
	return expr, nil
}

func one(expr jp.Expr) bool {
	for _, f := range expr {
		switch f.(type) {
		case jp.Root, jp.Child, jp.Nth, jp.Bracket, jp.At:
		default:
			return false
		}
	}
	return true
}
