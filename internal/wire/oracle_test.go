package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

// oracle serves every operation: the first call gets a full output, the second
// an error. It keeps the inputs it saw.
type oracle struct {
	t       *testing.T
	inputs  map[string]any
	outputs map[string]any
}

func (o *oracle) bindings() []wire.Binding {
	var out []wire.Binding
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			out = append(out, wire.Binding{Model: m, Operation: op, Call: func(_ context.Context, in any) (any, error) {
				key := m.Service + ":" + op.Name
				if _, seen := o.inputs[key]; seen {
					return nil, fault.New(http.StatusBadRequest, "SomeError", "about <%s> & \"more\"", key)
				}
				o.inputs[key], o.outputs[key] = in, op.NewOutput()
				if op.Output != shape.None {
					wiretest.Sample(o.t, m, op.Output, o.outputs[key], true)
				}
				return o.outputs[key], nil
			}})
		}
	}
	return out
}

// scoped takes the service of the credential scope without checking anything.
func scoped(r *http.Request, _ []byte) (context.Context, string, error) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(scope, "/")
	if len(parts) < 4 {
		return r.Context(), "sts", nil // two operations of sts are never signed
	}
	return r.Context(), parts[3], nil
}

type answer struct {
	Output json.RawMessage
	Error  []any
}

// The stock SDK of the aws CLI sends the full input of every operation and
// reads the full output and an error.
func TestBotocoreUnderstandsEveryOperation(t *testing.T) {
	if err := exec.Command("python3", "-c", "import botocore").Run(); err != nil {
		t.Skipf("python3 with botocore is needed: %v", err)
	}
	o := &oracle{t: t, inputs: map[string]any{}, outputs: map[string]any{}}
	srv := httptest.NewServer(wire.NewRouter(wire.Config{Bindings: o.bindings(), Authenticate: scoped, Logger: silent()}))
	defer srv.Close()
	asks, sent := questions(t)
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/oracle.py", srv.URL)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asks), &complaint
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle: %v\n%s", err, complaint.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<24)
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			good, bad := nextAnswer(t, lines), nextAnswer(t, lines)
			t.Run(m.Service+"/"+op.Name, func(t *testing.T) { o.compare(t, m, op, sent, good, bad) })
		}
	}
}

func (o *oracle) compare(t *testing.T, m *shape.Model, op *shape.Operation, sent map[string]any, good, bad answer) {
	key := m.Service + ":" + op.Name
	seconds := cmp.Comparer(func(a, b time.Time) bool { return a.Unix() == b.Unix() }) // botocore sends no fractions
	if d := cmp.Diff(sent[key], o.inputs[key], seconds); d != "" {
		t.Fatalf("input (-sent +got): %s\n%v", d, good.Error)
	}
	if op.Output != shape.None {
		got := op.NewOutput()
		if err := shape.DecodeJSON(m, op.Output, good.Output, got); err != nil {
			t.Fatalf("output: %v\n%s", err, good.Output)
		}
		if d := cmp.Diff(o.outputs[key], got); d != "" {
			t.Errorf("output (-sent +read): %s", d)
		}
	}
	want := []any{"SomeError", "about <" + key + "> & \"more\"", 400.0}
	if d := cmp.Diff(want, bad.Error); d != "" {
		t.Errorf("error (-want +read): %s", d)
	}
}

// questions are the inputs as lines of JSON, and as they are.
func questions(t *testing.T) ([]byte, map[string]any) {
	var lines bytes.Buffer
	sent := map[string]any{}
	enc := json.NewEncoder(&lines)
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			in := op.NewInput()
			wiretest.Sample(t, m, op.Input, in, true)
			text, err := shape.EncodeJSON(m, op.Input, in)
			if err != nil {
				t.Fatal(err)
			}
			if err := enc.Encode(map[string]any{"service": m.Service, "operation": op.Name, "input": json.RawMessage(text)}); err != nil {
				t.Fatal(err)
			}
			sent[m.Service+":"+op.Name] = in
		}
	}
	return lines.Bytes(), sent
}

func nextAnswer(t *testing.T, lines *bufio.Scanner) answer {
	t.Helper()
	var a answer
	if !lines.Scan() {
		t.Fatal("the oracle said less than it was asked")
	}
	if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}
