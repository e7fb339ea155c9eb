package automation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	// callTime bounds one call through the front door.
	callTime = 25 * time.Second
	// remembered is how long a repetition under the same invocation id is sure to
	// have one effect; the front door keeps answers for 15 minutes.
	remembered = 14 * time.Minute
	// patience is how often a call that answers with a passing fault is repeated.
	patience = 5
)

// run makes one attempt at a step: it decides in the transaction, or commits to
// a call, makes it, and records the answer.
func (s *Service) run(ctx context.Context, r *task.Run) error {
	var a stepArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	var c *call
	var caller actingAs
	err := s.DB.Update(ctx, func(tx *db.Tx) (err error) {
		c = nil
		w, err := s.load(tx, a.Execution)
		if err != nil {
			return err
		}
		if w == nil || !w.running(a) {
			return r.Done(tx)
		}
		caller = w.actingAs()
		if c, err = w.begin(); c == nil && err == nil {
			err = r.Done(tx)
		}
		return err
	})
	if err != nil || c == nil {
		return err
	}
	body, err := s.perform(ctx, caller, c)
	if (passing(err) || lostAnswer(c, err)) && r.Attempt < patience {
		return err
	}
	if lostAnswer(c, err) && c.lookup != nil {
		if found, lookErr := s.perform(ctx, caller, c.lookup); lookErr == nil {
			body, err, c.looked = found, nil, true
		}
	}
	return s.answered(ctx, r, a, c, body, err)
}

// begin decides a step or commits to its call, which it answers.
func (w *work) begin() (*call, error) {
	act, known := actions[w.row.Action]
	if !known {
		return nil, w.settle(outcome{message: fmt.Sprintf("action %s is not supported", w.row.Action), reason: "UnsupportedAction", final: true})
	}
	in, err := w.inputs(act)
	if err != nil {
		return nil, w.settle(failedf("%v", err))
	}
	if act.decide != nil {
		return nil, w.settle(act.decide(w, in))
	}
	c, err := act.call(w, in)
	if err != nil {
		return nil, w.settle(failedf("%v", err))
	}
	c.repeated = !w.row.Intent.IsZero()
	if c.repeated && !c.repeatable && w.tx.Now.Sub(w.row.Intent) > remembered {
		return nil, w.unknown(c)
	}
	if !c.repeated {
		w.row.Intent = w.tx.Now
	}
	if !c.repeatable {
		c.id = w.invocationID()
	}
	if act.find != nil && c.repeated {
		if c.lookup, err = act.find(w, in); err != nil {
			return nil, err
		}
	}
	return c, w.s.updateStep(w.tx, w.row)
}

// unknownOutcome is the FailureType of a step that waits because nobody knows
// whether its call took effect.
const unknownOutcome = "Unknown"

// unknown parks a step whose call may or may not have had its effect: a person
// says Resume, StopStep or stops the execution.
func (w *work) unknown(c *call) error {
	w.row.Spec.FailureType = unknownOutcome
	w.row.Spec.Message = fmt.Sprintf("it is not known whether %s took effect; signal Resume to make the call again, or StopStep", c.operation)
	if _, err := w.s.Tasks.Cancel(w.tx, "automation.timer", w.args(w.row).key()); err != nil {
		return err
	}
	p := w.row
	w.tx.AfterCommit(func() {
		w.s.Log.Warn("the outcome of a call is unknown", "execution", w.ex.ID, "step", p.Name, "operation", c.operation)
	})
	if err := w.apply(event{kind: evWaiting, step: p.Name, attempt: p.Attempt}); err != nil {
		return err
	}
	return w.record("automation.step.unknown", w.stepFact(p))
}

// answered settles a step by the answer of its call.
func (s *Service) answered(ctx context.Context, r *task.Run, a stepArgs, c *call, body []byte, callErr error) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if err := r.Done(tx); err != nil {
			return err
		}
		w, err := s.load(tx, a.Execution)
		if err != nil || w == nil {
			return err
		}
		switch {
		case !w.running(a):
			return w.late(a, c, body, callErr)
		case (passing(callErr) || lostAnswer(c, callErr)) && !c.repeatable && !errors.Is(callErr, errNotMade):
			return w.unknown(c)
		case callErr != nil:
			return w.settle(callFailed(c, callErr))
		}
		return w.understand(c, body)
	})
}

// understand settles the running step by a body: the answer of its call, or what
// a lookup found that an earlier attempt of the call had started.
func (w *work) understand(c *call, body []byte) error {
	v, err := w.s.opened(w.tx, w.row)
	if err != nil {
		return err
	}
	act := actions[w.row.Action]
	if !c.looked {
		return w.settle(act.answer(w, v.Inputs, body))
	}
	o, err := act.found(w, v.Inputs, body)
	if err != nil {
		return w.unknown(c)
	}
	return w.settle(o)
}

// late stops what a call started for an attempt that ended meanwhile.
func (w *work) late(a stepArgs, c *call, body []byte, callErr error) error {
	for _, p := range w.steps {
		act := actions[p.Action]
		if p.ID != a.Step || p.Attempt != a.Attempt || callErr != nil || act.interrupt == nil || c.looked {
			continue
		}
		w.row = p
		if o := act.answer(w, nil, body); o.far != "" {
			p.Far, p.Intent = o.far, time.Time{}
			if err := w.s.updateStep(w.tx, p); err != nil {
				return err
			}
			return w.stopFar(p)
		}
	}
	return nil
}

// settle carries an outcome into the machine.
func (w *work) settle(o outcome) error {
	p := w.row
	v, err := w.s.opened(w.tx, p)
	if err != nil {
		return err
	}
	p.Intent = time.Time{}
	if o.outputs != nil {
		v.Outputs = o.outputs
	}
	if o.response != "" {
		v.Response = o.response
	}
	p.Spec.Code, p.Spec.Message, p.Spec.FailureType = o.code, o.message, o.reason
	e := event{step: p.Name, attempt: p.Attempt, next: o.next, message: o.message, final: o.final}
	switch o.kind {
	case done:
		e.kind = evSucceeded
	case paused:
		e.kind = evWaiting
	case iterate:
		e.kind = evIterate
	case failure:
		e.kind = evFailed
	default:
		return w.settleLater(o)
	}
	if err := w.s.updateStep(w.tx, p); err != nil {
		return err
	}
	if o.asked != nil {
		if err := w.record("automation.approval.requested", *o.asked); err != nil {
			return err
		}
	}
	return w.apply(e)
}

// settleLater has the step looked at again: at a time, or when what it started
// ends.
func (w *work) settleLater(o outcome) error {
	p := w.row
	if o.far != "" {
		p.Far = o.far
	}
	spec := task.Spec{Kind: "automation.collect", Key: w.args(p).key(), Args: w.args(p), Due: w.tx.Now.Add(askAfter(p.Spec.Asked))}
	if o.kind == sleeping {
		spec.Kind, spec.Due = "automation.wake", o.due
	}
	p.Spec.Asked++
	if err := w.s.updateStep(w.tx, p); err != nil {
		return err
	}
	return w.s.Tasks.Enqueue(w.tx, spec)
}

// askAfter is the wait before asking again: from half a second to 30 seconds.
func askAfter(asked int) time.Duration {
	return min(30*time.Second, 500*time.Millisecond<<min(asked, 6))
}

// timer ends an attempt whose time is over. While a call is under way its answer
// is waited for: what it did must be known.
func (s *Service) timer(ctx context.Context, r *task.Run) error {
	return s.event(ctx, r, func(w *work, a stepArgs) error {
		p := w.stepByID(a.Step)
		if p == nil {
			return r.Done(w.tx)
		}
		if w.running(a) && !p.Intent.IsZero() {
			return r.Again(w.tx, w.tx.Now.Add(time.Second))
		}
		if err := r.Done(w.tx); err != nil {
			return err
		}
		return w.apply(event{kind: evDeadline, step: p.Name, attempt: a.Attempt})
	})
}

func (w *work) stepByID(id string) *step {
	for _, p := range w.steps {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// wake ends a sleep.
func (s *Service) wake(ctx context.Context, r *task.Run) error {
	return s.event(ctx, r, func(w *work, a stepArgs) error {
		if err := r.Done(w.tx); err != nil || !w.running(a) {
			return err
		}
		return w.apply(event{kind: evSucceeded, step: w.row.Name, attempt: a.Attempt})
	})
}

// unwind ends a cancel path that ran out of time.
func (s *Service) unwind(ctx context.Context, r *task.Run) error {
	return s.event(ctx, r, func(w *work, _ stepArgs) error {
		if err := r.Done(w.tx); err != nil {
			return err
		}
		return w.apply(event{kind: evUnwound})
	})
}

// event runs a transition of one transaction on an execution.
func (s *Service) event(ctx context.Context, r *task.Run, f func(w *work, a stepArgs) error) error {
	var a stepArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		w, err := s.load(tx, a.Execution)
		if err != nil {
			return err
		}
		if w == nil {
			return r.Done(tx)
		}
		return f(w, a)
	})
}
