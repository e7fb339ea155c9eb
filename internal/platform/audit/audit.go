package audit

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

//go:embed migrate/*.sql
var files embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "audit", FS: files}

// Class says how a call is recorded.
type Class int

// The classes of calls.
const (
	Read Class = iota // recorded in batches
	SecretRead
	Mutation
)

// Kinds of the facts of this package.
const (
	KindCalled  = "api.called"
	KindBatch   = "api.called.batch"
	KindRefused = "api.refused.many" // see Refusals
)

// Service records calls.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal
	Tasks   *task.Engine
	Sealer  *seal.Sealer
	Log     *slog.Logger
	// Classify says what kind of call this is.
	Classify func(service, operation string, input any) Class
	// Repeatable says that an operation finds out by itself that it was carried out
	// before under the same token or invocation id. Nil: none does.
	Repeatable func(service, operation string) bool

	batch batch
	flood *flood
}

// New makes the service and joins the store's transactions.
func New(s Service) *Service {
	s.batch.init()
	if s.Repeatable == nil {
		s.Repeatable = func(string, string) bool { return false }
	}
	s.flood = &flood{}
	s.DB.BeforeCommit(s.beforeCommit)
	s.Tasks.Handle(taskPrune, s.prune)
	return &s
}

// call is one mutation under way.
type call struct {
	binding  wire.Binding
	input    any
	caller   identity.Caller
	replay   *replay // nil without an invocation id
	claimed  bool    // an earlier attempt took the id, and its answer is not known
	recorded bool
	answer   any  // of the transaction under way, by Answer
	kept     bool // the answer was kept with the change
}

type callKey struct{}

// Around runs a call so that what it changes and the fact of the call are one.
func (s *Service) Around(ctx context.Context, b wire.Binding, input any, next func(context.Context) (any, error)) (any, error) {
	caller := identity.From(ctx)
	ctx = journal.WithActor(ctx, caller.ARN)
	switch s.Classify(b.Model.SigningName, b.Operation.Name, input) {
	case Read:
		return next(ctx)
	case SecretRead:
		return s.secretRead(ctx, b, input, next)
	}
	c := &call{binding: b, input: input, caller: caller}
	ctx = context.WithValue(ctx, callKey{}, c)
	answer, again, err := s.earlier(ctx, c)
	if err != nil || again {
		return answer, err
	}
	out, err := next(ctx)
	if errors.Is(err, errRepeated) { // the first attempt committed meanwhile
		answer, _, err = s.earlier(ctx, c)
		return answer, err
	}
	if err != nil {
		return nil, err
	}
	return out, s.settle(ctx, c, out)
}

// secretRead gives out a secret only when that is recorded.
func (s *Service) secretRead(ctx context.Context, b wire.Binding, input any, next func(context.Context) (any, error)) (any, error) {
	out, err := next(ctx)
	if err != nil {
		return nil, err
	}
	who := identity.From(ctx)
	err = s.recordNow(ctx, entry{
		Service: b.Model.SigningName, Operation: b.Operation.Name, Input: redact(b, input), Status: http.StatusOK,
		AccessKeyID: who.AccessKeyID, SourceIP: who.SourceIP, Actor: who.ARN, RequestID: wire.RequestID(ctx),
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// settle makes sure that the call is recorded, and keeps its answer.
func (s *Service) settle(ctx context.Context, c *call, out any) error {
	if !c.recorded { // it wrote nothing
		if err := s.DB.Update(ctx, func(*db.Tx) error { return nil }); err != nil {
			return err
		}
	}
	if c.replay == nil || c.kept {
		return nil
	}
	if err := s.keepAnswer(ctx, c, out); err != nil { // the change is made: that is what the caller must hear
		s.Log.WarnContext(ctx, "the answer of a call is not kept for a repetition", "error", err, "operation", c.binding.Operation.Name)
	}
	return nil
}

// Answer names the output of the operation that tx belongs to: it is kept with the
// change, for a repetition of the call. Out is a pointer; what it holds when the
// closure ends is what counts, and the operation must answer just that. Nil takes the
// name back, for a change that is kept though the call fails. Outside a call it does
// nothing.
func Answer(tx *db.Tx, out any) {
	if c, _ := tx.Context().Value(callKey{}).(*call); c != nil && !c.recorded {
		c.answer = out
	}
}

// beforeCommit adds the fact of the call to the first transaction that it commits.
func (s *Service) beforeCommit(tx *db.Tx) error {
	c, _ := tx.Context().Value(callKey{}).(*call)
	if c == nil || c.recorded {
		return nil
	}
	out := c.answer
	c.answer = nil // the closure may run again
	if err := s.claim(tx, c, out); err != nil {
		return err
	}
	tx.AfterCommit(func() { c.recorded, c.kept = true, out != nil })
	return s.Journal.Record(tx, journal.Fact{Kind: KindCalled, Subject: c.binding.Operation.Name, Body: entry{
		Service: c.binding.Model.SigningName, Operation: c.binding.Operation.Name, Input: redact(c.binding, c.input),
		Status: http.StatusOK, AccessKeyID: c.caller.AccessKeyID, SourceIP: c.caller.SourceIP,
	}})
}

// Observe records what Around did not: reads, refusals and failures.
func (s *Service) Observe(ctx context.Context, c wire.Call) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx = context.WithoutCancel(ctx)
	class := s.Classify(c.Service, c.Operation, c.RawInput())
	if c.Err == nil && class != Read {
		return // recorded with its change, or before the secret was given out
	}
	e := s.newEntry(ctx, c)
	if c.Err != nil && e.Actor == "" && !c.InProcess && !s.flood.admit(e.SourceIP, time.Now()) {
		return // counted
	}
	if c.Err == nil && class == Read || c.Err != nil && !denied(c) && class != Mutation {
		s.batch.add(e)
		return
	}
	if err := s.recordNow(ctx, e); err != nil {
		s.Log.ErrorContext(ctx, "record a call", "error", err, "service", c.Service, "operation", c.Operation, "request_id", c.RequestID)
	}
}

// denied tells refusals for want of rights from other errors.
func denied(c wire.Call) bool {
	code := fault.Of(c.Err).ErrorCode()
	return c.Status == http.StatusForbidden || c.Status == http.StatusUnauthorized || code == "AccessDeniedException" ||
		code == "UnrecognizedClientException" || code == "InvalidSignatureException" || code == "MissingAuthenticationTokenException"
}
