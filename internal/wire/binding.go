package wire

import (
	"context"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Binding ties one operation of a model to the method that serves it.
type Binding struct {
	Model     *shape.Model
	Operation *shape.Operation
	Call      func(ctx context.Context, input any) (any, error)
}

// Bind makes the binding of an operation from a typed method. The generated
// packages call it; a name that the model does not have is a programming error.
func Bind[I, O any](m *shape.Model, name string, f func(context.Context, *I) (*O, error)) Binding {
	op := m.Operation(name)
	if op == nil {
		panic("wire: " + m.Service + " has no operation " + name)
	}
	return Binding{Model: m, Operation: op, Call: func(ctx context.Context, in any) (any, error) {
		out, err := f(ctx, in.(*I))
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// Caller calls operations through the front door, as JSON: validation,
// authorization and audit are those of a call from outside. Service is the
// signing name; the identity is the context's.
type Caller interface {
	Call(ctx context.Context, service, operation string, input []byte) (output []byte, err error)
}

type requestIDKey struct{}

// WithRequestID gives the context the id of the request it serves.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id of the request that the context serves, "" outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
