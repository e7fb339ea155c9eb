package automation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// apiTime is how long a step that calls an operation may take.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-executeawsapi.html
const apiTime = 25 * time.Second

// services are those that a step may call.
var services = map[string]*shape.Model{
	"ssm": ssm.Model, "ssm-incidents": incidents.Model, "ssm-contacts": contacts.Model, "sts": sts.Model,
}

// ownInputs are inputs of the actions that call an operation which are not
// members of its request.
var ownInputs = []string{"Service", "Api", "PropertySelector", "DesiredValues"}

// apiCall is the request of aws:executeAwsApi and of the two actions that look
// at a property.
func apiCall(w *work, in map[string]any) (*call, error) {
	name, operation := text(in["Service"]), text(in["Api"])
	m := services[strings.ToLower(name)]
	if m == nil {
		return nil, fmt.Errorf("service %q cannot be called from a runbook here; these can: %s", name, strings.Join(sorted(services), ", "))
	}
	op := operationOf(m, operation)
	if op == nil {
		return nil, fmt.Errorf("service %s has no API %q", name, operation)
	}
	body := map[string]any{}
	for k, v := range in {
		if !slices.Contains(ownInputs, k) {
			body[k] = v
		}
	}
	full := canonical(m, op.Name, body)
	addToken(m, op, full, w)
	b, err := marshal(full)
	return &call{service: strings.ToLower(name), operation: op.Name, body: b, repeatable: reads(op.Name)}, err
}

// addToken fills in the idempotency token of an operation, as every SDK does.
func addToken(m *shape.Model, op *shape.Operation, body any, w *work) {
	fields, ok := body.(map[string]any)
	if !ok || op.Input == shape.None {
		return
	}
	for _, member := range m.Shapes[op.Input].Members {
		if _, given := fields[member.Name]; member.IdempotencyToken && !given {
			fields[member.Name] = w.invocationID()
		}
	}
}

// operationOf finds an operation by its name in PascalCase or, as the AWS SDK
// for Python spells it, in snake_case.
func operationOf(m *shape.Model, name string) *shape.Operation {
	if op := m.Operation(name); op != nil {
		return op
	}
	flat := strings.ReplaceAll(name, "_", "")
	for i := range m.Operations {
		if strings.EqualFold(m.Operations[i].Name, flat) {
			return &m.Operations[i]
		}
	}
	return nil
}

// reads says whether an operation only reads.
func reads(operation string) bool {
	for _, verb := range []string{"Describe", "Get", "List", "BatchGet"} {
		if strings.HasPrefix(operation, verb) {
			return operation != "GetAccessToken" && operation != "GetSessionToken"
		}
	}
	return false
}

// canonical spells the members of a request as the model does: AWS Automation
// shows every member in PascalCase, also those that the service spells in
// camelCase.
func canonical(m *shape.Model, operation string, body any) any {
	return spelled(m, m.Operation(operation).Input, body)
}

func spelled(m *shape.Model, ref int, v any) any {
	if ref == shape.None {
		return v
	}
	s := &m.Shapes[ref]
	switch v := v.(type) {
	case []any:
		if s.Kind != shape.List {
			return v
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = spelled(m, s.Elem, v[i])
		}
		return out
	case map[string]any:
		return spelledMap(m, s, v)
	}
	return scalar(s.Kind, v)
}

// scalar writes numbers, booleans and texts as the model wants them: documents
// often quote numbers, and leave out the quotes around texts.
func scalar(kind shape.Kind, v any) any {
	s, isText := v.(string)
	switch {
	case kind == shape.String && v != nil && !isText:
		return text(v)
	case (kind == shape.Integer || kind == shape.Long) && isText:
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i
		}
	case kind == shape.Timestamp && isText:
		for _, layout := range []string{time.RFC3339, dateTime} { // dateTime is {{ global:DATE_TIME }}
			if t, err := time.Parse(layout, s); err == nil {
				return t.Unix()
			}
		}
	case kind == shape.Boolean && isText && (strings.EqualFold(s, "true") || strings.EqualFold(s, "false")):
		return strings.EqualFold(s, "true")
	}
	return v
}

func spelledMap(m *shape.Model, s *shape.Shape, v map[string]any) any {
	out := make(map[string]any, len(v))
	for k, item := range v {
		switch s.Kind {
		case shape.Map:
			out[k] = spelled(m, s.Elem, item)
		case shape.Structure:
			name, ref := k, shape.None
			for i := range s.Members {
				if s.Members[i].Name == k || flipped(s.Members[i].Name) == k {
					name, ref = s.Members[i].Name, s.Members[i].Shape
				}
			}
			out[name] = spelled(m, ref, item)
		default:
			out[k] = item
		}
	}
	return out
}

// flipped changes the case of the first letter.
func flipped(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if unicode.IsUpper(r) {
		return string(unicode.ToLower(r)) + s[n:]
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// pascal spells all members of a response in PascalCase.
func pascal(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = pascal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			if r, _ := utf8.DecodeRuneInString(k); unicode.IsLower(r) {
				k = flipped(k)
			}
			out[k] = pascal(item)
		}
		return out
	}
	return v
}

// selected applies a selector to a response, in the service's spelling or in
// AWS Automation's.
func selected(response any, selector string) (any, error) {
	for _, r := range []any{response, pascal(response)} {
		v, err := ssmdoc.Select(r, selector)
		if err != nil {
			return nil, err
		}
		if list, isList := v.([]any); v != nil && (!isList || len(list) > 0) {
			return v, nil
		}
	}
	return ssmdoc.Select(response, selector)
}

var errNothing = errors.New("selected nothing")

func apiAnswer(w *work, _ map[string]any, body []byte) outcome {
	response, err := plainValue(body)
	if err != nil {
		return failedf("the response is no JSON: %v", err)
	}
	o := outcome{kind: done, outputs: map[string]any{"OutputPayload": response}}
	for _, out := range w.docStep().Outputs {
		v, err := selected(response, out.Selector)
		if err == nil && v == nil {
			err = errNothing
		}
		if err == nil {
			v, err = typed(v, baseType(orString(out.Type)))
		}
		if err != nil {
			return failedf("output %s: selector %s: %v", out.Name, out.Selector, err)
		}
		o.outputs[out.Name] = v
	}
	return o
}

// property compares what a selector finds with the desired values. All items of
// a list must be among them.
func property(in map[string]any, body []byte) (bool, string, error) {
	response, err := plainValue(body)
	if err != nil {
		return false, "", err
	}
	v, err := selected(response, text(in["PropertySelector"]))
	if err != nil {
		return false, "", err
	}
	desired, ok := in["DesiredValues"].([]any)
	if !ok || len(desired) == 0 {
		return false, "", errors.New("DesiredValues is no list")
	}
	found := texts(v)
	if v == nil {
		found = nil
	}
	wanted := allowed(desired)
	for _, f := range found {
		if !slices.Contains(wanted, f) {
			return false, strings.Join(found, ", "), nil
		}
	}
	return len(found) > 0, strings.Join(found, ", "), nil
}

// allowed are the desired values as text; AWS writes booleans as True and False.
func allowed(desired []any) []string {
	var out []string
	for _, d := range desired {
		t := text(d)
		if t == "True" || t == "False" {
			t = strings.ToLower(t)
		}
		out = append(out, t)
	}
	return out
}

func assertProperty(_ *work, in map[string]any, body []byte) outcome {
	ok, found, err := property(in, body)
	switch {
	case err != nil:
		return failedf("%v", err)
	case !ok:
		o := failedf("the value of %s is not one of the desired values", text(in["PropertySelector"]))
		o.response = found // sealed, as it may be a secret
		return o
	}
	return outcome{kind: done}
}

func waitForProperty(_ *work, in map[string]any, body []byte) outcome {
	ok, _, err := property(in, body)
	switch {
	case err != nil:
		return failedf("%v", err)
	case !ok:
		return outcome{kind: again}
	}
	return outcome{kind: done}
}

func text(v any) string {
	s, err := ssmdoc.Text(v)
	if err != nil {
		return ""
	}
	return s
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
