package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

var schema = []db.Migrations{task.Migrations, journal.Migrations, audit.Migrations}

// hub is a router with one mutation that counts its effects and one read.
type hub struct {
	db      *db.DB
	journal *journal.Journal
	audit   *audit.Service
	client  *wiretest.Client
	fail    error // of the mutation, after its transaction
	deny    bool
	names   bool // the mutation names its answer in its transaction
}

func newHub(t *testing.T, d *db.DB) *hub {
	t.Helper()
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{db: d, journal: journaltest.New(t, d)}
	h.audit = audit.New(audit.Service{
		DB: d, Journal: h.journal, Tasks: tasktest.New(t, d), Sealer: sealer, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Classify: func(_, op string, _ any) audit.Class {
			switch op {
			case "PutParameter", "StartIncident":
				return audit.Mutation
			case "GetParameterHistory":
				return audit.SecretRead
			}
			return audit.Read
		},
	})
	h.client = wiretest.NewConfig(t, wire.Config{
		Bindings: []wire.Binding{ssm.BindPutParameter(h.put), ssm.BindGetParameter(h.get), ssm.BindGetParameterHistory(h.history)},
		Around:   h.audit.Around, Observe: h.audit.Observe, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Authorize: h.authorize,
	})
	h.client.Context = func(ctx context.Context) context.Context {
		return identity.With(db.WithScope(ctx, db.Scope{Account: "1", Region: "r"}), identity.Caller{ARN: "arn:me", Account: "1"})
	}
	return h
}

func (h *hub) authorize(ctx context.Context, _ *shape.Model, _ *shape.Operation, _ any) (context.Context, error) {
	if h.deny {
		return ctx, fault.AccessDenied("no")
	}
	return ctx, nil
}

func (h *hub) put(ctx context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	var n int64
	out := &ssm.PutParameterOutput{Version: &n}
	err := h.db.Update(ctx, func(tx *db.Tx) error {
		if h.names {
			audit.Answer(tx, out)
		}
		if err := h.journal.Record(tx, journal.Fact{Kind: "effect.made", Subject: *in.Name}); err != nil {
			return err
		}
		return tx.QueryRow("select count(*) from journal_row where kind = 'effect.made'").Scan(&n)
	})
	return out, errors.Join(err, h.fail)
}

func (h *hub) get(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	return &ssm.GetParameterOutput{}, nil
}

func (h *hub) history(context.Context, *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	return &ssm.GetParameterHistoryOutput{NextToken: new("canary-secret")}, nil
}

// rows reads the facts of a kind, oldest first, as one text each.
func (h *hub) rows(t *testing.T, kind string) (out []string) {
	t.Helper()
	if err := h.journal.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := h.db.View(t.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query("select actor, body from journal_row where kind = $1 order by position", kind)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var actor, body string
			if err := rows.Scan(&actor, &body); err != nil {
				return err
			}
			out = append(out, actor+" "+body)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const input = `{"Name":"n","Value":"canary-5c1","Type":"SecureString"}`

// invoke calls the mutation as an SDK's attempt with that invocation id.
func (h *hub) invoke(t *testing.T, id, in string) (string, error) {
	t.Helper()
	ctx := wire.WithInvocationID(h.client.Context(t.Context()), id)
	out, err := h.client.Router.Call(ctx, "ssm", "PutParameter", []byte(in))
	return string(out), err
}

func TestMutationIsRecordedOnceWithoutItsSecrets(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		if _, err := h.client.Call(t.Context(), "ssm", "PutParameter", []byte(input)); err != nil {
			t.Fatal(err)
		}
		got := h.rows(t, audit.KindCalled)
		if len(got) != 1 || !strings.HasPrefix(got[0], "arn:me ") || !strings.Contains(got[0], `"Name":"n"`) || strings.Contains(got[0], "canary") {
			t.Fatal(got)
		}
	})
}

func TestRepeatedCallGetsTheFirstAnswer(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		first, err := h.invoke(t, "i1", input)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if again, err := h.invoke(t, "i1", input); err != nil || again != first {
				t.Fatalf("%s, %v; the first was %s", again, err, first)
			}
		}
		if other, err := h.invoke(t, "i2", input); err != nil || other == first {
			t.Fatalf("another call got %s, %v", other, err)
		}
		if _, err := h.invoke(t, "i1", strings.Replace(input, `"n"`, `"m"`, 1)); fault.Of(err).ErrorCode() != "ValidationException" {
			t.Fatalf("another input under the same id: %v", err)
		}
		if n := len(h.rows(t, "effect.made")); n != 2 {
			t.Fatalf("%d effects", n)
		}
	})
}

func TestRacingAttemptsHaveOneEffect(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := h.invoke(t, "i", input); err != nil && fault.Of(err).ErrorCode() != "ConflictException" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(h.rows(t, "effect.made")); n != 1 {
			t.Fatalf("%d effects", n)
		}
	})
}

func TestAnswerLostAfterTheChange(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		h.fail = errors.New("the process died here")
		_, _ = h.invoke(t, "i", input)
		h.fail = nil
		if _, err := h.invoke(t, "i", input); fault.Of(err).ErrorCode() != "ConflictException" {
			t.Fatal(err)
		}
		if n := len(h.rows(t, "effect.made")); n != 1 {
			t.Fatalf("%d effects", n)
		}
	})
}

func TestAnswerKeptWithTheChange(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		h.names, h.fail = true, errors.New("the process died here")
		_, _ = h.invoke(t, "i", input)
		h.fail = nil
		if again, err := h.invoke(t, "i", input); err != nil || again != `{"Version":1}` {
			t.Fatalf("%s, %v", again, err)
		}
		if n := len(h.rows(t, "effect.made")); n != 1 {
			t.Fatalf("%d effects", n)
		}
	})
}

func TestClientTokenNamesTheCall(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		made := 0
		h.client = wiretest.NewConfig(t, wire.Config{
			Bindings: []wire.Binding{incidents.BindStartIncident(func(ctx context.Context, _ *incidents.StartIncidentInput) (*incidents.StartIncidentOutput, error) {
				made++
				id := fmt.Sprintf("arn:aws:ssm-incidents::123456789012:incident-record/p/%d", made)
				return &incidents.StartIncidentOutput{IncidentRecordArn: &id}, h.db.Update(ctx, func(*db.Tx) error { return nil })
			})},
			Around: h.audit.Around, Observe: h.audit.Observe, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		h.client.Context = func(ctx context.Context) context.Context {
			return identity.With(db.WithScope(ctx, db.Scope{Account: "1", Region: "r"}), identity.Caller{ARN: "arn:me", Account: "1"})
		}
		start := func(token, title string) (string, error) {
			out, err := h.client.Call(t.Context(), "ssm-incidents", "StartIncident",
				fmt.Appendf(nil, `{"clientToken":%q,"title":%q,"responsePlanArn":"arn:aws:ssm-incidents::123456789012:response-plan/p"}`, token, title))
			return string(out), err
		}
		first, err := start("token-1", "a")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := start("token-1", "a"); err != nil || again != first {
			t.Fatalf("%s, %v; the first was %s", again, err, first)
		}
		if other, err := start("token-2", "a"); err != nil || other == first {
			t.Fatalf("%s, %v", other, err)
		}
		if _, err := start("token-1", "b"); fault.Of(err).ErrorCode() != "ConflictException" && fault.Of(err).ErrorCode() != "ValidationException" {
			t.Fatal(err)
		}
		if made != 2 {
			t.Fatalf("%d effects", made)
		}
	})
}

func TestDenialsAreRecordedAtOnceAndReadsTogether(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		for range 3 {
			if _, err := h.client.Call(t.Context(), "ssm", "GetParameter", []byte(`{"Name":"n"}`)); err != nil {
				t.Fatal(err)
			}
		}
		h.deny = true
		if _, err := h.client.Call(t.Context(), "ssm", "GetParameter", []byte(`{"Name":"n"}`)); err == nil {
			t.Fatal("not denied")
		}
		if got := h.rows(t, audit.KindCalled); len(got) != 1 || !strings.Contains(got[0], "AccessDeniedException") {
			t.Fatal(got)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := h.audit.Start(ctx); err != nil { // drains
			t.Fatal(err)
		}
		got := h.rows(t, audit.KindBatch)
		var body struct{ Calls []map[string]any }
		if len(got) != 1 || json.NewDecoder(bytes.NewReader([]byte(strings.TrimSpace(got[0])))).Decode(&body) != nil || len(body.Calls) != 3 || body.Calls[0]["actor"] != "arn:me" {
			t.Fatal(got)
		}
	})
}

// A secret that cannot be recorded is not given out.
func TestSecretReadsAreRecordedFirst(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		in := []byte(`{"Name":"n"}`)
		out, err := h.client.Call(t.Context(), "ssm", "GetParameterHistory", in)
		if err != nil || !strings.Contains(string(out), "canary-secret") {
			t.Fatal(string(out), err)
		}
		if got := h.rows(t, audit.KindCalled); len(got) != 1 || !strings.HasPrefix(got[0], "arn:me ") || !strings.Contains(got[0], "GetParameterHistory") || strings.Contains(got[0], "canary") {
			t.Error(got)
		}
		d.Freeze(fault.Unavailable("no"))
		if out, err = h.client.Call(t.Context(), "ssm", "GetParameterHistory", in); err == nil {
			t.Errorf("given out unrecorded: %s", out)
		}
	})
}

// Who need not even have a key cannot fill the disk.
func TestRefusalsOfUnknownCallersAreBounded(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		const many = 5000
		refusal := wire.Call{
			Service: "ssm", Operation: "\xff\x00" + strings.Repeat("x", 60_000), Status: 403, Err: fault.AccessDenied("no"),
		}
		for i := range many {
			refusal.Source = []string{"10.0.0.1", fmt.Sprintf("2001:db8::%x", i)}[i%2]
			h.audit.Observe(t.Context(), refusal)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.audit.Start(done); err != nil {
			t.Fatal(err)
		}
		alone, counted := h.rows(t, audit.KindCalled), 0
		for _, row := range alone {
			if len(row) > 600 || !strings.Contains(row, `"sourceIp":"`) {
				t.Fatalf("row %s", row[:600])
			}
		}
		more := h.rows(t, audit.KindRefused)
		for _, row := range more {
			var r audit.Refusals
			if err := json.Unmarshal([]byte(row), &r); err != nil || r.Source != "10.0.0.1" && r.Source != "2001:db8::/64" {
				t.Fatalf("%s: %v", row, err)
			}
			counted += r.Count
		}
		if len(alone)+counted != many || len(alone)+len(more) > many/10 {
			t.Errorf("%d alone, %d counted in %d rows", len(alone), counted, len(more))
		}
	})
}
