package automation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The statuses an execution or a step can have, in AWS's spelling
// (AutomationExecutionStatus).
const (
	pending    = "Pending"
	inProgress = "InProgress"
	waiting    = "Waiting"
	success    = "Success"
	timedOut   = "TimedOut"
	cancelling = "Cancelling"
	cancelled  = "Cancelled"
	failed     = "Failed"
)

// unwindTime is the longest that the path of an onCancel may run.
const unwindTime = 2 * time.Minute

// plan is the flow of a runbook: what the machine needs to know of its steps.
type plan struct {
	steps []planStep
}

// planStep is one step of a plan. Parent names the aws:loop it stands in.
type planStep struct {
	Name, Action        string
	Parent              string
	MaxAttempts         int
	Timeout             time.Duration // 0: no limit
	OnFailure, OnCancel string        // Abort, Continue, step:name
	Next                string        // "" for the next in document order
	Critical, End       bool
}

// find is the step of a name, nil when there is none.
func (p *plan) find(name string) *planStep {
	i := slices.IndexFunc(p.steps, func(s planStep) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &p.steps[i]
}

// after is the name of the step that follows in document order at the same
// level, "" when it is the last there.
func (p *plan) after(name string) string {
	i := slices.IndexFunc(p.steps, func(s planStep) bool { return s.Name == name })
	for j := i + 1; i >= 0 && j < len(p.steps); j++ {
		if p.steps[j].Parent == p.steps[i].Parent {
			return p.steps[j].Name
		}
	}
	return ""
}

// first is the name of the first step at a level: of the runbook ("") or of a loop.
func (p *plan) first(parent string) string {
	for i := range p.steps {
		if p.steps[i].Parent == parent {
			return p.steps[i].Name
		}
	}
	return ""
}

// state is where an execution stands. It is kept in its row as JSON.
type state struct {
	Status      string
	Interactive bool      `json:",omitzero"`
	Step        string    `json:",omitzero"` // the step that runs, "" between steps
	StepStatus  string    `json:",omitzero"`
	Attempt     int       `json:",omitzero"`
	Deadline    time.Time `json:",omitzero"` // of the attempt, zero when it has none
	ValidNext   []string  `json:",omitzero"` // interactive: what StartStep may name
	Visited     []string  `json:",omitzero"` // steps that ran at the top level
	Bad         string    `json:",omitzero"` // status a critical failure gave
	Message     string    `json:",omitzero"`
	Completing  bool      `json:",omitzero"` // stop after the running step
	Unwinding   bool      `json:",omitzero"` // cancelled, on the onCancel path
	UnwindUntil time.Time `json:",omitzero"`
	Loops       []frame   `json:",omitzero"` // the loops the running step stands in
}

// ended says whether nothing can happen to the execution any more.
func (s *state) ended() bool {
	switch s.Status {
	case success, timedOut, cancelled, failed:
		return true
	}
	return false
}

// event is something that happened to an execution.
type event struct {
	kind    eventKind
	step    string // the step it is about; a stale one is dropped
	attempt int
	next    string // succeeded: where a branch leads; startStep: the step named
	message string
	final   bool // failed: another attempt is of no use
}

type eventKind int

const (
	evStart eventKind = iota + 1
	evWaiting
	evSucceeded
	evFailed
	evDeadline
	evIterate
	evCancel
	evUnwound
	evComplete
	evStartStep
	evStopStep
)

// effect is something the machine wants done in the same transaction.
type effect struct {
	kind    effectKind
	step    string
	attempt int
	status  string
	message string
	at      time.Time // enter: the deadline; unwind: the limit
}

type effectKind int

const (
	fxEnter     effectKind = iota + 1 // start an attempt of a step
	fxIterate                         // ask a loop whether its body runs again
	fxWait                            // the step waits
	fxLeave                           // the step ended with a status
	fxInterrupt                       // stop what the attempt started elsewhere
	fxUnwind                          // the cancel path has a limit
	fxFinish                          // the execution ended with a status
)

// refusal is a signal or a stop that the state does not allow.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// turn carries one run of the machine.
type turn struct {
	*plan
	s   state
	fx  []effect
	now time.Time
}

// next is the machine of an execution: a pure function from a state, an event
// and the time to the new state and the effects. The error is a *refusal, for
// signals only; events that came too late change nothing.
func (p *plan) next(s state, e event, now time.Time) (state, []effect, error) {
	s.Visited, s.ValidNext, s.Loops = slices.Clone(s.Visited), slices.Clone(s.ValidNext), slices.Clone(s.Loops)
	t := &turn{plan: p, s: s, now: now}
	err := t.handle(e)
	return t.s, t.fx, err
}

func (t *turn) handle(e event) error {
	switch e.kind {
	case evCancel:
		return t.cancel()
	case evComplete:
		return t.complete()
	case evStartStep:
		return t.startStep(e.next)
	case evStopStep:
		return t.stopStep(e)
	}
	if t.s.ended() {
		return nil
	}
	switch e.kind {
	case evStart:
		t.start(e.message)
		return nil
	case evUnwound:
		if t.s.Unwinding && !t.now.Before(t.s.UnwindUntil) {
			t.abandon(cancelled, "the cancel path ran out of time")
			t.finish()
		}
		return nil
	}
	switch {
	case e.step != "" && e.step == t.s.Step && e.attempt == t.s.Attempt:
		t.stepEvent(e)
	case e.kind == evDeadline:
		t.loopDeadline(e)
	}
	return nil
}

// start enters the first step; a message says why nothing can run.
func (t *turn) start(problem string) {
	if t.s.Status != pending {
		return
	}
	t.s.Status = inProgress
	if problem != "" {
		t.derail(problem)
		return
	}
	t.move(t.first(""))
}

// stepEvent is what the running attempt reports.
func (t *turn) stepEvent(e event) {
	switch e.kind {
	case evWaiting:
		t.s.StepStatus = waiting
		if !t.s.Unwinding {
			t.s.Status = waiting
		}
		t.add(effect{kind: fxWait, step: e.step, attempt: e.attempt, message: e.message})
	case evSucceeded:
		t.succeed(e.next)
	case evFailed:
		t.fail(failed, e.message, e.final)
	case evDeadline:
		if !t.s.Deadline.IsZero() && !t.now.Before(t.s.Deadline) {
			t.add(effect{kind: fxInterrupt, step: t.s.Step, attempt: t.s.Attempt})
			t.fail(timedOut, "the step ran out of time", false)
		}
	case evIterate:
		t.iterate()
	}
}

func (t *turn) add(f effect) { t.fx = append(t.fx, f) }

// enter starts the first attempt of a step.
func (t *turn) enter(step *planStep) {
	if len(t.s.Loops) == 0 {
		t.s.Visited = append(t.s.Visited, step.Name)
	}
	t.s.Step, t.s.ValidNext = step.Name, nil
	t.attempt(step, 1)
}

func (t *turn) attempt(step *planStep, n int) {
	t.s.Attempt, t.s.StepStatus, t.s.Deadline = n, inProgress, time.Time{}
	if step.Timeout > 0 {
		t.s.Deadline = t.now.Add(step.Timeout)
	}
	if !t.s.Unwinding {
		t.s.Status = inProgress
	}
	t.add(effect{kind: fxEnter, step: step.Name, attempt: n, at: t.s.Deadline})
}

// leave ends the running step with a status.
func (t *turn) leave(status, message string) {
	t.add(effect{kind: fxLeave, step: t.s.Step, attempt: t.s.Attempt, status: status, message: message})
	t.s.Step, t.s.StepStatus, t.s.Attempt, t.s.Deadline = "", "", 0, time.Time{}
	if t.s.Status == waiting {
		t.s.Status = inProgress
	}
}

// succeed leaves the step and goes where it leads. A branch that chose nothing
// falls through to the next step, unless it is the end.
func (t *turn) succeed(chosen string) {
	step := t.find(t.s.Step)
	t.popOwn()
	t.leave(success, "")
	if chosen != "" {
		t.move(chosen)
		return
	}
	t.forward(step)
}

// forward goes to what follows a step that ended.
func (t *turn) forward(step *planStep) {
	switch {
	case step.End:
		t.breakLoop()
		t.endLevel()
	case step.Next != "":
		t.move(step.Next)
	default:
		t.moveOrEnd(step)
	}
}

func (t *turn) moveOrEnd(step *planStep) {
	if name := t.after(step.Name); name != "" {
		t.move(name)
		return
	}
	t.endLevel()
}

// endLevel ends the body of a loop or the runbook.
func (t *turn) endLevel() {
	if len(t.s.Loops) == 0 {
		t.finish()
		return
	}
	f := t.s.Loops[len(t.s.Loops)-1]
	t.resume(f)
	t.add(effect{kind: fxIterate, step: f.Step, attempt: f.Attempt})
}

// move enters a step, or lets a person start it in interactive mode. A step
// runs once in an execution (in an iteration of a loop), so a runbook cannot
// turn in a circle.
func (t *turn) move(name string) {
	step := t.find(name)
	switch {
	case step == nil:
		t.derail(fmt.Sprintf("the runbook has no step %q", name))
	case step.Parent != t.level():
		t.derail(fmt.Sprintf("step %q cannot be reached from outside its loop", name))
	case len(t.s.Loops) == 0 && slices.Contains(t.s.Visited, name):
		t.derail(fmt.Sprintf("step %q would run a second time", name))
	case t.s.Completing:
		t.breakLoop()
		t.endLevel()
	case t.s.Interactive && !t.s.Unwinding && len(t.s.Loops) == 0:
		t.s.Status, t.s.ValidNext = waiting, []string{name}
	default:
		t.enter(step)
	}
}

// derail ends an execution whose flow is broken.
func (t *turn) derail(message string) {
	t.bad(failed, message)
	t.finish()
}

func (t *turn) bad(status, message string) {
	if t.s.Bad == "" {
		t.s.Bad, t.s.Message = status, message
	}
}

// fail ends an attempt; the step ends with it when it was the last one.
func (t *turn) fail(status, message string, final bool) {
	step := t.find(t.s.Step)
	t.popOwn()
	if !final && t.s.Attempt < step.MaxAttempts && !t.s.Completing {
		t.attempt(step, t.s.Attempt+1)
		return
	}
	t.leave(status, message)
	target, jumps := strings.CutPrefix(step.OnFailure, "step:")
	goesOn := jumps || step.OnFailure == "Continue"
	if len(t.s.Loops) > 0 && !goesOn && !t.s.Unwinding {
		t.failLoop(status, fmt.Sprintf("step %s: %s", step.Name, message))
		return
	}
	if step.Critical {
		t.bad(status, fmt.Sprintf("Step %s ended as %s: %s", step.Name, status, message))
	}
	switch {
	case t.s.Unwinding || !goesOn:
		t.finish()
	case jumps:
		t.move(target)
	default:
		t.forward(step)
	}
}

// finish ends the execution.
func (t *turn) finish() {
	t.s.Status = success
	switch {
	case t.s.Unwinding:
		t.s.Status = cancelled
	case t.s.Bad != "":
		t.s.Status = t.s.Bad
	}
	t.closeLoops(t.s.Status, "the execution ended")
	t.s.ValidNext = nil
	t.add(effect{kind: fxFinish, status: t.s.Status, message: t.s.Message})
}
