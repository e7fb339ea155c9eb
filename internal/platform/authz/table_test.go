package authz

import (
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

var models = []*shape.Model{ssm.Model, incidents.Model, contacts.Model, sts.Model, watchbill.Model, kms.Model, logs.Model}

// An operation without a row does not pass the build.
func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	n := 0
	for _, m := range models {
		for _, op := range m.Operations {
			n++
			if _, ok := Lookup(m.SigningName, op.Name); !ok {
				t.Errorf("%s:%s has no row in table.tsv", m.SigningName, op.Name)
			}
		}
	}
	if n < 216+3 {
		t.Errorf("the models have %d operations only", n)
	}
	for _, op := range []string{"ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel", "ec2messages:SendReply"} {
		if _, ok := byName[op]; !ok {
			t.Errorf("%s has no row", op)
		}
	}
	if len(byName) != len(table) {
		t.Errorf("%d rows for %d operations", len(table), len(byName))
	}
}

// Every member that a row names exists in the input, so that a misspelt one
// cannot let a resource through unseen.
func TestRowsNameRealMembers(t *testing.T) {
	t.Parallel()
	for _, m := range models {
		for _, op := range m.Operations {
			row, _ := Lookup(m.SigningName, op.Name)
			in := reflect.TypeOf(op.NewInput())
			for _, path := range paths(row) {
				if !reaches(in, path) {
					t.Errorf("%s has no member %s", op.Name, path)
				}
			}
			if row.Token != "" && !reaches(in, row.Token) {
				t.Errorf("%s has no token %s", op.Name, row.Token)
			}
		}
	}
}

func paths(row *Row) (out []string) {
	for _, alternatives := range row.Resources {
		for _, r := range alternatives {
			out = append(out, r.Member, r.Second)
		}
	}
	for _, e := range row.Extra {
		out = append(out, e.Ref.Member, e.Ref.Second)
	}
	for _, k := range row.Keys {
		out = append(out, k.Member)
	}
	if row.Node != "" && row.Node != "-" {
		out = append(out, strings.TrimPrefix(row.Node, "!"))
	}
	return out
}

func reaches(t reflect.Type, path string) bool {
	for path != "" {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map {
			return true
		}
		name, rest, _ := strings.Cut(path, ".")
		f, ok := t.FieldByName(fieldName(name))
		if !ok {
			return false
		}
		t, path = f.Type, rest
	}
	return true
}

// What the models say of idempotency and secrets, the table says too.
func TestRowsAgreeWithModels(t *testing.T) {
	t.Parallel()
	for _, m := range models {
		for _, op := range m.Operations {
			row, _ := Lookup(m.SigningName, op.Name)
			if op.Input == shape.None {
				continue
			}
			for _, member := range m.Shapes[op.Input].Members {
				if member.IdempotencyToken && row.Mutating && row.Token != member.Name {
					t.Errorf("%s: client token %s, table has %q", op.Name, member.Name, row.Token)
				}
			}
		}
	}
}

func TestGeneratedTableIsCurrent(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := root + "/internal/platform/authz"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	facts, err := os.ReadFile("table.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/table.tsv", facts, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./authzgen", "-root", root)
	cmd.Dir = "../../../tools"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, _ := os.ReadFile(dir + "/table.gen.go")
	got, _ := os.ReadFile("table.gen.go")
	if string(want) != string(got) {
		t.Error("table.gen.go is not what table.tsv gives; run make generate")
	}
}
