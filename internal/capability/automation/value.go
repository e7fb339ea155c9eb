package automation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// dateTime is the form of global:DATE_TIME.
const dateTime = "2006-01-02_15.04.05"

// values are what references in a runbook stand for at one moment.
type values struct {
	parameters map[string]any
	variables  map[string]any
	output     func(step, name string) (any, error)
	account    string
	region     string
	execution  string
	now        time.Time
}

// lookup answers a reference. Values of dates are those of the moment, so they
// differ between steps.
func (v *values) lookup(name string) (any, bool, error) {
	if scope, rest, ok := strings.Cut(name, ":"); ok {
		return v.scoped(scope, rest)
	}
	if p, ok := v.parameters[name]; ok {
		return p, true, nil
	}
	if step, out, ok := strings.Cut(name, "."); ok {
		value, err := v.output(step, out)
		return value, err == nil, err
	}
	return nil, false, nil
}

func (v *values) scoped(scope, name string) (any, bool, error) {
	switch scope {
	case "variable":
		value, ok := v.variables[name]
		if !ok {
			return nil, false, fmt.Errorf("the runbook has no variable %q", name)
		}
		return value, true, nil
	case "automation":
		return v.execution, name == "EXECUTION_ID", nil
	case "global":
		value, ok := v.global(name)
		return value, ok, nil
	}
	return nil, false, nil
}

func (v *values) global(name string) (string, bool) {
	switch name {
	case "DATE":
		return v.now.Format("2006-01-02"), true
	case "DATE_TIME":
		return v.now.Format(dateTime), true
	case "REGION":
		return v.region, true
	case "ACCOUNT_ID":
		return v.account, true
	case "AWS_PARTITION":
		return "aws", true
	}
	return "", false
}

// expand replaces the references in a value.
func (v *values) expand(value any) (any, error) { return ssmdoc.Expand(value, v.lookup) }

// texts is a value in the form of the API, where every value is a list of
// strings: a list gives its items, a map one JSON text.
func texts(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		s, err := ssmdoc.Text(item)
		if err != nil {
			s = fmt.Sprint(item)
		}
		out = append(out, s)
	}
	return out
}

func allTexts(m map[string]any) map[string][]string {
	if m == nil {
		return nil
	}
	out := make(map[string][]string, len(m))
	for k, v := range m {
		out[k] = texts(v)
	}
	return out
}

// jsonTexts is the form of StepExecution.Inputs: each value as JSON.
// Assumption: AWS shows a string input with its quotes.
func jsonTexts(m map[string]any) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		b, err := marshal(v)
		if err != nil {
			b = []byte("null")
		}
		out[k] = string(b)
	}
	return out
}

// marshal writes JSON without escaping what only HTML needs escaped.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// unmarshal reads JSON so that whole numbers are int64, as in documents.
func unmarshal(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(v)
}

// plainValue reads a JSON text: objects, lists, strings, booleans, int64, float64.
func plainValue(b []byte) (any, error) {
	var v any
	if len(bytes.TrimSpace(b)) == 0 {
		return map[string]any{}, nil
	}
	if err := unmarshal(b, &v); err != nil {
		return nil, err
	}
	return whole(v), nil
}

// whole turns the numbers of a decoded value into int64 or float64.
func whole(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	}
	return v
}

// typed checks an output against its declared type. Scalars become a String by
// being written out; nothing else is converted.
func typed(value any, kind string) (any, error) {
	switch kind {
	case "", ssmdoc.TypeString:
		switch value.(type) {
		case string, bool, int64, float64:
			return ssmdoc.Text(value)
		}
	case ssmdoc.TypeInteger:
		if _, ok := value.(int64); ok {
			return value, nil
		}
	case ssmdoc.TypeBoolean:
		if _, ok := value.(bool); ok {
			return value, nil
		}
	case ssmdoc.TypeStringMap:
		if _, ok := value.(map[string]any); ok {
			return value, nil
		}
	case ssmdoc.TypeStringList, ssmdoc.TypeMapList:
		if list, ok := value.([]any); ok {
			return typedList(list, kind)
		}
	}
	return nil, fmt.Errorf("the value is no %s", orString(kind))
}

func typedList(list []any, kind string) (any, error) {
	out := make([]any, 0, len(list))
	for _, item := range list {
		inner := ssmdoc.TypeString
		if kind == ssmdoc.TypeMapList {
			inner = ssmdoc.TypeStringMap
		}
		v, err := typed(item, inner)
		if err != nil {
			return nil, fmt.Errorf("an item of the value is no %s", inner)
		}
		out = append(out, v)
	}
	return out, nil
}

func orString(kind string) string {
	if kind == "" {
		return ssmdoc.TypeString
	}
	return kind
}
