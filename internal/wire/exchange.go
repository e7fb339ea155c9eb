package wire

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// exchange is one call on its way through the router.
type exchange struct {
	rt        *Router
	id        string
	started   time.Time
	ctx       context.Context // of the caller, once authenticated
	target    target
	input     any
	err       error
	inProcess bool
	source    string // IP address
}

// serve answers a request from outside.
func (x *exchange) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) *shape.Response {
	x.ctx = ctx
	x.target = x.rt.find(r)
	var resp *shape.Response
	x.err = x.guard(func() (err error) {
		resp, err = x.answer(w, r)
		return err
	})
	if x.err != nil {
		return shape.EncodeError(x.target.renderer(x.rt), x.id, x.err)
	}
	return resp
}

// answer takes the request through all its steps.
func (x *exchange) answer(w http.ResponseWriter, r *http.Request) (*shape.Response, error) {
	t := &x.target
	body, err := x.rt.body(w, r, t)
	if err != nil {
		return nil, err
	}
	req := &shape.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: r.Header, Body: body}
	if err := x.rt.action(t, req); err != nil {
		return nil, err
	}
	if t.raw != nil {
		return x.raw(r, body)
	}
	if err := x.authenticate(r, body); err != nil {
		return nil, err
	}
	if err := x.known(r); err != nil {
		return nil, err
	}
	if x.input, err = shape.DecodeInput(t.model, t.op, req, t.labels); err != nil {
		return nil, err
	}
	out, err := x.run()
	if err != nil {
		return nil, err
	}
	return shape.EncodeOutput(t.model, t.op, x.id, out), nil
}

// authenticate finds out who calls, and that the signature is for the service
// that the request speaks to.
func (x *exchange) authenticate(r *http.Request, body []byte) error {
	ctx, service, err := x.rt.cfg.Authenticate(r, body)
	if err != nil {
		return err
	}
	x.ctx = WithRequestID(ctx, x.id)
	if want := x.target.service(); want != "" && want != service {
		return fault.InvalidSignature("Credential should be scoped to correct service: '%s'.", want)
	}
	return nil
}

// known refuses what no model has.
func (x *exchange) known(r *http.Request) error {
	t := &x.target
	switch {
	case t.op == nil && t.name != "":
		return fault.UnknownOperation("The operation %q is not known.", cut(t.name))
	case t.op == nil:
		return fault.New(http.StatusNotFound, "UnknownOperationException", "Nothing is served at %s %q.", r.Method, cut(r.URL.EscapedPath()))
	case t.model.Protocol == shape.ProtocolJSON && r.Method != http.MethodPost:
		return fault.MethodNotAllowed(r.Method)
	}
	return nil
}

// cut bounds a name out of the request.
func cut(s string) string { return s[:min(len(s), 128)] }

// run validates, authorizes and calls: the part that calls in process share.
func (x *exchange) run() (any, error) {
	t, cfg := &x.target, &x.rt.cfg
	if err := shape.Validate(t.model, t.op.Input, x.input); err != nil {
		return nil, err
	}
	if cfg.Authorize != nil {
		ctx, err := cfg.Authorize(x.ctx, t.model, t.op, x.input)
		if err != nil {
			return nil, err
		}
		x.ctx = ctx
	}
	b, ok := x.rt.bindings[t.op]
	if !ok {
		return nil, fault.NotImplemented(t.model.Service, t.op.Name)
	}
	if cfg.Around == nil {
		return b.Call(x.ctx, x.input)
	}
	return cfg.Around(x.ctx, b, x.input, func(ctx context.Context) (any, error) { return b.Call(ctx, x.input) })
}

// raw runs an operation that no model has.
func (x *exchange) raw(r *http.Request, body []byte) (*shape.Response, error) {
	if !x.target.raw.Anonymous {
		if err := x.authenticate(r, body); err != nil {
			return nil, err
		}
	}
	if r.Method != http.MethodPost {
		return nil, fault.MethodNotAllowed(r.Method)
	}
	if err := x.authorizeRaw(body); err != nil {
		return nil, err
	}
	out, err := x.target.raw.Call(x.ctx, r, body)
	if err != nil {
		return nil, err
	}
	b := []byte("{}")
	if out != nil {
		if b, err = json.Marshal(out); err != nil {
			return nil, err
		}
	}
	h := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
	return &shape.Response{Status: http.StatusOK, Header: h, Body: b}, nil
}

// authorizeRaw asks for the right to a raw operation whose caller is known.
func (x *exchange) authorizeRaw(body []byte) error {
	t := &x.target
	if t.raw.Anonymous || x.rt.cfg.AuthorizeRaw == nil {
		return nil
	}
	var input map[string]any
	if err := json.Unmarshal(body, &input); err != nil {
		return fault.Serialization("The body is not a JSON object.")
	}
	ctx, err := x.rt.cfg.AuthorizeRaw(x.ctx, t.service(), t.name, input)
	if err == nil {
		x.ctx = ctx
	}
	return err
}

// guard turns a panic into an error and hides what has no code.
func (x *exchange) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.log("the operation panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fault.Internal(nil)
		}
	}()
	if err = f(); err == nil {
		return nil
	}
	coded := fault.Of(err)
	if f, ok := coded.(*fault.Fault); ok && f.Cause != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return fault.Unavailable("The request was cancelled before it was done.")
		}
		x.log("the operation failed", slog.Any("error", f.Cause))
	}
	return coded
}

func (x *exchange) log(msg string, attrs ...any) {
	attrs = append(attrs, slog.String("service", x.target.service()), slog.String("operation", x.target.name), slog.String("request_id", x.id))
	x.rt.cfg.Logger.ErrorContext(x.ctx, msg, attrs...)
}

// finish tells the observer.
func (x *exchange) finish(status int) {
	if x.rt.cfg.Observe == nil {
		return
	}
	t := &x.target
	c := Call{
		Service: t.service(), Operation: t.name, RequestID: x.id, InProcess: x.inProcess, Source: x.source, Started: x.started, Duration: x.rt.cfg.Now().Sub(x.started),
		Status: status, Err: x.err, model: t.model, op: t.op, input: x.input,
	}
	x.rt.cfg.Observe(x.ctx, c)
}
