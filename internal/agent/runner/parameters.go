package runner

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// reference is {{ name }}, {{ ssm:name }} or {{ ssm-secure:name }}, with any
// spaces inside the braces.
var reference = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+|ssm(?:-secure)?:[/\w.:-]+)\s*\}\}`)

// envVar is the interpolation type whose values reach the script as the
// environment variable SSM_<name> and are never written into its text.
const envVar = "ENV_VAR"

// values are the parameters of a job, defaults filled in, split into those
// that are written into the document's text and those that go to the
// environment.
type values struct {
	text map[string]any
	env  []string
}

func (j Job) values() values {
	v := values{text: map[string]any{}}
	for name, rule := range j.Document.Parameters {
		value, given := j.Parameters[name]
		if !given {
			value = rule.Default
		}
		if value == nil {
			value = zeroOf(rule.Type)
		}
		if rule.InterpolationType == envVar {
			v.env = append(v.env, "SSM_"+name+"="+asText(value))
			continue
		}
		v.text[name] = value
	}
	slices.Sort(v.env)
	return v
}

func zeroOf(kind string) any {
	if kind == "StringList" {
		return []any{}
	}
	return ""
}

// fill replaces the references in every string of a value, in one pass: what
// a value brings in is not looked at again. A string that is one reference
// takes the parameter's own type, and a list element that is one reference to
// a list becomes its elements.
func (v values) fill(in any) any {
	switch in := in.(type) {
	case string:
		return v.fillString(in)
	case []any:
		return v.fillList(in)
	case map[string]any:
		out := make(map[string]any, len(in))
		for k, e := range in {
			out[k] = v.fill(e)
		}
		return out
	}
	return in
}

// fillAll fills each of the inputs of a step.
func (v values) fillAll(inputs []map[string]any) []map[string]any {
	out := make([]map[string]any, len(inputs))
	for i, in := range inputs {
		out[i], _ = v.fill(in).(map[string]any)
	}
	return out
}

func (v values) fillList(in []any) []any {
	out := make([]any, 0, len(in))
	for _, e := range in {
		filled := v.fill(e)
		if list, ok := filled.([]any); ok {
			if _, wasText := e.(string); wasText {
				out = append(out, list...)
				continue
			}
		}
		out = append(out, filled)
	}
	return out
}

func (v values) fillString(in string) any {
	if m := reference.FindStringSubmatch(in); m != nil && m[0] == in {
		if value, ok := v.text[m[1]]; ok {
			return value
		}
	}
	return reference.ReplaceAllStringFunc(in, func(ref string) string {
		value, ok := v.text[reference.FindStringSubmatch(ref)[1]]
		if !ok {
			return ref
		}
		return asText(value)
	})
}

// asText is a parameter as part of a longer text: a string as it is, anything
// else as JSON.
func asText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case nil:
		return ""
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}
