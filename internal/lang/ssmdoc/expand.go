package ssmdoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// reference is what may stand between double braces. Other braces, such as the
// Go templates of docker ({{.Names}}), are text.
// amazon-ssm-agent, agent/parameterstore and agent/parameters (3.3).
var reference = regexp.MustCompile(`\{\{[ \t]*([A-Za-z0-9_][\w.:/\-\[\]$]*)[ \t]*\}\}`)

// maxInserted bounds what one Expand may insert in all, in bytes.
const maxInserted = 4 << 20

var errInserted = errors.New("the values of the references are too large")

// Lookup answers the value of a reference by its trimmed name: "name",
// "step.Output", "global:DATE", "automation:EXECUTION_ID", "variable:x",
// "ssm:/path". Found false leaves the text of the reference as it is.
type Lookup func(name string) (value any, found bool, err error)

type expander struct {
	lookup Lookup
	left   int // bytes that may still be inserted
}

// Expand replaces every reference in value (what Node.Any gives) in one pass
// and answers a new value. A string that is one reference and nothing else
// takes the value with its type; when that is a list and the string stands in
// a list, its items take the place of the string. Inside other text strings
// stand as they are and everything else as JSON. Keys of maps are not looked
// at, nor is what was inserted.
//
// Assumption: a list in a list is spliced, since a nested list fits no input.
func Expand(value any, lookup Lookup) (any, error) {
	e := &expander{lookup: lookup, left: maxInserted}
	return e.value(value)
}

func (e *expander) value(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return e.text(v)
	case []any:
		return e.list(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			x, err := e.value(item)
			if err != nil {
				return nil, err
			}
			out[k] = x
		}
		return out, nil
	}
	return v, nil
}

func (e *expander) list(v []any) (any, error) {
	out := make([]any, 0, len(v))
	for _, item := range v {
		x, err := e.value(item)
		if err != nil {
			return nil, err
		}
		_, wasText := item.(string)
		if inner, isList := x.([]any); isList && wasText {
			out = append(out, inner...)
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

func (e *expander) text(s string) (any, error) {
	found := reference.FindAllStringSubmatchIndex(s, -1)
	if len(found) == 1 && found[0][0] == 0 && found[0][1] == len(s) {
		return e.whole(s, s[found[0][2]:found[0][3]])
	}
	var b strings.Builder
	from := 0
	for _, m := range found {
		v, ok, err := e.lookup(s[m[2]:m[3]])
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		t, err := Text(v)
		if err != nil {
			return nil, fmt.Errorf("reference %s: %w", s[m[0]:m[1]], err)
		}
		if e.left -= len(t); e.left < 0 {
			return nil, errInserted
		}
		b.WriteString(s[from:m[0]])
		b.WriteString(t)
		from = m[1]
	}
	b.WriteString(s[from:])
	return b.String(), nil
}

func (e *expander) whole(s, name string) (any, error) {
	v, ok, err := e.lookup(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return s, nil
	}
	v = plain(v)
	if e.left -= size(v); e.left < 0 {
		return nil, errInserted
	}
	return v, nil
}

// plain turns the slices and maps of strings that a Lookup may answer into the
// kinds of value that Node.Any gives.
func plain(v any) any {
	switch v := v.(type) {
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, s := range v {
			out[k] = s
		}
		return out
	case int:
		return int64(v)
	}
	return v
}

// size is about the length of a value as JSON.
func size(v any) int {
	n := 8
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, item := range v {
			n += size(item)
		}
	case map[string]any:
		for k, item := range v {
			n += len(k) + size(item)
		}
	}
	return n
}

// Text is a value as it stands inside other text: a string as it is, nil as
// nothing, everything else as JSON.
func Text(v any) (string, error) {
	switch v := plain(v).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	default:
		b, err := json.Marshal(v)
		return string(b), err
	}
}

// References are the distinct names of the references in value (what Node.Any
// gives), in the order of lists; that of a map is not defined.
func References(value any) []string {
	var names []string
	seen := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			for _, m := range reference.FindAllStringSubmatch(v, -1) {
				if !seen[m[1]] {
					seen[m[1]] = true
					names = append(names, m[1])
				}
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(value)
	return names
}
