//go:build unix

package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// payloads try to become a part of a script; CANARY is a file that they make.
var payloads = []string{
	"; touch CANARY", "$(touch CANARY)", "`touch CANARY`", "' ; touch CANARY; '", "\" ; touch CANARY; \"", "\n touch CANARY\n", "\r\ntouch CANARY",
	"| touch CANARY", "& touch CANARY", "&& touch CANARY", "|| touch CANARY", "> CANARY", "${x:=$(touch CANARY)}", "\\'; touch CANARY #", "'\"; touch CANARY; \"'",
	"$'\\n'touch CANARY", "%0atouch CANARY", "\u202e; touch CANARY", "\\\n; touch CANARY", "{{ other }}; touch CANARY", "{{ ssm-secure:/x }}", "{{ssm:/x}}",
	"x\ty; touch CANARY", "-e 'touch CANARY'", "--help; touch CANARY", "*; touch CANARY", "~; touch CANARY", "!touch CANARY", "#\ntouch CANARY",
	"$((1)); touch CANARY", "<(touch CANARY)", "<<X\n$(touch CANARY)\nX", "a=b touch CANARY", "eval touch CANARY", strings.Repeat("A", 100_000) + "; touch CANARY",
}

// TestParametersInTheEnvironment gives each payload to a parameter that reaches
// the script as a variable, in several places of a script: it stays a value.
func TestParametersInTheEnvironment(t *testing.T) {
	places := []string{
		`printf '%s' "$SSM_value"`, `x="$SSM_value"; printf '%s' "$x"`, `printf '%s' "${SSM_value}"`, `cat <<E` + "\n$SSM_value\nE",
		`printf '%s' $SSM_value > /dev/null; printf '%s' "$SSM_value"`, `env | grep -c SSM_value > /dev/null; printf '%s' "$SSM_value"`,
	}
	for i, place := range places {
		for j, payload := range payloads {
			canary := filepath.Join(t.TempDir(), "canary")
			payload = strings.ReplaceAll(payload, "CANARY", canary)
			doc := fmt.Sprintf(`{"schemaVersion":"2.2","parameters":{"value":{"type":"String","interpolationType":"ENV_VAR"},"other":{"type":"String","default":"o"}},
			 "mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":[%q]}}]}`, place)
			var res Result
			new(Runner).Run(t.Context(), t.TempDir(), parse(t, doc, map[string]any{"value": payload}), Progress{}, func(one Result) { res = one })
			if _, err := os.Stat(canary); err == nil {
				t.Errorf("place %d, payload %d ran", i, j)
			}
			if want := strings.TrimRight(payload, "\n"); len(payload) < MaxStdout && strings.TrimRight(res.Stdout, "\n") != want {
				t.Errorf("place %d, payload %d: %q came as %q", i, j, want, res.Stdout)
			}
		}
	}
}
