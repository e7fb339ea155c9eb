package wire

import "context"

type invocationKey struct{}

// invocation is the id of a call that may be repeated.
type invocation struct {
	id    string
	taken bool // by the call that is being served: calls below it are others
}

// WithInvocationID gives the next call made with the context an id that stays
// the same when the call is repeated (header amz-sdk-invocation-id of the SDKs,
// not signed). It is for that call only: calls that its operation makes in turn
// have none. An id over 128 bytes is no id.
func WithInvocationID(ctx context.Context, id string) context.Context {
	if len(id) > 128 {
		id = ""
	}
	return context.WithValue(ctx, invocationKey{}, invocation{id: id})
}

// InvocationID is the id of the call that the context serves, "" when it has
// none.
func InvocationID(ctx context.Context) string {
	v, _ := ctx.Value(invocationKey{}).(invocation)
	return v.id
}

// take makes the id of the context that of the call that now begins.
func take(ctx context.Context) context.Context {
	v, ok := ctx.Value(invocationKey{}).(invocation)
	if !ok {
		return ctx
	}
	if v.taken {
		v.id = ""
	}
	v.taken = true
	return context.WithValue(ctx, invocationKey{}, v)
}
