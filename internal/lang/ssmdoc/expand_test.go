package ssmdoc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func values(m map[string]any) Lookup {
	return func(name string) (any, bool, error) {
		v, ok := m[name]
		return v, ok, nil
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	lookup := values(map[string]any{
		"s": "text", "n": int64(3), "b": true, "list": []string{"x", "y"}, "m": map[string]any{"k": "v<"},
		"trap": "{{ s }}", "step.Out": "o", "global:DATE": "2026-01-02", "ssm:/a/b": "p", "none": nil,
	})
	tests := []struct {
		name    string
		in, out any
	}{
		{"whole keeps type", "{{ n }}", int64(3)},
		{"whole list", "{{list}}", []any{"x", "y"}},
		{"list spliced in list", []any{"a", "{{ list }}"}, []any{"a", "x", "y"}},
		{"map in list", []any{"{{ m }}"}, []any{map[string]any{"k": "v<"}}},
		{"inside text", "a {{ s }} {{n}} {{ b }}", "a text 3 true"},
		{"list inside text", "x={{ list }}", `x=["x","y"]`},
		{"step output", "{{ step.Out }}", "o"},
		{"global and ssm", "{{ global:DATE }}/{{ssm:/a/b}}", "2026-01-02/p"},
		{"no second pass", "{{ trap }}", "{{ s }}"},
		{"no second pass in text", "-{{ trap }}-", "-{{ s }}-"},
		{"unknown left", "{{ other }} {{ s }}", "{{ other }} text"},
		{"whole unknown left", "{{ other }}", "{{ other }}"},
		{"go template left", "{{.Names}} {{ .ID }}", "{{.Names}} {{ .ID }}"},
		{"braces", "{{{ s }}}", "{text}"},
		{"map values not keys", map[string]any{"{{ s }}": "{{ s }}"}, map[string]any{"{{ s }}": "text"}},
		{"null whole", "{{ none }}", nil},
		{"numbers pass", 1.5, 1.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Expand(tt.in, lookup)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.out, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExpandStops(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	if _, err := Expand("{{ a }}", func(string) (any, bool, error) { return nil, false, boom }); !errors.Is(err, boom) {
		t.Errorf("got %v, want the error of the lookup", err)
	}
	big := values(map[string]any{"a": strings.Repeat("x", 1<<16)})
	for _, in := range []any{strings.Repeat("{{a}}", 200), []any{strings.Repeat("{{a}} ", 200)}} {
		if _, err := Expand(in, big); !errors.Is(err, errInserted) {
			t.Errorf("got %v, want %v", err, errInserted)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	got := References([]any{"{{ b }} {{ a.C }}", map[string]any{"k": "{{ssm:/x:3}}"}, "{{ b }}", "{{.No}}"})
	if diff := cmp.Diff([]string{"b", "a.C", "ssm:/x:3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	v := map[string]any{"R": []any{map[string]any{"I": "a"}, map[string]any{"I": "b"}}, "n": int64(2)}
	tests := []struct {
		path string
		want any
	}{
		{"$.R[0].I", "a"},
		{"$.R[1]", map[string]any{"I": "b"}},
		{"$.R[*].I", []any{"a", "b"}},
		{"$..I", []any{"a", "b"}},
		{"$.n", int64(2)},
		{"$.none", nil},
		{"$.R[7].I", nil},
		{"$", v},
		{"$['n']", int64(2)},
		{"$.R[?(@.I == 'b')].I", []any{"b"}},
	}
	for _, tt := range tests {
		got, err := Select(v, tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
	for _, bad := range []string{"", "R", "$.[", "$[?(", "R[0]"} {
		if _, err := Select(v, bad); err == nil {
			t.Errorf("selector %q was accepted", bad)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule string
		want bool
		err  string
	}{
		{`Variable: "{{ s }}", StringEquals: Text`, false, ""},
		{`Variable: "{{ s }}", EqualsIgnoreCase: Text`, true, ""},
		{`Variable: "{{ s }}", StartsWith: te`, true, ""},
		{`Variable: "{{ s }}", EndsWith: xt`, true, ""},
		{`Variable: "{{ s }}", Contains: ex`, true, ""},
		{`Variable: "{{ list }}", Contains: y`, true, ""},
		{`Variable: "{{ list }}", Contains: z`, false, ""},
		{`Variable: "{{ n }}", NumericEquals: 3`, true, ""},
		{`Variable: "{{ n }}", NumericGreater: 2.5`, true, ""},
		{`Variable: "{{ n }}", NumericLesser: 3`, false, ""},
		{`Variable: "{{ n }}", NumericGreaterOrEquals: "3"`, true, ""},
		{`Variable: "{{ n }}", NumericLesserOrEquals: 2`, false, ""},
		{`Variable: "{{ b }}", BooleanEquals: true`, true, ""},
		{`Variable: "{{ b }}", BooleanEquals: "False"`, false, ""},
		{`Not: {Variable: "{{ s }}", StringEquals: no}`, true, ""},
		{`And: [{Variable: "{{ s }}", StringEquals: text}, {Variable: "{{ n }}", NumericEquals: 4}]`, false, ""},
		{`Or: [{Variable: "{{ s }}", StringEquals: no}, {Not: {Variable: "{{ n }}", NumericEquals: 4}}]`, true, ""},
		{`Variable: "{{ s }}", NumericEquals: 3`, false, "needs numbers"},
		{`Variable: "{{ s }}", BooleanEquals: true`, false, "needs booleans"},
	}
	lookup := values(map[string]any{"s": "text", "n": int64(3), "b": true, "list": []any{"x", "y"}})
	expand := func(v any) (any, error) { return Expand(v, lookup) }
	for _, tt := range tests {
		d, err := Parse([]byte("schemaVersion: '0.3'\nmainSteps:\n- {name: a, action: 'aws:branch', inputs: {Choices: [{NextStep: x, "+tt.rule+"}]}}\n"), YAML)
		if err != nil {
			t.Fatalf("%s: %v", tt.rule, err)
		}
		got, err := d.MainSteps[0].Branch.Choices[0].Rule.Match(expand)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %q", tt.rule, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v, want %v", tt.rule, got, err, tt.want)
		}
	}
}
