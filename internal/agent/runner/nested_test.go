//go:build unix

package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inner is a document as a hub or a file has it.
const inner = `schemaVersion: "2.2"
parameters:
  who: {type: String, allowedPattern: "^[a-z]+$"}
mainSteps:
- {action: "aws:runShellScript", name: greet, inputs: {runCommand: ["echo hello {{ who }}"]}}
- {action: "aws:runShellScript", name: end, inputs: {runCommand: ["echo bad >&2; exit 4"]}}
`

func runDocument(inputs string) string {
	return `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runDocument","name":"doc","inputs":{` + inputs + `}}]}`
}

// documents answers with a document for each name; Self runs itself.
func documents(_ context.Context, name, version string) ([]byte, error) {
	switch name {
	case "Inner":
		return []byte(inner), nil
	case "Self":
		return []byte(runDocument(`"documentType":"SSMDocument","documentPath":"Self"`)), nil
	case "Reboot":
		return []byte(shell("exit 194")), nil
	}
	return nil, fmt.Errorf("no document %s version %q", name, version)
}

func TestRunDocument(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "doc.yaml")
	if err := os.WriteFile(elsewhere, []byte(inner), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, inputs string
		code         int
		stdout       string
		stderr       string
	}{
		{"of the hub", `"documentType":"SSMDocument","documentPath":"Inner","documentParameters":{"who":"world"}`, 4, "hello world\n", "step end: bad\nfailed to run commands: exit status 4"},
		{"parameters as text", `"documentType":"SSMDocument","documentPath":"Inner:1","documentParameters":"{\"who\":[\"text\"]}"`, 4, "hello text\n", "step end:"},
		{"of a file", `"documentType":"LocalPath","documentPath":"` + elsewhere + `","documentParameters":{"who":"file"}`, 4, "hello file\n", "step end:"},
		{"downloaded", `"documentType":"LocalPath","documentPath":"sub/doc.yaml","documentParameters":{"who":"there"}`, 4, "hello there\n", "step end:"},
		{"the only one", `"documentType":"LocalPath","documentPath":"","documentParameters":{"who":"only"}`, 4, "hello only\n", "step end:"},
		{"outside", `"documentType":"LocalPath","documentPath":"../../x"`, 1, "", "invalid"},
		{"pattern", `"documentType":"SSMDocument","documentPath":"Inner","documentParameters":{"who":"x; reboot"}`, 1, "", `Parameter "who"`},
		{"unknown parameter", `"documentType":"SSMDocument","documentPath":"Inner","documentParameters":{"who":"a","b":"c"}`, 1, "", `"b" is not defined`},
		{"missing", `"documentType":"SSMDocument","documentPath":"None:7"`, 1, "", `no document None version "7"`},
		{"kind", `"documentType":"Other","documentPath":"x"`, 1, "", `"Other" is not SSMDocument`},
		{"itself", `"documentType":"SSMDocument","documentPath":"Self"`, 1, "", "nested 3 deep"},
		{"reboot", `"documentType":"SSMDocument","documentPath":"Reboot"`, 194, "", "cannot restart the machine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, downloads, "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, downloads, "sub", "doc.yaml"), []byte(inner), 0o600); err != nil {
				t.Fatal(err)
			}
			var res Result
			r := &Runner{Document: documents, MayReboot: true}
			status, _ := r.Run(t.Context(), dir, parse(t, runDocument(tt.inputs), nil), Progress{}, func(one Result) { res = one })
			if status != Failed || res.Code != tt.code || res.Stdout != tt.stdout || !strings.Contains(res.Stderr, tt.stderr) {
				t.Errorf("%s %+v", status, res)
			}
		})
	}
}

func TestPlugins(t *testing.T) {
	doc := `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:mine","name":"a","inputs":{"x":"{{ssm-secure:/key}}"}},
	 {"action":"aws:mine","name":"b","inputs":{"x":"fails"}}]}`
	r := &Runner{
		Stored: func(context.Context, []string, bool) (map[string]string, error) {
			return map[string]string{"/key": "secret"}, nil
		},
		Plugins: map[string]Plugin{"aws:mine": func(_ context.Context, c *Call) Result {
			c.Print("%s has %d characters", c.Text("x"), len(c.Text("x")))
			if c.Text("x") == "fails" {
				return c.Fail(errors.New("as asked"))
			}
			return Result{Status: Success}
		}},
	}
	var got []string
	status, _ := r.Run(t.Context(), t.TempDir(), parse(t, doc, nil), Progress{}, func(one Result) {
		got = append(got, string(one.Status), one.Stdout, one.Stderr)
	})
	want := "Success|**** has 6 characters\n||Failed|fails has 5 characters\n|as asked"
	if strings.Join(got, "|") != want || status != Failed {
		t.Errorf("%s %q", status, got)
	}
}

// TestReboot runs a script that asks for a restart once: the document stops
// there and goes on with the same step.
func TestReboot(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	job := parse(t, `{"schemaVersion":"2.2","mainSteps":[
	 {"action":"aws:runShellScript","name":"a","inputs":{"runCommand":["echo a >> `+mark+`","exit 1"]}},
	 {"action":"aws:runShellScript","name":"b","inputs":{"runCommand":["echo b >> `+mark+`","echo out","[ $(wc -l < `+mark+`) -ge 3 ] || exit 194"]}},
	 {"action":"aws:runShellScript","name":"c","inputs":{"runCommand":["echo c >> `+mark+`"]}}]}`, nil)
	dir := t.TempDir()
	var results []Result
	report := func(one Result) { results = append(results, one) }
	refuses := &Runner{}
	status, _ := refuses.Run(t.Context(), t.TempDir(), job, Progress{Step: 1}, report)
	if status != Failed || results[0].Code != 194 || !strings.Contains(results[0].Stderr, "may not do") {
		t.Errorf("%s %+v", status, results)
	}
	os.Remove(mark)
	results = nil
	r := &Runner{MayReboot: true}
	status, at := r.Run(t.Context(), dir, job, Progress{}, report)
	if want := (Progress{Step: 1, Status: Failed, Machine: true}); status != Suspended || at != want || len(results) != 1 {
		t.Fatalf("%s %+v %+v", status, at, results)
	}
	status, _ = r.Run(t.Context(), dir, job, at, report)
	if status != Failed || len(results) != 3 || results[1].Status != Success || results[1].Stdout != "out\nout\n" {
		t.Errorf("%s %+v", status, results)
	}
	if b, _ := os.ReadFile(mark); string(b) != "a\nb\nb\nc\n" {
		t.Errorf("ran %q", b)
	}
}
