package parameter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/parameter"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

var (
	migrations = []db.Migrations{task.Migrations, journal.Migrations, tagging.Migrations, parameter.Migrations}
	home       = db.Scope{Account: "123456789012", Region: "us-east-1"}
)

const ada = "arn:aws:iam::123456789012:user/ada"

type fixture struct {
	t       testing.TB
	ctx     context.Context
	db      *db.DB
	service *parameter.Service
	tasks   *task.Engine
	journal *journal.Journal
	told    []journal.Row
	caller  interface {
		Call(ctx context.Context, service, operation string, input []byte) ([]byte, error)
	}
}

// direct makes the service without a server around it.
func direct(t testing.TB, d *db.DB) *fixture {
	t.Helper()
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, db: d, tasks: tasktest.New(t, d)}
	f.ctx = journal.WithActor(db.WithScope(t.Context(), home), ada)
	f.journal = journaltest.New(t, d)
	f.journal.Subscribe(journal.Subscription{Name: "test", Kinds: []string{
		"parameter.put", "parameter.deleted", "parameter.labeled", "parameter.unlabeled", "parameter.expired", "parameter.expiring", "parameter.unchanged",
	}, Handle: func(_ context.Context, _ *db.Tx, row journal.Row) error {
		f.told = append(f.told, row)
		return nil
	}})
	f.service = parameter.New(parameter.Service{DB: d, Tasks: f.tasks, Journal: f.journal, Sealer: sealer})
	return f
}

// each runs a test over HTTP on both engines.
func each(t *testing.T, run func(t *testing.T, f *fixture)) {
	t.Helper()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := direct(t, d)
		client := wiretest.New(t, f.service.Operations()...)
		client.Context = func(ctx context.Context) context.Context { return journal.WithActor(db.WithScope(ctx, home), ada) }
		f.caller = client
		run(t, f)
	})
}

type in map[string]any

// call calls an operation and reads its answer; code is that of the error.
func call[O any](f *fixture, operation string, input in) (out O, code string) {
	f.t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		f.t.Fatal(err)
	}
	answer, err := f.caller.Call(f.ctx, "ssm", operation, text)
	if err != nil {
		coded, ok := errors.AsType[fault.Coded](err)
		if !ok {
			f.t.Fatalf("%s: %v", operation, err)
		}
		return out, coded.ErrorCode() + ": " + coded.ErrorMessage()
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		f.t.Fatalf("%s: %v in %s", operation, err, answer)
	}
	return out, ""
}

// ok is call for what must go well.
func ok[O any](f *fixture, operation string, input in) O {
	f.t.Helper()
	out, code := call[O](f, operation, input)
	if code != "" {
		f.t.Fatalf("%s %v: %s", operation, input, code)
	}
	return out
}

// refused checks the beginning of an error.
func refused(f *fixture, operation string, input in, want string) {
	f.t.Helper()
	if _, code := call[any](f, operation, input); !strings.HasPrefix(code, want) {
		f.t.Errorf("%s %.200v: %q, want %s", operation, input, code, want)
	}
}

type putOut struct {
	Version int64
	Tier    string
}

func (f *fixture) put(name, value string, more ...any) putOut {
	f.t.Helper()
	input := in{"Name": name, "Value": value, "Type": "String"}
	for i := 0; i < len(more); i += 2 {
		input[more[i].(string)] = more[i+1]
	}
	return ok[putOut](f, "PutParameter", input)
}

type param struct {
	Name, Value, Type, Selector, ARN, DataType string
	Version                                    int64
}

func (f *fixture) get(name string) param {
	f.t.Helper()
	return ok[struct{ Parameter param }](f, "GetParameter", in{"Name": name, "WithDecryption": true}).Parameter
}

// names lists all pages of an operation.
func (f *fixture) names(operation string, input in) (names []string) {
	f.t.Helper()
	for {
		out := ok[struct {
			Parameters []param
			NextToken  string
		}](f, operation, input)
		for _, p := range out.Parameters {
			names = append(names, p.Name)
		}
		if out.NextToken == "" {
			return names
		}
		input["NextToken"] = out.NextToken
	}
}

// noCanary looks for a secret in the store's files and in the facts.
func (f *fixture) noCanary(secret string) {
	f.t.Helper()
	for _, fact := range f.facts() {
		if strings.Contains(string(fact.Body), secret) {
			f.t.Errorf("%s holds the secret: %s", fact.Kind, fact.Body)
		}
	}
	if f.db.Postgres() {
		return // its files are not ours to read
	}
	var file string
	err := f.db.View(f.ctx, func(tx *db.Tx) error {
		return tx.QueryRow("select file from pragma_database_list where name = 'main'").Scan(&file)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, path := range []string{file, file + "-wal"} {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(secret)) {
			f.t.Errorf("%s holds the secret", filepath.Base(path))
		}
	}
}

// facts is what the journal got since the test began.
func (f *fixture) facts() []journal.Row {
	f.t.Helper()
	if err := f.journal.Dispatch(f.ctx); err != nil {
		f.t.Fatal(err)
	}
	return f.told
}

// kinds is the kinds of facts, in order.
func (f *fixture) kinds() (out []string) {
	f.t.Helper()
	for _, fact := range f.facts() {
		out = append(out, fact.Kind)
	}
	return out
}
