package wire_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

// Our own client sends the full input of every operation and reads the full
// output and an error.
func TestClientUnderstandsEveryOperation(t *testing.T) {
	o := &oracle{t: t, inputs: map[string]any{}, outputs: map[string]any{}}
	srv := httptest.NewServer(wire.NewRouter(wire.Config{Bindings: o.bindings(), Authenticate: scoped, Logger: silent()}))
	defer srv.Close()
	c, err := client.New(client.Config{
		Endpoint: srv.URL, Region: "us-east-1", Models: models, Attempts: 1,
		Credentials: func(context.Context) (client.Credentials, error) {
			return client.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "s"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			t.Run(m.Service+"/"+op.Name, func(t *testing.T) { o.callTwice(t, c, m, op) })
		}
	}
}

func (o *oracle) callTwice(t *testing.T, c *client.Client, m *shape.Model, op *shape.Operation) {
	key := m.Service + ":" + op.Name
	in, out := op.NewInput(), op.NewOutput()
	wiretest.Sample(t, m, op.Input, in, true)
	if err := c.Call(t.Context(), m.SigningName, op.Name, in, out); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, o.inputs[key]); d != "" {
		t.Errorf("input (-sent +got): %s", d)
	}
	if d := cmp.Diff(o.outputs[key], out); d != "" {
		t.Errorf("output (-sent +read): %s", d)
	}
	err := c.Call(t.Context(), m.SigningName, op.Name, in, out)
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Code != "SomeError" || e.Message != "about <"+key+"> & \"more\"" || e.Status != 400 || len(e.RequestID) != 36 {
		t.Errorf("error = %v", err)
	}
}
