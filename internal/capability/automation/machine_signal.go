package automation

import (
	"fmt"
	"slices"
	"strings"
)

// cancel stops the running step and takes its onCancel path, which may run for
// two minutes at most.
func (t *turn) cancel() error {
	if t.s.ended() || t.s.Unwinding {
		return &refusal{"the execution is " + t.s.Status + " and cannot be stopped"}
	}
	step := t.find(t.s.Step)
	t.abandon(cancelled, "the execution was stopped")
	t.s.Unwinding, t.s.Status, t.s.UnwindUntil = true, cancelling, t.now.Add(unwindTime)
	if step != nil {
		if target, ok := strings.CutPrefix(step.OnCancel, "step:"); ok {
			t.add(effect{kind: fxUnwind, at: t.s.UnwindUntil})
			t.move(target)
			return nil
		}
	}
	t.finish()
	return nil
}

// abandon stops the running step, and the loops it stands in.
func (t *turn) abandon(status, message string) {
	if t.s.Step != "" {
		t.popOwn()
		t.add(effect{kind: fxInterrupt, step: t.s.Step, attempt: t.s.Attempt})
		t.leave(status, message)
	}
	t.closeLoops(status, message)
}

// complete lets the running step end and nothing follow it.
func (t *turn) complete() error {
	if t.s.ended() || t.s.Unwinding || t.s.Completing {
		return &refusal{"the execution is " + t.s.Status + " and cannot be stopped"}
	}
	t.s.Completing = true
	if t.s.Step == "" {
		t.finish()
	}
	return nil
}

// startStep enters the step that an interactive execution waits with.
func (t *turn) startStep(name string) error {
	if t.s.ended() {
		return &refusal{"the execution is " + t.s.Status}
	}
	if !t.s.Interactive || t.s.Step != "" {
		return &refusal{"no step waits to be started"}
	}
	if name == "" && len(t.s.ValidNext) == 1 {
		name = t.s.ValidNext[0]
	}
	if !slices.Contains(t.s.ValidNext, name) {
		return &refusal{fmt.Sprintf("step %q cannot start now; valid next steps: %s", name, strings.Join(t.s.ValidNext, ", "))}
	}
	t.enter(t.find(name))
	return nil
}

// stopStep ends the running step as a failure that is not tried again.
func (t *turn) stopStep(e event) error {
	if t.s.ended() || t.s.Step == "" || e.step != t.s.Step {
		return &refusal{"the step does not run"}
	}
	t.add(effect{kind: fxInterrupt, step: t.s.Step, attempt: t.s.Attempt})
	t.fail(cancelled, "the step was stopped", true)
	return nil
}
