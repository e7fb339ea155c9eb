package identity_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const trust = `trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {AWS: "123456789012"}}]}`

func TestFileErrors(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, want string }{
		{"not yaml", "users: [", "line 1"},
		{"unknown part", "user:\n  - name: a\n", `line 1: the file has no field "user" (known: groups, policies, roles, users)`},
		{"twice", "users: []\nusers: []\n", `line 2: the file has the field "users" twice`},
		{"unknown field", "users:\n  - name: a\n    polices: [x]\n", `line 3: a user has no field "polices"`},
		{"not a list", "users: {name: a}\n", "line 1: users must be a list"},
		{"not a mapping", "users:\n  - a\n", "line 2: a user must be a mapping"},
		{"no name", "users:\n  - tags: {a: b}\n", "line 2: a user needs a name"},
		{"bad name", "users:\n  - name: a/b\n", "line 2: a user needs a name"},
		{"same user", "users:\n  - name: a\n  - name: a\n", "line 3: the user a is defined twice"},
		{"unknown policy", "users:\n  - name: a\n    policies:\n      - WatchbillObserver\n      - Nope\n", `line 5: there is no policy "Nope"`},
		{"unknown group", "users:\n  - name: a\n    groups: [g]\n", `line 3: there is no group "g"`},
		{"machine with human", "users:\n  - name: a\n    machine: true\n    human: x\n", "line 2: the user a is a machine and names a human"},
		{"machine no bool", "users:\n  - name: a\n    machine: maybe\n", "line 3: machine must be true or false"},
		{"tag no text", "users:\n  - name: a\n    tags: {a: [b]}\n", "line 3: tags a must be a text"},
		{"tag twice", "users:\n  - name: a\n    tags:\n      b: c\n      b: d\n", `line 5: tags has "b" twice`},
		{"key id", "users:\n  - name: a\n    access_keys:\n      - {id: abc, secret_file: s}\n", "line 4: the id of an access key"},
		{"key file", "users:\n  - name: a\n    access_keys:\n      - {id: AKIAAAAAAAAAAAAAAAAA, secret_file: none}\n", "line 4: secret_file: no such file"},
		{"key file open", "users:\n  - name: a\n    access_keys:\n      - {id: AKIAAAAAAAAAAAAAAAAA, secret_file: open}\n", "line 4: secret_file open must have mode 0600"},
		{"key file short", "users:\n  - name: a\n    access_keys:\n      - {id: AKIAAAAAAAAAAAAAAAAA, secret_file: short}\n", "line 4: secret_file short holds less than 16"},
		{"key twice", "users:\n  - name: a\n    access_keys:\n      - {id: AKIAAAAAAAAAAAAAAAAA, secret_file: good}\n      - {id: AKIAAAAAAAAAAAAAAAAA, secret_file: good}\n", "line 5: the access key AKIAAAAAAAAAAAAAAAAA is defined twice"},
		{"policy without document", "policies:\n  - name: p\n", "line 2: the policy p has no document"},
		{"policy in YAML", "policies:\n  - name: p\n    document:\n      Version: 2012-10-17\n      Statement:\n        - Effect: Permit\n          Action: '*'\n          Resource: '*'\n", "line 6: "},
		{"policy in JSON", "policies:\n  - name: p\n    document: |\n      {\"Version\": \"2012-10-17\",\n       \"Statement\": [{\"Effect\": \"Allow\",\n         \"Actions\": \"*\", \"Resource\": \"*\"}]}\n", "line 6: "},
		{"policy with principal", "policies:\n  - name: p\n    document: {Statement: [{Effect: Allow, Principal: '*', Action: '*', Resource: '*'}]}\n", "line 3: a policy of users and roles has no Principal"},
		{"empty policy", "policies:\n  - &p {name: p, document: {Statement: []}}\n", "line 2"},
		{"role without trust", "roles:\n  - name: r\n", "line 2: the role r has no trust policy"},
		{"trust without principal", "roles:\n  - name: r\n    trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}\n", "line 3: a trust policy needs a Principal"},
		{"session too long", "roles:\n  - name: r\n    max_session: 13h\n    " + trust + "\n", "line 2: max_session must be from 15m to 12h"},
		{"the node's role", "roles:\n  - name: watchbill-node\n    " + trust + "\n", "line 2: the role watchbill-node is defined twice"},
		{"same group", "groups:\n  - name: g\n  - name: g\n", "line 3: the group g is defined twice"},
	}
	w := open(t, dbtest.SQLite(t, migrations...), people)
	for name, content := range map[string]string{"open": "0123456789abcdef", "short": "x", "good": "0123456789abcdef\n"} {
		mode := map[bool]os.FileMode{true: 0o644, false: 0o600}[name == "open"]
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.write(t, c.file)
			err := w.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if _, _, problem := w.Status(); problem == nil {
				t.Error("not reported")
			}
			if _, ok := w.Principal("arn:aws:iam::123456789012:user/ann"); !ok {
				t.Error("the last good content is gone")
			}
		})
	}
}

func TestFileKey(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.SQLite(t, migrations...), "")
	if err := os.WriteFile(filepath.Join(w.dir, "ann.key"), []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.write(t, "users:\n  - name: ann\n    access_keys:\n      - id: AKIAFILEFILEFILE\n        secret_file: ann.key\n")
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	creds := sigv4.Credentials{AccessKeyID: "AKIAFILEFILEFILE", SecretAccessKey: "0123456789abcdef"}
	if c, err := call(t, w.Service, creds, "ssm", "eu-west-1"); err != nil || c.Name() != "ann" || c.Kind != identity.User {
		t.Errorf("got %+v, %v", c, err)
	}
	w.write(t, "users: []\n")
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, w.Service, creds, "ssm", "eu-west-1"); code(err) != "InvalidSignatureException" {
		t.Errorf("removed key: %v", err)
	}
}

// The example of the documentation is a good file.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/identity.md has no example")
	}
	w := open(t, dbtest.SQLite(t, migrations...), "")
	if err := os.MkdirAll(filepath.Join(w.dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "keys/deploy"), []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.write(t, example)
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, warnings, _ := w.Status(); len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
}
