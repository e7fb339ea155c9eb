package identity_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

var (
	someActions   = []string{"ssm:GetParameter", "ssm:PutParameter", "ssm:SendCommand", "sts:AssumeRole", "ssm:Get*", "*"}
	someResources = []string{"arn:aws:ssm:eu-west-1:123456789012:parameter/a", "arn:aws:ssm:eu-west-1:123456789012:parameter/b/c", "arn:aws:ssm:*:*:parameter/*", "*"}
)

// anyPolicy draws a policy over few actions and resources.
func anyPolicy(t *rapid.T) string {
	statements := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
		return map[string]any{
			"Effect":   rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"),
			"Action":   rapid.SliceOfNDistinct(rapid.SampledFrom(someActions), 1, 3, rapid.ID).Draw(t, "action"),
			"Resource": rapid.SliceOfNDistinct(rapid.SampledFrom(someResources), 1, 2, rapid.ID).Draw(t, "resource"),
		}
	}), 1, 4).Draw(t, "statements")
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whatever session policy is asked for, the session may do nothing that the role
// may not, and nothing that the session policy does not allow.
func TestSessionsOnlyNarrow(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.SQLite(t, migrations...), "")
	rapid.Check(t, func(t *rapid.T) {
		own, _, err := iampolicy.Parse([]byte(anyPolicy(t)))
		if err != nil {
			t.Fatal(err)
		}
		wish := anyPolicy(t)
		w.define(t, own.JSON())
		role, _ := w.Role("arn:aws:iam::123456789012:role/r")
		_, who, err := w.Assume(identity.Caller{}, identity.Assumption{Role: role, Name: "s1", Duration: time.Hour, Policies: []string{wish}})
		if err != nil {
			t.Fatal(err)
		}
		session, _, err := iampolicy.Parse([]byte(wish))
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range someActions[:4] {
			for _, resource := range someResources[:2] {
				ask := func(sets ...[]*iampolicy.Policy) bool {
					return iampolicy.Evaluate(iampolicy.Request{Principal: who.Principal(), Action: action, Resource: resource}, sets...).Allowed()
				}
				got, want := ask(who.Policies...), ask([]*iampolicy.Policy{own}) && ask([]*iampolicy.Policy{session})
				if got != want {
					t.Fatalf("%s on %s: %t, role and session policy say %t", action, resource, got, want)
				}
			}
		}
	})
}

// define puts a role with one policy into the file and reads it.
func (w *world) define(t *rapid.T, policy string) {
	t.Helper()
	file := `{"policies":[{"name":"own","document":` + policy + `}],"roles":[{"name":"r","policies":["own"],` + trustJSON + `}]}`
	if err := os.WriteFile(w.config.File, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
}

const trustJSON = `"trust":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"123456789012"}}]}`

func BenchmarkAuthenticate(b *testing.B) {
	w := open(b, dbtest.SQLite(b, migrations...), people)
	k, err := w.CreateAccessKey(b.Context(), "ann")
	if err != nil {
		b.Fatal(err)
	}
	node, err := w.MintNode(b.Context(), "mi-1", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]sigv4.Credentials{"key": key(k), "node": temporary(node)} {
		b.Run(name, func(b *testing.B) {
			r, body := signed(b, c, "ssm", "eu-west-1")
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := w.Authenticate(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
