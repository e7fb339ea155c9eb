package ssmdoc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	tests := []struct {
		name, format, content string
		line                  int
		want                  string
	}{
		{"json duplicate key", JSON, "{\"schemaVersion\": \"2.2\",\n\"a\": 1,\n\"a\": 2}", 3, `key "a" is given twice, first in line 2`},
		{"json trailing", JSON, "{}\n{}", 2, "text after the end"},
		{"json broken", JSON, "{\n\"a\": tru}", 2, "JSON not well-formed"},
		{"json cut off", JSON, "{\n\"a\": [1,", 2, "JSON not well-formed"},
		{"json deep", JSON, deep, 1, "levels deep"},
		{"json number", JSON, `{"a": 1e999}`, 1, "out of range"},
		{"empty json", JSON, ``, 1, "unexpected end"},
		{"yaml duplicate key", YAML, "a: 1\nb: 2\na: 3\n", 3, `key "a" is given twice, first in line 1`},
		{"yaml alias", YAML, "a: &x 1\nb: *x\n", 1, "anchors and aliases"},
		{"yaml merge", YAML, "a:\n  <<: {b: 1}\n", 2, "anchors and aliases"},
		{"yaml deep", YAML, deep, 1, "levels deep"},
		{"yaml two documents", YAML, "a: 1\n---\nb: 1\n", 2, "more than one YAML document"},
		{"yaml broken", YAML, "a: 1\nb: [\n", 2, "YAML not well-formed"},
		{"yaml infinity", YAML, "a: .inf\n", 1, "out of range"},
		{"yaml empty", YAML, "# nothing\n", 1, "empty"},
		{"bytes", JSON, "\"\xff\"", 0, "UTF-8"},
		{"too large", TEXT, strings.Repeat("x", MaxContent+1), 0, "the limit is 65536"},
		{"format", "XML", "<a/>", 0, "not one of JSON, YAML, TEXT"},
		{"parameters kind", YAML, "schemaVersion: '2.2'\nparameters:\n  - a\n", 3, "parameters: must be a map"},
		{"parameter kind", YAML, "schemaVersion: '2.2'\nparameters:\n  a: String\n", 3, "parameters.a: must be a map"},
		{"steps kind", YAML, "schemaVersion: '2.2'\nmainSteps: x\n", 2, "mainSteps: must be a list"},
		{"limit", YAML, "schemaVersion: '2.2'\nparameters:\n  a:\n    type: String\n    maxChars: many\n", 5, "whole number"},
		{"choice operator", YAML, branchDoc("StringsEqual: b"), 7, `step "pick": mainSteps[0].inputs.Choices[0].StringsEqual: unknown operator`},
		{"choice two operators", YAML, branchDoc("StringEquals: b, Contains: c"), 7, "exactly one of And"},
		{"choice none", YAML, branchDoc("Comment: [b]"), 7, "unknown operator"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.content), tt.format)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Line != tt.line || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q in line %d, want %q in line %d", err, e.Line, tt.want, tt.line)
			}
		})
	}
}

func branchDoc(rule string) string {
	return "schemaVersion: '0.3'\nmainSteps:\n- name: pick\n  action: aws:branch\n  inputs:\n    Choices:\n    - {NextStep: x, Variable: a, " + rule + "}\n"
}

const both = `{
  "schemaVersion": "2.2",
  "description": "d",
  "parameters": {"p": {"type": "StringList", "default": ["a"], "allowedValues": ["a", 1], "maxItems": 3}},
  "mainSteps": [
    {"action": "aws:runShellScript", "name": "one", "precondition": {"StringEquals": ["platformType", "Linux"]},
     "inputs": {"runCommand": ["echo {{ p }}", "true"], "timeoutSeconds": 60, "finallyStep": true, "onFailure": "exit"}}
  ]
}`

func TestParseReadsJSONAndYAMLAlike(t *testing.T) {
	t.Parallel()
	j, err := Parse([]byte(both), JSON)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Convert([]byte(both), JSON, YAML)
	if err != nil {
		t.Fatal(err)
	}
	y, err := Parse(text, YAML)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if diff := cmp.Diff(j.Root.Any(), y.Root.Any()); diff != "" {
		t.Errorf("JSON and YAML differ:\n%s", diff)
	}
	s := j.Step("one")
	if s == nil || s.Line != 6 || !s.FinallyStep || s.CommandFail != "exit" || s.Precondition == nil {
		t.Errorf("step is %+v", s)
	}
	p := j.Parameter("p")
	if p == nil || p.Line != 4 || *p.MaxItems != 3 || p.Default.Any().([]any)[0] != "a" || len(p.AllowedValues) != 2 {
		t.Errorf("parameter is %+v", p)
	}
}

func TestYAMLScalars(t *testing.T) {
	t.Parallel()
	src := "int: 12\nplus: +7\nhex: 0x1F\naccount: 012345678901\nfloat: 1.5\nno: no\ntrue: true\nnull: ~\ndate: 2026-01-02\nquoted: '12'\nblock: |\n  a\n  b\n"
	d, err := Parse([]byte(src), YAML)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"int": int64(12), "plus": int64(7), "hex": int64(31), "account": "012345678901", "float": 1.5, "no": "no",
		"true": true, "null": nil, "date": "2026-01-02", "quoted": "12", "block": "a\nb\n",
	}
	if diff := cmp.Diff(want, d.Root.Any()); diff != "" {
		t.Error(diff)
	}
}

func TestRuntimeConfigBecomesSteps(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(`{"schemaVersion": "1.2", "description": "d", "parameters": {},
		"runtimeConfig": {"aws:runShellScript": {"properties": [{"id": "0.aws:runShellScript", "runCommand": "{{ commands }}"}]},
		"aws:psModule": {"properties": "{{ props }}"}}}`), JSON)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.MainSteps) != 2 || d.MainSteps[0].Name != "aws:runShellScript" || d.MainSteps[1].Name != "aws:psModule" {
		t.Errorf("steps are %+v", d.MainSteps)
	}
}
