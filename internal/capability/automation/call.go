package automation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// actingAs is who the steps of an execution call as. The person who started it
// stays the person behind its calls, so that no runbook approves for them.
type actingAs struct{ role, principal, started, session, human, via string }

func (w *work) actingAs() actingAs {
	return actingAs{
		role: w.ex.Role, principal: w.ex.StartedBy, started: w.ex.vault.Session, session: "Automation-" + w.ex.ID, human: w.ex.Human,
		via: ARN(w.tx.Scope, w.ex.ID),
	}
}

func (s *Service) assume(ctx context.Context, who actingAs) (context.Context, error) {
	ctx = identity.With(ctx, identity.Caller{ARN: who.principal, Human: who.human})
	var err error
	if who.role != "" {
		ctx, err = s.Roles.AssumeRole(ctx, who.role, who.session)
	} else {
		ctx, err = s.Roles.Resume(ctx, who.principal, who.started)
	}
	if err != nil {
		return nil, errors.Join(errNotMade, err)
	}
	c := identity.From(ctx)
	c.Human, c.Via = who.human, who.via
	return identity.With(ctx, c), nil
}

// space is the name space of invocation ids.
var space = uuid.MustParse("6f1f4d0a-3d0b-4c7e-9d55-1f6a3f6f5b7e")

// perform makes a call as the execution's role.
func (s *Service) perform(ctx context.Context, who actingAs, c *call) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	ctx, err := s.assume(ctx, who)
	if err != nil {
		return nil, err
	}
	return s.Caller.Call(wire.WithInvocationID(ctx, c.id), c.service, c.operation, c.body)
}

// invocationID names the call of an attempt: the same for every repetition.
func (w *work) invocationID() string {
	return uuid.NewSHA1(space, fmt.Appendf(nil, "%s/%s/%d/%d", w.ex.ID, w.row.ID, w.row.Attempt, w.row.Spec.Retries)).String()
}

// passing says whether a fault may be gone at the next try.
func passing(err error) bool {
	if err == nil {
		return false
	}
	coded, ok := errors.AsType[fault.Coded](err)
	return !ok || coded.HTTPStatus() >= http.StatusInternalServerError || strings.HasPrefix(coded.ErrorCode(), "Throttling")
}

// lostAnswer says whether the front door knows that an earlier attempt of a
// repeated call had its effect, but not what it answered.
func lostAnswer(c *call, err error) bool {
	coded, ok := errors.AsType[fault.Coded](err)
	return ok && c.repeated && coded.HTTPStatus() == http.StatusConflict
}

// errNotMade says that a call was given up before it began.
var errNotMade = errors.New("the call was not made")

func callFailed(c *call, err error) outcome {
	o := outcome{reason: "InternalServerError", message: fmt.Sprintf("%s %s: no answer", c.service, c.operation)}
	if coded, ok := errors.AsType[fault.Coded](err); ok {
		o.reason = coded.ErrorCode()
		o.message = fmt.Sprintf("%s %s: %s: %s", c.service, c.operation, coded.ErrorCode(), coded.ErrorMessage())
	}
	return o
}
