package automation

import "time"

// frame is one aws:loop whose body runs, or that decides whether it runs again.
type frame struct {
	Step      string
	Attempt   int
	Iteration int       // from 1
	Deadline  time.Time `json:",omitzero"`
	Broken    bool      `json:",omitzero"` // isEnd in the body: no more iterations
}

// loop is the frame of a loop by name, nil when it has none yet.
func (s *state) loop(name string) *frame {
	for i := range s.Loops {
		if s.Loops[i].Step == name {
			return &s.Loops[i]
		}
	}
	return nil
}

// level is the loop that the next step stands in, "" at the top.
func (t *turn) level() string {
	if n := len(t.s.Loops); n > 0 {
		return t.s.Loops[n-1].Step
	}
	return ""
}

// iterate runs the body of the loop that is the running step once more.
func (t *turn) iterate() {
	if t.level() != t.s.Step {
		t.s.Loops = append(t.s.Loops, frame{Step: t.s.Step, Attempt: t.s.Attempt, Deadline: t.s.Deadline})
	}
	t.s.Loops[len(t.s.Loops)-1].Iteration++
	t.s.Step, t.s.StepStatus, t.s.Attempt, t.s.Deadline = "", "", 0, time.Time{}
	t.move(t.first(t.level()))
}

// resume makes a loop the running step again.
func (t *turn) resume(f frame) {
	t.s.Step, t.s.StepStatus, t.s.Attempt, t.s.Deadline = f.Step, inProgress, f.Attempt, f.Deadline
}

func (t *turn) pop() frame {
	f := t.s.Loops[len(t.s.Loops)-1]
	t.s.Loops = t.s.Loops[:len(t.s.Loops)-1]
	return f
}

// popOwn drops the frame of the running step when it is a loop that ends.
func (t *turn) popOwn() {
	if t.s.Step != "" && t.level() == t.s.Step {
		t.pop()
	}
}

// breakLoop lets the innermost loop end after this iteration.
func (t *turn) breakLoop() {
	if n := len(t.s.Loops); n > 0 {
		t.s.Loops[n-1].Broken = true
	}
}

// failLoop fails the innermost loop because its body failed: the loop's own
// onFailure and isCritical decide what follows.
func (t *turn) failLoop(status, message string) {
	t.resume(t.pop())
	t.fail(status, message, true)
}

// closeLoops leaves every loop that still runs.
func (t *turn) closeLoops(status, message string) {
	for len(t.s.Loops) > 0 {
		t.resume(t.pop())
		t.leave(status, message)
	}
}

// loopDeadline ends a loop whose time is over while its body runs.
func (t *turn) loopDeadline(e event) {
	f := t.s.loop(e.step)
	if f == nil || f.Attempt != e.attempt || f.Deadline.IsZero() || t.now.Before(f.Deadline) {
		return
	}
	if t.s.Step != "" {
		t.popOwn()
		t.add(effect{kind: fxInterrupt, step: t.s.Step, attempt: t.s.Attempt})
		t.leave(timedOut, "the loop around the step ran out of time")
	}
	for t.level() != e.step {
		t.resume(t.pop())
		t.leave(timedOut, "the loop around the step ran out of time")
	}
	t.resume(t.pop())
	t.fail(timedOut, "the loop ran out of time", false)
}
