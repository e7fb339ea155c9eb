//go:build unix

package runner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// steps writes a 2.2 document: each line is "exit code | further JSON members
// of inputs | further JSON members of the step".
func steps(lines ...string) string {
	var out []string
	for i, line := range lines {
		part := strings.SplitN(line+"||", "|", 4)
		out = append(out, fmt.Sprintf(`{"action":"aws:runShellScript","name":"s%d","inputs":{"runCommand":["exit %s"]%s}%s}`,
			i+1, part[0], part[1], part[2]))
	}
	return `{"schemaVersion":"2.2","mainSteps":[` + strings.Join(out, ",") + `]}`
}

func TestFlow(t *testing.T) {
	const foreign = `||,"precondition":{"StringEquals":["platformType","Windows"]}`
	const odd = `||,"precondition":{"StringEquals":["platformType","platformType"]}`
	tests := []struct {
		name string
		doc  string
		want string
	}{
		{"all succeed", steps("0", "0"), "Success: Success Success"},
		{"failure goes on", steps("1", "0"), "Failed: Failed Success"},
		{"onFailure exit", steps(`1|,"onFailure":"exit"`, "0"), "Failed: Failed Skipped"},
		{"onFailure exit of a success", steps(`0|,"onFailure":"exit"`, "0"), "Success: Success Success"},
		{"onFailure successAndExit", steps(`1|,"onFailure":"successAndExit"`, "0"), "Success: Success Skipped"},
		{"onSuccess exit", steps(`0|,"onSuccess":"exit"`, "0"), "Success: Success Skipped"},
		{"finally runs", steps(`1|,"onFailure":"exit"`, "0", `0|,"finallyStep":true`), "Failed: Failed Skipped Success"},
		{"finally as text", steps(`1|,"onFailure":"exit"`, `0|,"finallyStep":"true"`), "Failed: Failed Success"},
		{"finally not last", steps(`1|,"onFailure":"exit"`, `0|,"finallyStep":true`, "0"), "Failed: Failed Skipped Skipped"},
		{"code 168", steps("168", "0"), "Success: Success Skipped"},
		{"code 169", steps("169", "0"), "Failed: Failed Skipped"},
		{"other platform", steps("1"+foreign, "0"), "Success: Skipped Success"},
		{"odd precondition", steps("0"+odd, "0"), "Failed: Failed Success"},
		{"unknown plug-in", `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:foo","name":"a","inputs":{}}]}`, "Failed: Failed"},
		{"no commands", `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"a","inputs":{}}]}`, "Failed: Failed"},
		{"schema 1.2", `{"schemaVersion":"1.2","runtimeConfig":{"aws:runShellScript":{"properties":[
			{"id":"0","runCommand":["echo a"]},{"id":"1","runCommand":["exit 2"]}]}}}`, "Failed: Failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, results := run(t, t.Context(), parse(t, tt.doc, nil))
			got := string(status) + ":"
			for _, r := range results {
				got += " " + string(r.Status)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s: %+v", got, tt.want, results)
			}
		})
	}
}

func TestUnknownPluginSaysSo(t *testing.T) {
	_, results := run(t, t.Context(), parse(t, `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:foo","name":"a"}]}`, nil))
	if results[0].Code != 1 || !strings.Contains(results[0].Stderr, "aws:foo is not supported") {
		t.Errorf("%+v", results)
	}
}

func TestParseJobRefuses(t *testing.T) {
	for payload, want := range map[string]string{
		`{`: "not valid",
		`{"DocumentContent":{"schemaVersion":"9"}}`:                                           `"9" is not supported`,
		`{"DocumentName":"D","DocumentContent":{"schemaVersion":"2.2"}}`:                      "document D has no steps",
		`{"DocumentContent":{"schemaVersion":"2.2","mainSteps":[{"action":"a"}]}}`:            "step 1 of the document has no action or no name",
		`{"DocumentContent":{"schemaVersion":"1.2","runtimeConfig":{"p":{}}}}`:                "p has no properties",
		`{"DocumentContent":{"schemaVersion":"2.2","mainSteps":[` + same + `,` + same + `]}}`: "two steps named n",
	} {
		if _, err := ParseJob([]byte(payload)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", payload, err, want)
		}
	}
}

const same = `{"action":"a","name":"n"}`

func TestParameters(t *testing.T) {
	doc := `{"schemaVersion":"2.2","parameters":{
	  "commands":{"type":"StringList"},"word":{"type":"String","default":"dflt"},"empty":{"type":"String"},
	  "safe":{"type":"String","interpolationType":"ENV_VAR"}},
	 "mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":["echo first","{{ commands }}","echo '{{word}}/{{empty}}/{{ unknown }}/{{commands}}'","printf '%s' \"$SSM_safe\" '{{ safe }}'"]}}]}`
	_, results := run(t, t.Context(), parse(t, doc, map[string]any{
		"commands": []string{"echo one", "echo '{{ word }}'"}, "safe": "$(touch /nowhere)'; exit 9",
	}))
	want := "first\none\n{{ word }}\n" + `dflt//{{ unknown }}/["echo one","echo {{ word }}"]` + "\n$(touch /nowhere)'; exit 9{{ safe }}"
	if diff := cmp.Diff(want, results[0].Stdout); diff != "" {
		t.Errorf("(-want +got):\n%s\n%+v", diff, results)
	}
}

func TestTimeoutOf(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want time.Duration
	}{
		{nil, time.Hour},
		{"", time.Hour},
		{"x", time.Hour},
		{"4", time.Hour},
		{"5", 5 * time.Second},
		{" 60 ", time.Minute},
		{float64(7), 7 * time.Second},
		{"172800", 48 * time.Hour},
		{"172801", time.Hour},
		{"NaN", time.Hour},
	} {
		if got := timeoutOf(tt.in); got != tt.want {
			t.Errorf("timeoutOf(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}
