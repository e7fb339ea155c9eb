package parameter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// The types of parameter policies.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html
const (
	expiration             = "Expiration"
	expirationNotification = "ExpirationNotification"
	noChangeNotification   = "NoChangeNotification"
)

// The statuses of a policy.
const (
	policyPending  = "Pending"
	policyFinished = "Finished"
)

const maxPolicies = 10

// policy is one policy of a parameter, as kept with it.
type policy struct {
	Type   string
	Text   string // compact JSON as given
	Status string
	At     time.Time     `json:",omitzero"` // of Expiration
	Span   time.Duration `json:",omitzero"` // Before or After
}

type policyText struct {
	Type       string
	Version    string
	Attributes map[string]string
}

// parsePolicies reads the Policies member of PutParameter. One empty object in
// the list clears all policies.
func parsePolicies(text string, now time.Time) ([]policy, error) {
	items, err := policyItems(text)
	if err != nil {
		return nil, err
	}
	if len(items) == 1 && string(items[0]) == "{}" {
		return []policy{}, nil
	}
	if len(items) > maxPolicies {
		return nil, &ssm.PoliciesLimitExceededException{Message: "A parameter can have at most 10 policies."}
	}
	out := []policy{}
	for _, item := range items {
		p, err := parsePolicy(item, now)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, checkPolicies(out)
}

func policyItems(text string) ([]json.RawMessage, error) {
	if err := checkDuplicates([]byte(text)); err != nil {
		return nil, fault.Validation("Policies: %s", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return nil, fault.Validation("Policies: not JSON: %s", err)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(compact.Bytes(), &items); err != nil || items == nil {
		return nil, fault.Validation("Policies: must be a list of policy objects")
	}
	return items, nil
}

// checkDuplicates refuses an object that gives a key twice.
func checkDuplicates(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	type level struct {
		keys  map[string]bool // nil in a list
		value bool
	}
	var stack []level
	for {
		t, err := dec.Token()
		if err != nil {
			return nil // the end, or a syntax error that json.Compact names
		}
		top := len(stack) - 1
		if key, ok := t.(string); ok && top >= 0 && stack[top].keys != nil && !stack[top].value {
			if stack[top].keys[key] {
				return fmt.Errorf("%q is given twice", key)
			}
			stack[top].keys[key], stack[top].value = true, true
			continue
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, level{keys: map[string]bool{}})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
		if top = len(stack) - 1; top >= 0 {
			stack[top].value = false
		}
	}
}

func parsePolicy(item json.RawMessage, now time.Time) (policy, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(item, &members); err != nil || members == nil {
		return policy{}, fault.Validation("Policies: a policy is an object with Type, Version and Attributes")
	}
	for name := range members {
		if name != "Type" && name != "Version" && name != "Attributes" {
			return policy{}, attributeError("unknown member " + strconv.Quote(name))
		}
	}
	var t policyText
	if err := json.Unmarshal(item, &t); err != nil {
		return policy{}, attributeError("the values of Type, Version and Attributes must be strings")
	}
	if t.Version != "1.0" {
		return policy{}, attributeError("Version must be 1.0")
	}
	p := policy{Type: t.Type, Text: string(item), Status: policyPending}
	return p, p.read(t, now)
}

func (p *policy) read(t policyText, now time.Time) (err error) {
	switch t.Type {
	case expiration:
		p.At, err = time.Parse(time.RFC3339, t.Attributes["Timestamp"])
		switch {
		case len(t.Attributes) != 1 || err != nil:
			return attributeError("Expiration has the attribute Timestamp, in ISO 8601 with a zone")
		case !p.At.After(now):
			return attributeError("the Timestamp of Expiration must be in the future")
		}
		p.At = p.At.UTC().Truncate(time.Microsecond)
		return nil
	case expirationNotification:
		p.Span, err = span(t, "Before")
	case noChangeNotification:
		p.Span, err = span(t, "After")
	default:
		return &ssm.InvalidPolicyTypeException{Message: "The policy type " + strconv.Quote(t.Type) + " is not supported. Parameter Store supports Expiration, ExpirationNotification and NoChangeNotification."}
	}
	return err
}

func span(t policyText, name string) (time.Duration, error) {
	n, err := strconv.Atoi(t.Attributes[name])
	unit := map[string]time.Duration{"Days": 24 * time.Hour, "Hours": time.Hour}[t.Attributes["Unit"]]
	if err != nil || n < 1 || n > 36500 || unit == 0 || len(t.Attributes) != 2 {
		return 0, attributeError(t.Type + " has the attributes " + name + ", a number, and Unit, which is Days or Hours")
	}
	return time.Duration(n) * unit, nil
}

func attributeError(reason string) error {
	return &ssm.InvalidPolicyAttributeException{Message: "A policy attribute or its value is invalid: " + reason + "."}
}

// checkPolicies refuses policies that contradict each other.
func checkPolicies(all []policy) error {
	count := map[string]int{}
	for _, p := range all {
		count[p.Type]++
	}
	if count[expiration] > 1 || (count[expirationNotification] > 0 && count[expiration] == 0) {
		return &ssm.IncompatiblePolicyException{Message: "There is a conflict in the policies specified for this parameter: at most one Expiration policy, and ExpirationNotification only beside one."}
	}
	return nil
}

// due is when policy i of a parameter last changed at modified acts; zero when
// it has acted.
func due(all []policy, i int, modified time.Time) time.Time {
	p := all[i]
	if p.Status == policyFinished {
		return time.Time{}
	}
	switch p.Type {
	case expiration:
		return p.At
	case expirationNotification:
		at := slices.IndexFunc(all, func(q policy) bool { return q.Type == expiration })
		if at < 0 {
			return time.Time{}
		}
		return all[at].At.Add(-p.Span)
	}
	return modified.Add(p.Span)
}

// touch is what a new value does to policies that stay: the clock of
// NoChangeNotification starts again, an expiry does not move.
func touch(all []policy) []policy {
	out := slices.Clone(all)
	for i := range out {
		if out[i].Type == noChangeNotification {
			out[i].Status = policyPending
		}
	}
	return out
}

func encodePolicies(all []policy) string {
	if len(all) == 0 {
		return ""
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings and times only
	}
	return string(text)
}

func decodePolicies(text string) (all []policy, err error) {
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("policies of a parameter: %w", err)
	}
	return all, nil
}

func projectPolicies(all []policy) []ssm.ParameterInlinePolicy {
	out := make([]ssm.ParameterInlinePolicy, 0, len(all))
	for _, p := range all {
		out = append(out, ssm.ParameterInlinePolicy{PolicyText: new(p.Text), PolicyType: new(p.Type), PolicyStatus: new(p.Status)})
	}
	return out
}
