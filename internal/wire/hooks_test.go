package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

// trace notes the order of the steps.
type trace struct {
	steps []string
	deny  bool
	last  wire.Call
}

func (tr *trace) config() wire.Config {
	cfg := config()
	cfg.Authenticate = func(r *http.Request, _ []byte) (context.Context, string, error) {
		tr.steps = append(tr.steps, "authenticate")
		return r.Context(), "ssm", nil
	}
	cfg.Authorize = func(ctx context.Context, _ *shape.Model, op *shape.Operation, _ any) (context.Context, error) {
		tr.steps = append(tr.steps, "authorize "+op.Name)
		if tr.deny {
			return nil, fault.AccessDenied("no")
		}
		return ctx, nil
	}
	cfg.Around = func(ctx context.Context, b wire.Binding, _ any, next func(context.Context) (any, error)) (any, error) {
		tr.steps = append(tr.steps, "around "+b.Operation.Name)
		if wire.RequestID(ctx) == "" {
			tr.steps = append(tr.steps, "no request id")
		}
		return next(ctx)
	}
	cfg.Observe = func(_ context.Context, c wire.Call) {
		tr.steps = append(tr.steps, "observe "+c.Service+":"+c.Operation)
		tr.last = c
	}
	return cfg
}

func TestStepsComeInOrder(t *testing.T) {
	tests := []struct {
		name, op, in string
		deny         bool
		want         []string
		status       int
	}{
		{"good", "GetParameter", `{"Name":"x"}`, false, []string{"authenticate", "authorize GetParameter", "around GetParameter", "observe ssm:GetParameter"}, 200},
		{"invalid", "GetParameter", `{}`, false, []string{"authenticate", "observe ssm:GetParameter"}, 400},
		{"denied", "GetParameter", `{"Name":"x"}`, true, []string{"authenticate", "authorize GetParameter", "observe ssm:GetParameter"}, 400},
		{"unimplemented and denied", "ListCommands", `{}`, true, []string{"authenticate", "authorize ListCommands", "observe ssm:ListCommands"}, 400},
		{"unimplemented", "ListCommands", `{}`, false, []string{"authenticate", "authorize ListCommands", "observe ssm:ListCommands"}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &trace{deny: tt.deny}
			c := wiretest.NewConfig(t, tr.config())
			_, httpErr := c.Call(t.Context(), "ssm", tt.op, []byte(tt.in))
			if d := cmp.Diff(tt.want, tr.steps); d != "" {
				t.Errorf("over HTTP (-want +got):\n%s", d)
			}
			tr.steps = nil
			_, err := c.Router.Call(t.Context(), "ssm", tt.op, []byte(tt.in))
			if d := cmp.Diff(slices.Delete(tt.want, 0, 1), tr.steps); d != "" {
				t.Errorf("in process (-want +got):\n%s", d)
			}
			if httpErr != nil && httpErr.Error() != err.Error() {
				t.Errorf("HTTP says %v, in process says %v", httpErr, err)
			}
			if tr.last.Status != tt.status || !tr.last.InProcess {
				t.Errorf("call = %+v, want status %d in process", tr.last, tt.status)
			}
		})
	}
}

func TestCallInputIsRedacted(t *testing.T) {
	tr := &trace{}
	rt := wire.NewRouter(tr.config())
	_, err := rt.Call(t.Context(), "ssm", "PutParameter", []byte(`{"Name":"n","Value":"hunter2"}`))
	if c, ok := errors.AsType[fault.Coded](err); !ok || c.ErrorCode() != "NotImplemented" {
		t.Fatalf("error = %v", err)
	}
	b, err := json.Marshal(tr.last.Input())
	if err != nil || string(b) != `{"Name":"n"}` {
		t.Errorf("input = %s, %v; want the value left out", b, err)
	}
}

func TestRawOperations(t *testing.T) {
	cfg := config()
	cfg.Raw = map[string]wire.Raw{
		"AmazonSSM.RegisterManagedInstance": {Anonymous: true, Call: func(_ context.Context, r *http.Request, body []byte) (any, error) {
			return map[string]string{"target": r.Header.Get("X-Amz-Target"), "body": string(body)}, nil
		}},
		"AmazonSSM.UpdateInstanceInformation": {Call: func(ctx context.Context, _ *http.Request, _ []byte) (any, error) {
			if wire.RequestID(ctx) == "" {
				return nil, errors.New("no request id")
			}
			return nil, nil
		}},
	}
	c := wiretest.NewConfig(t, cfg)
	tests := []struct{ name, service, target, want string }{
		{"anonymous", "", "AmazonSSM.RegisterManagedInstance", `{"body":"{}","target":"AmazonSSM.RegisterManagedInstance"}`},
		{"signed", "ssm", "AmazonSSM.UpdateInstanceInformation", `{}`},
		{"unsigned", "", "AmazonSSM.UpdateInstanceInformation", `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`},
		{"wrong service", "sts", "AmazonSSM.UpdateInstanceInformation", `{"__type":"InvalidSignatureException","message":"Credential should be scoped to correct service: 'ssm'."}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := c.Send(t.Context(), tt.service, post("X-Amz-Target", tt.target))
			if err != nil || string(resp.Body) != tt.want {
				t.Errorf("answer = %s, %v; want %s", resp.Body, err, tt.want)
			}
		})
	}
}

func TestRawOperationsAreAuthorized(t *testing.T) {
	cfg := config()
	ran := false
	raw := func(context.Context, *http.Request, []byte) (any, error) { ran = true; return nil, nil }
	cfg.Raw = map[string]wire.Raw{
		"AmazonSSM.RegisterManagedInstance": {Service: "ssm", Anonymous: true, Call: raw},
		"Messages.SendReply":                {Service: "ec2messages", Call: raw},
	}
	cfg.AuthorizeRaw = func(ctx context.Context, service, operation string, in map[string]any) (context.Context, error) {
		if service != "ec2messages" || operation != "SendReply" || in["Id"] != "mine" {
			return nil, fault.AccessDenied("no")
		}
		return ctx, nil
	}
	c := wiretest.NewConfig(t, cfg)
	for name, tt := range map[string]struct {
		service, target, body string
		ran                   bool
	}{
		"anonymous":     {"", "AmazonSSM.RegisterManagedInstance", `{}`, true},
		"allowed":       {"ec2messages", "Messages.SendReply", `{"Id":"mine"}`, true},
		"denied":        {"ec2messages", "Messages.SendReply", `{"Id":"other"}`, false},
		"no object":     {"ec2messages", "Messages.SendReply", `[]`, false},
		"other service": {"ssm", "Messages.SendReply", `{"Id":"mine"}`, false},
	} {
		ran = false
		r := post("X-Amz-Target", tt.target)
		r.Body = []byte(tt.body)
		if resp, err := c.Send(t.Context(), tt.service, r); err != nil || ran != tt.ran {
			t.Errorf("%s: ran %v, %s, %v", name, ran, resp.Body, err)
		}
	}
}

func TestNewRouterPanicsOnProgrammingErrors(t *testing.T) {
	raw := config()
	raw.Authenticate = (&trace{}).config().Authenticate
	raw.Raw = map[string]wire.Raw{"AmazonSSM.GetParameter": {}}
	twice := raw
	twice.Raw, twice.Bindings = nil, append(slices.Clone(bindings), ssm.BindGetParameter(getParameter))
	for name, cfg := range map[string]wire.Config{"raw in model": raw, "two bindings": twice, "no authenticate": {}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			wire.NewRouter(cfg)
		})
	}
}

// Every operation of every model answers for itself over HTTP.
func TestAllOperationsAreRouted(t *testing.T) {
	c := wiretest.NewConfig(t, wire.Config{Models: models, Logger: silent()})
	count := 0
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			if m.Service != "sts" {
				count++
			}
			path := strings.NewReplacer("{resourceArn}", "arn%3Aaws%3Assm-incidents%3A%3A1%3Aresponse-plan%2Fx").Replace(op.URI)
			req := &shape.Request{Method: op.Method, Path: path, Header: http.Header{}, Body: []byte("{}")}
			switch m.Protocol {
			case shape.ProtocolJSON:
				req.Header.Set("X-Amz-Target", m.TargetPrefix+"."+op.Name)
			case shape.ProtocolQuery:
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.Body = []byte("Action=" + op.Name)
			}
			if req.Method == http.MethodGet {
				req.Body = nil
			}
			resp, err := c.Send(t.Context(), m.SigningName, req)
			if err != nil {
				t.Fatal(err)
			}
			code := shape.DecodeError(m, resp).Code
			if !slices.Contains([]string{"NotImplemented", "ValidationException", "ValidationError"}, code) {
				t.Errorf("%s:%s answered %d %s: %s", m.Service, op.Name, resp.Status, code, resp.Body)
			}
		}
	}
	if count != 216 {
		t.Errorf("%d operations routed, want 216", count)
	}
}
