package wire

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Limits of request bodies in bytes. Source: ssm refuses inventory and
// compliance above 1 MB per type and 10,240 KB in all; the rest is ours.
const (
	DefaultMaxBody = 1 << 20
	LargeMaxBody   = 10_240 << 10
)

// Config is what a router needs. Authenticate is required, the other hooks may
// be nil.
type Config struct {
	// Models are served whole: an operation without a binding answers
	// NotImplemented. The models of the bindings are added by themselves.
	Models   []*shape.Model
	Bindings []Binding

	// Raw are operations that no model has, by X-Amz-Target, such as
	// "AmazonSSM.RegisterManagedInstance".
	Raw map[string]Raw

	// Authenticate checks the signature over r and its body, and gives the
	// context with the caller's identity and scope, and the service of the
	// credential scope. On an error the context may be nil.
	Authenticate func(r *http.Request, body []byte) (ctx context.Context, service string, err error)

	// Authorize says whether the caller may run op with this input, and gives
	// the context to go on with. It is called after validation, before Around.
	Authorize func(ctx context.Context, m *shape.Model, op *shape.Operation, input any) (context.Context, error)

	// AuthorizeRaw is Authorize for the operations of Raw that are not anonymous:
	// input is the JSON object of the body. The handler decides on what it reads
	// itself, too.
	AuthorizeRaw func(ctx context.Context, service, operation string, input map[string]any) (context.Context, error)

	// Around runs in place of the method and calls next for it, or answers by
	// itself: idempotency and the audit row.
	Around func(ctx context.Context, b Binding, input any, next func(context.Context) (any, error)) (any, error)

	// Observe sees every call after its answer is known: metrics, access log,
	// denials in the journal.
	Observe func(ctx context.Context, c Call)

	// Large says, before the body is read, that a request may bring LargeMaxBody
	// to the operations that take so much: it carries a proof of who sends it.
	// The signature, which covers the body, is checked afterwards as always. Nil
	// is never.
	Large func(r *http.Request) bool

	MaxBody int64 // bytes; DefaultMaxBody when 0
	Logger  *slog.Logger
	Now     func() time.Time
}

// Raw is an operation that no model describes. Input and output are JSON
// objects; the handler checks its input by itself.
type Raw struct {
	// Service is the signing name, which the credentials must be scoped to.
	Service string
	// Anonymous leaves authentication to the handler.
	Anonymous bool
	// Call gets the request for its headers only: the body was read. Its
	// output goes through encoding/json, nil is {}.
	Call func(ctx context.Context, r *http.Request, body []byte) (any, error)
}

// Call is one finished call, from outside or in process.
type Call struct {
	Service   string // signing name, "" when the request named none
	Operation string // as the request named it, "" when it named none
	RequestID string
	InProcess bool
	Source    string // IP address of who called, "" in process
	Started   time.Time
	Duration  time.Duration
	Status    int   // HTTP status
	Err       error // nil when the call went well; has a code otherwise

	model *shape.Model
	op    *shape.Operation
	input any
}

// Input is the decoded input without its sensitive members, as a value that
// marshals to JSON: nil when the input was never read.
func (c Call) Input() any {
	if c.op == nil || c.input == nil {
		return nil
	}
	return shape.Redact(c.model, c.op.Input, c.input)
}

// RawInput is the decoded input with all its members, nil when it was never read.
// It must not be kept or printed.
func (c Call) RawInput() any { return c.input }

// About is c with the operation and the input that it was about, for calls that came
// another way than through a router.
func (c Call) About(b Binding, input any) Call {
	c.Service, c.Operation = b.Model.SigningName, b.Operation.Name
	c.model, c.op, c.input = b.Model, b.Operation, input
	return c
}
