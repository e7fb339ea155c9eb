package intake

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var here = Scopes{Account: "123456789012", Regions: []string{"us-east-1", "eu-west-1"}}

const (
	goodKey  = "0123456789abcdefghij"
	goodFile = `
integrations:
  - name: prod
    kind: alertmanager
    key: 0123456789abcdefghij
    region: eu-west-1
    rules:
      - match: {severity: page, service: "~web|api"}
        response_plan: arn:aws:ssm-incidents::123456789012:response-plan/web
        impact: 2
        group_by: [service]
      - match: {severity: info}
        silence: true
    default:
      opsitem: {severity: "3", category: Availability}
  - name: aws
    kind: cloudwatch
    key_hash: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
`
)

func mustRead(t *testing.T, text string) *Config {
	t.Helper()
	c, err := read([]byte(text), here, true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRules(t *testing.T) {
	i := mustRead(t, goodFile).find("alertmanager", goodKey)
	if i == nil || i.name != "prod" || i.region != "eu-west-1" {
		t.Fatalf("%+v", i)
	}
	for name, c := range map[string]struct {
		labels map[string]string
		plan   string
		silent bool
		dedupe string
	}{
		"matched":                 {map[string]string{"severity": "page", "service": "api"}, "arn:aws:ssm-incidents::123456789012:response-plan/web", false, "alarms/prod/service=api"},
		"a pattern is of a whole": {map[string]string{"severity": "page", "service": "webx"}, "", false, "alarm/prod/k"},
		"silenced":                {map[string]string{"severity": "info"}, "", true, "alarm/prod/k"},
		"nothing known":           {nil, "", false, "alarm/prod/k"},
	} {
		a := i.action(c.labels)
		if a.plan != c.plan || a.silence != c.silent || i.dedupe(a, "k", c.labels) != c.dedupe {
			t.Errorf("%s: %+v, %s", name, a, i.dedupe(a, "k", c.labels))
		}
	}
	if a := i.action(nil); a.severity != "3" || a.category != "Availability" {
		t.Errorf("%+v", a)
	}
}

func TestFind(t *testing.T) {
	c := mustRead(t, goodFile)
	for _, wrong := range [][2]string{
		{"cloudwatch", goodKey}, {"alertmanager", "foo"}, {"alertmanager", ""}, {"", goodKey}, {"alertmanager", goodKey + "x"},
	} {
		if i := c.find(wrong[0], wrong[1]); i != nil {
			t.Errorf("%v opens %s", wrong, i.name)
		}
	}
	if i := c.find("cloudwatch", "foo"); i == nil || i.name != "aws" || i.region != "us-east-1" {
		t.Errorf("%+v", i)
	}
}

func TestBadFiles(t *testing.T) {
	one := func(more string) string {
		return "integrations:\n- name: a\n  kind: alertmanager\n  key: " + goodKey + "\n" + more
	}
	for text, want := range map[string]string{
		"a: [":               "line 1: did not find",
		"- x":                "line 1: the file must be a mapping",
		"x: 1":               `line 1: the file has no field "x" (known: integrations)`,
		"integrations: 1":    "line 1: integrations must be a list",
		"integrations:\n- 1": "line 2: an integration must be a mapping",
		"integrations:\n- kind: alertmanager\n  key: " + goodKey:                                      "line 2: an integration needs a name",
		"integrations:\n- name: a b\n  kind: x":                                                       "line 2: an integration needs a name",
		"integrations:\n- name: a\n  kind: x\n  key: " + goodKey:                                      "line 2: the integration a needs a kind: alertmanager or cloudwatch",
		"integrations:\n- name: a\n  kind: cloudwatch":                                                "line 2: the integration a needs either key or key_hash",
		"integrations:\n- name: a\n  key: short":                                                      "line 3: a key has 20 to 256",
		"integrations:\n- name: a\n  key_hash: md5:00":                                                "line 3: a key_hash is sha256:",
		"integrations:\n- name: [a]":                                                                  "line 2: name must be a text",
		"integrations:\n- name: a\n  name: b":                                                         `line 3: an integration has the field "name" twice`,
		one("- name: a\n  kind: cloudwatch\n  key: 9" + goodKey):                                      "line 5: the integration a is defined twice",
		one("- name: b\n  kind: cloudwatch\n  key: " + goodKey):                                       "line 5: the integrations a and b have the same key",
		one("  region: ap-south-1\n"):                                                                 `line 5: the hub does not serve the region "ap-south-1"`,
		one("  rules: {}\n"):                                                                          "line 5: rules must be a list",
		one("  rules:\n  - silence: true\n"):                                                          "line 6: a rule needs a match",
		one("  rules:\n  - match: {}\n    silence: true\n"):                                           "line 6: match must be a mapping",
		one("  rules:\n  - match: {a: b}\n"):                                                          "line 6: a rule needs one of response_plan, opsitem, silence",
		one("  rules:\n  - match: {a: b}\n    silence: true\n    opsitem: {}\n"):                      "line 6: a rule needs one of",
		one("  rules:\n  - match: {a: [b]}\n    silence: true\n"):                                     "line 6: the value of a must be a text",
		one("  rules:\n  - match: {a: b, a: c}\n    silence: true\n"):                                 `line 6: match has the field "a" twice`,
		one("  rules:\n  - match: {a: \"~(\"}\n    silence: true\n"):                                  "line 6: the pattern of a: missing closing )",
		one("  default:\n    match: {a: b}\n"):                                                        `line 6: the default has no field "match"`,
		one("  default:\n    silence: false\n"):                                                       "line 6: silence can be true only",
		one("  default:\n    response_plan: web\n"):                                                   "line 6: response_plan must be an ARN",
		one("  default:\n    response_plan: arn:aws:ssm-incidents::210987654321:response-plan/web\n"): "line 6: response_plan must be an ARN",
		one("  default:\n    opsitem: {severity: high}\n"):                                            "line 6: the severity of an OpsItem is from 1 to 4",
		one("  default:\n    opsitem: {owner: x}\n"):                                                  `line 6: opsitem has no field "owner"`,
		one("  default:\n    opsitem: {}\n    impact: 2\n"):                                           "line 6: an impact belongs to a response_plan",
		one("  default:\n    impact: 9\n"):                                                            "line 6: impact must be a number from 1 to 5",
		one("  default:\n    group_by: [1, {}]\n    opsitem: {}\n"):                                   "line 6: a label must be a text",
	} {
		_, err := read([]byte(text), here, true)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), goodKey) {
			t.Errorf("a key is in the error %q", err)
		}
	}
	if _, err := read([]byte(one("")), here, false); err == nil || !strings.HasPrefix(err.Error(), "line 4: the file must have mode 0600") {
		t.Error(err)
	}
	for _, empty := range []string{"", "# nothing\n", "integrations: []"} {
		if c := mustRead(t, empty); len(c.integrations) != 0 {
			t.Errorf("%q: %d integrations", empty, len(c.integrations))
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "intake.yaml")
		log := &lines{}
		f, err := OpenFile(path, here, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Watch(ctx) }()
		after := func(change func()) int {
			change()
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			return len(f.Config().integrations)
		}
		if n := after(func() {}); n != 0 {
			t.Fatalf("%d integrations without a file", n)
		}
		if n := after(func() { write(t, path, goodFile) }); n != 2 {
			t.Fatalf("%d integrations, want 2", n)
		}
		if n := after(func() { write(t, path, "integrations: 5") }); n != 2 || !strings.Contains(log.String(), "intake.yaml: line 1: integrations must be a list") {
			t.Fatalf("%d integrations after a mistake\n%s", n, log)
		}
		if n := after(func() { _ = os.Remove(path) }); n != 2 || strings.Count(log.String(), "no such file") != 1 {
			t.Fatalf("%d integrations once it is gone\n%s", n, log)
		}
		if n := after(func() { write(t, path, "integrations: []") }); n != 0 {
			t.Fatalf("%d integrations, want 0", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestOpenFileTellsWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "intake.yaml")
	write(t, path, "integrations:\n- name: a\n  colour: red\n")
	f, err := OpenFile(path, here, slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "intake.yaml: line 3: an integration has no field") || f == nil {
		t.Fatal(err)
	}
}

func TestDocumentedExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/intake.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if c := mustRead(t, example); len(c.integrations) != 2 || len(c.integrations[0].rules) != 2 {
		t.Fatalf("%+v", c)
	}
}
