package shape_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

// Every operation of every model, over its own protocol, there and back.
func TestInputsOfAllOperationsRoundTrip(t *testing.T) {
	count := 0
	eachInput(t, func(t *testing.T, m *shape.Model, op *shape.Operation, in any) {
		count++
		if err := shape.Validate(m, op.Input, in); err != nil {
			t.Fatalf("Validate: %v", err)
		}
		r, err := shape.EncodeInput(m, op, in)
		if err != nil {
			t.Fatalf("EncodeInput: %v", err)
		}
		found, labels := op, map[string]string(nil)
		if m.Protocol == shape.ProtocolREST {
			if found, labels = m.Match(r.Method, r.Path); found != op {
				t.Fatalf("Match(%s %s) = %v", r.Method, r.Path, found)
			}
		}
		got, err := shape.DecodeInput(m, found, r, labels)
		if err != nil {
			t.Fatalf("DecodeInput: %v\n%s", err, r.Body)
		}
		if d := cmp.Diff(in, got); d != "" {
			t.Errorf("input changed on the way (-sent +got):\n%s", d)
		}
		whole, err := shape.EncodeJSON(m, op.Input, in)
		if err != nil {
			t.Fatal(err)
		}
		again := op.NewInput()
		if err := shape.DecodeJSON(m, op.Input, whole, again); err != nil {
			t.Fatalf("DecodeJSON: %v\n%s", err, whole)
		}
		if d := cmp.Diff(in, again); d != "" {
			t.Errorf("input changed in process (-sent +got):\n%s", d)
		}
	})
	if count < 2*216 {
		t.Errorf("%d inputs tried, want both of 216 operations at least", count)
	}
}

func TestOutputsOfAllOperationsRoundTrip(t *testing.T) {
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			t.Run(m.Service+"/"+op.Name, func(t *testing.T) {
				out := op.NewOutput()
				if op.Output != shape.None {
					wiretest.Sample(t, m, op.Output, out, true)
				}
				r := shape.EncodeOutput(m, op, "id", out)
				if r.Status != op.Status {
					t.Errorf("status = %d, want %d", r.Status, op.Status)
				}
				got, err := shape.DecodeOutput(m, op, r)
				if err != nil {
					t.Fatalf("DecodeOutput: %v\n%s", err, r.Body)
				}
				if d := cmp.Diff(out, got); d != "" {
					t.Errorf("output changed on the way (-sent +got):\n%s", d)
				}
			})
		}
	}
}
