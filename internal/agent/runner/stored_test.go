//go:build unix

package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStoredParameters(t *testing.T) {
	doc := `{"schemaVersion":"2.2","parameters":{"given":{"type":"String"}},"mainSteps":[
	 {"action":"aws:runShellScript","name":"a","inputs":{"runCommand":["echo '{{ ssm:/app/name:3 }} {{given}} {{ssm-secure:/app/key}}'"]}},
	 {"action":"aws:runShellScript","name":"b","inputs":{"runCommand":["echo {{ssm:/app/name:3}}"]}}]}`
	job := parse(t, doc, map[string]any{"given": "{{ ssm:/never }}"})
	for _, tt := range []struct {
		name   string
		stored map[string]string
		err    error
		want   string
	}{
		{
			"found",
			map[string]string{"/app/name:3": "web {{given}}", "/app/key": "s3cret"},
			nil,
			"Success|web {{given}} {{ ssm:/never }} ****\n|web {{given}}\n",
		},
		{
			"missing secret",
			map[string]string{"/app/name:3": "x"},
			nil,
			"Failed||x\n",
		},
		{"missing", map[string]string{"/app/key": "x"}, nil, "Failed||the document's parameters cannot be resolved"},
		{"refused", nil, errors.New("AccessDenied"), "Failed||the document's parameters cannot be resolved"},
	} {
		var asked []string
		r := &Runner{Stored: func(_ context.Context, names []string, secure bool) (map[string]string, error) {
			asked = append(asked, fmt.Sprint(names, secure))
			return tt.stored, tt.err
		}}
		var outs []string
		status, _ := r.Run(t.Context(), t.TempDir(), job, Progress{}, func(res Result) { outs = append(outs, res.Stdout) })
		got := string(status) + "|" + strings.Join(outs, "|")
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if want := []string{"[/app/name:3] false", "[/app/key] true"}; tt.name == "found" && !cmp.Equal(want, asked) {
			t.Errorf("asked for %v", asked)
		}
	}
}
