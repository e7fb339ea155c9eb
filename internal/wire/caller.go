package wire

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Call runs an operation in process with the identity and the scope that ctx
// holds: decoding, validation, authorization and audit are those of a call
// from outside. Input is the JSON of all members under the model's names, also
// for services that do not speak JSON. An error has a code.
func (rt *Router) Call(ctx context.Context, service, operation string, input []byte) ([]byte, error) {
	id := RequestID(ctx)
	if id == "" {
		id = uuid.NewString()
		ctx = WithRequestID(ctx, id)
	}
	x := &exchange{rt: rt, id: id, started: rt.cfg.Now(), ctx: take(ctx), inProcess: true}
	x.target = target{model: rt.byService(service), name: operation}
	var out []byte
	x.err = x.guard(func() (err error) {
		out, err = x.call(service, input)
		return err
	})
	x.finish(x.status())
	return out, x.err
}

func (x *exchange) call(service string, input []byte) ([]byte, error) {
	t := &x.target
	if t.model == nil {
		return nil, fault.UnknownOperation("The service %q is not known.", cut(service))
	}
	if t.op = x.rt.names[t.model][t.name]; t.op == nil {
		return nil, fault.UnknownOperation("The operation %q is not known.", cut(t.name))
	}
	if int64(len(input)) > x.rt.limit(nil, t) {
		return nil, fault.TooLarge(x.rt.limit(nil, t))
	}
	x.input = t.op.NewInput()
	if err := shape.DecodeJSON(t.model, t.op.Input, input, x.input); err != nil {
		return nil, err
	}
	out, err := x.run()
	if err != nil || t.op.Output == shape.None {
		return []byte("{}"), err
	}
	return shape.EncodeJSON(t.model, t.op.Output, out)
}

// status is what the call would have answered over HTTP.
func (x *exchange) status() int {
	switch {
	case x.err != nil:
		return fault.Of(x.err).HTTPStatus()
	case x.target.op != nil:
		return x.target.op.Status
	}
	return http.StatusOK
}
