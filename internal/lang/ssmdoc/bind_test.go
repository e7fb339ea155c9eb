package ssmdoc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bindDoc(t *testing.T, parameter string) *Document {
	t.Helper()
	d, err := Parse([]byte("schemaVersion: '0.3'\nparameters:\n  P: {"+parameter+"}\n"), YAML)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBindParameters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, parameter string
		given           []string
		want            any
		fault           Fault
		message         string
	}{
		{"string", "type: String", []string{"a"}, "a", 0, ""},
		{"empty string", "type: String", []string{""}, "", 0, ""},
		{"two strings", "type: String", []string{"a", "b"}, nil, Invalid, "takes one value, not 2"},
		{"list", "type: StringList", []string{"a", "b"}, []any{"a", "b"}, 0, ""},
		{"empty list", "type: StringList", []string{}, []any{}, 0, ""},
		{"integer", "type: Integer", []string{"-7"}, int64(-7), 0, ""},
		{"not an integer", "type: Integer", []string{"7.5"}, nil, Invalid, "not an Integer"},
		{"boolean", "type: Boolean", []string{"true"}, true, 0, ""},
		{"not a boolean", "type: Boolean", []string{"yes"}, nil, Invalid, "not a Boolean"},
		{"map", "type: StringMap", []string{`{"a": "b"}`}, map[string]any{"a": "b"}, 0, ""},
		{"not a map", "type: StringMap", []string{`[1]`}, nil, Invalid, "not a StringMap"},
		{"map twice", "type: StringMap", []string{`{"a": 1, "a": 2}`}, nil, Invalid, "not a StringMap"},
		{"map list", "type: MapList", []string{`{"a": 1}`, `{"b": 2}`}, []any{map[string]any{"a": int64(1)}, map[string]any{"b": int64(2)}}, 0, ""},
		{"map list as one", "type: MapList", []string{`[{"a": 1}]`}, []any{map[string]any{"a": int64(1)}}, 0, ""},
		{"not a map list", "type: MapList", []string{`["a"]`}, nil, Invalid, "not a MapList"},
		{"resource type", "type: 'AWS::EC2::Instance::Id'", []string{"i-1"}, "i-1", 0, ""},
		{"resource list", "type: 'List<AWS::EC2::Instance::Id>'", []string{"i-1"}, []any{"i-1"}, 0, ""},
		{"missing", "type: String", nil, nil, Missing, "is required"},
		{"default", "type: String, default: d", nil, "d", 0, ""},
		{"default number as text", "type: String, default: 7", nil, "7", 0, ""},
		{"default text as number", "type: Integer, default: '7'", nil, int64(7), 0, ""},
		{"default text as boolean", "type: Boolean, default: 'true'", nil, true, 0, ""},
		{"default text as list", "type: StringList, default: a", nil, []any{"a"}, 0, ""},
		{"default reference", "type: String, default: '{{ssm:x}}', allowedPattern: '^y$'", nil, "{{ssm:x}}", 0, ""},
		{"allowed", "type: String, allowedValues: [a, b]", []string{"b"}, "b", 0, ""},
		{"not allowed", "type: String, allowedValues: [a, b]", []string{"c"}, nil, Invalid, `allowedValues ["a","b"]`},
		{"integer allowed", "type: Integer, allowedValues: ['1', 2]", []string{"1"}, int64(1), 0, ""},
		{"item not allowed", "type: StringList, allowedValues: [a, b]", []string{"a", "c"}, nil, Invalid, "allowedValues"},
		{"pattern", "type: String, allowedPattern: '^[a-z]+$'", []string{"A"}, nil, Invalid, "not matching"},
		{"pattern of items", "type: StringList, allowedPattern: '^[a-z]+$'", []string{"a", "B"}, nil, Invalid, "not matching"},
		{"look-ahead", "type: String, allowedPattern: '^(?!root$).+$'", []string{"root"}, nil, Invalid, "not matching"},
		{"look-ahead passes", "type: String, allowedPattern: '^(?!root$).+$'", []string{"me"}, "me", 0, ""},
		{"too short", "type: String, minChars: 3", []string{"äö"}, nil, Invalid, "fewer than its minChars 3"},
		{"long enough", "type: String, minChars: 2, maxChars: 2", []string{"äö"}, "äö", 0, ""},
		{"too long", "type: String, maxChars: 1", []string{"ab"}, nil, Invalid, "more than its maxChars 1"},
		{"too few", "type: StringList, minItems: 2", []string{"a"}, nil, Invalid, "fewer than its minItems 2"},
		{"too many", "type: StringList, maxItems: 1", []string{"a", "b"}, nil, Invalid, "more than its maxItems 1"},
		{"slow pattern", "type: String, allowedPattern: '^(?=a)(a+)+$'", []string{strings.Repeat("a", 40) + "b"}, nil, Invalid, "not matching"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := map[string][]string{}
			if tt.given != nil {
				given["P"] = tt.given
			}
			got, err := BindParameters(bindDoc(t, tt.parameter), given)
			if tt.fault != 0 {
				var e *ParameterError
				if !errors.As(err, &e) || e.Fault != tt.fault || e.Name != "P" || !strings.Contains(e.Message, tt.message) {
					t.Fatalf("got %v, want fault %d with %q", err, tt.fault, tt.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got["P"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBindUnknownParameter(t *testing.T) {
	t.Parallel()
	_, err := BindParameters(bindDoc(t, "type: String"), map[string][]string{"P": {"a"}, "p": {"b"}})
	var e *ParameterError
	if !errors.As(err, &e) || e.Fault != Unknown || e.Name != "p" {
		t.Errorf("got %v, want p to be unknown", err)
	}
}

// A refused value never shows up in the message: it may be a secret.
func TestBindKeepsValuesOutOfMessages(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"type: Integer", "type: Boolean", "type: StringMap", "type: MapList", "type: String, allowedValues: [a]",
		"type: String, allowedPattern: '^a$'", "type: String, maxChars: 1",
	} {
		_, err := BindParameters(bindDoc(t, p), map[string][]string{"P": {"canary"}})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", p, err)
		}
	}
}
