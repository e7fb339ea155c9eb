package inventory

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
)

// condition is a filter on one attribute.
type condition struct {
	attribute string
	operator  ssm.InventoryQueryOperatorType
	values    []string
}

// conditions are filters by the type that they are on.
type conditions map[string][]condition

// splitKey takes "AWS:Application.Name" apart; an attribute may hold no dot.
func splitKey(key string) (name, attribute string, ok bool) {
	i := strings.LastIndexByte(key, '.')
	if i <= 0 || i == len(key)-1 || checkType(key[:i]) != nil {
		return "", "", false
	}
	return key[:i], key[i+1:], true
}

func parseFilters(filters []ssm.InventoryFilter, exists bool) (conditions, error) {
	out := conditions{}
	for _, f := range filters {
		name, attribute, ok := splitKey(ptr.Value(f.Key))
		if !ok {
			return nil, &ssm.InvalidFilter{Message: "The filter key " + ptr.Value(f.Key) + " is not the name of a type and an attribute."}
		}
		if f.Type == ssm.InventoryQueryOperatorTypeExists && !exists {
			return nil, &ssm.InvalidFilter{Message: "Exists can be used with aggregators only."}
		}
		out[name] = append(out[name], condition{attribute, f.Type, f.Values})
	}
	return out, nil
}

// fits says that a node has, for each type, an entry that fits all filters on it.
//
// Assumption: filters on one type are about the same entry, as a name and a version
// have to be for the answer to mean anything.
func (c conditions) fits(content map[string][]map[string]string) bool {
	for name, list := range c {
		if !slices.ContainsFunc(content[name], func(entry map[string]string) bool { return fits(entry, list) }) {
			return false
		}
	}
	return true
}

func fits(entry map[string]string, list []condition) bool {
	for _, c := range list {
		if !c.fits(entry) {
			return false
		}
	}
	return true
}

func (c condition) fits(entry map[string]string) bool {
	v, there := entry[c.attribute]
	switch c.operator {
	case ssm.InventoryQueryOperatorTypeExists:
		return there
	case ssm.InventoryQueryOperatorTypeNotEqual:
		return !slices.Contains(c.values, v)
	case ssm.InventoryQueryOperatorTypeBeginWith:
		return there && slices.ContainsFunc(c.values, func(w string) bool { return strings.HasPrefix(v, w) })
	case ssm.InventoryQueryOperatorTypeLessThan:
		return there && slices.ContainsFunc(c.values, func(w string) bool { return compare(v, w) < 0 })
	case ssm.InventoryQueryOperatorTypeGreaterThan:
		return there && slices.ContainsFunc(c.values, func(w string) bool { return compare(v, w) > 0 })
	}
	return there && slices.Contains(c.values, v)
}

// compare orders versions and numbers by their parts, and anything else as text.
func compare(a, b string) int {
	x, y := parts(a), parts(b)
	for i := range min(len(x), len(y)) {
		m, err1 := strconv.ParseUint(x[i], 10, 64)
		n, err2 := strconv.ParseUint(y[i], 10, 64)
		c := strings.Compare(x[i], y[i])
		if err1 == nil && err2 == nil {
			c = cmp.Compare(m, n)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

func parts(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(".-_:+~", r) })
}
