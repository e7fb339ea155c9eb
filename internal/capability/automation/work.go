package automation

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// work is one execution in the hands of a transaction.
type work struct {
	s     *Service
	tx    *db.Tx
	ex    *execution
	doc   *ssmdoc.Document
	plan  *plan
	steps []*step
	row   *step // of the running step, nil between steps
	flaw  error // what in the flow could not be read
}

// stepArgs are the arguments of the tasks about one attempt of a step.
type stepArgs struct {
	Execution string
	Step      string // id of the row
	Attempt   int
}

func (a stepArgs) key() string { return fmt.Sprintf("%s/%d", a.Step, a.Attempt) }

// load locks an execution and reads all of it, nil when there is none.
func (s *Service) load(tx *db.Tx, id string) (*work, error) { return s.loadWith(tx, id, true) }

func (s *Service) loadWith(tx *db.Tx, id string, lock bool) (*work, error) {
	ex, err := s.findExecution(tx, id, lock)
	if err != nil || ex == nil {
		return nil, err
	}
	w := &work{s: s, tx: tx, ex: ex}
	if err := w.read(); err != nil {
		return nil, fmt.Errorf("execution %s: %w", id, err)
	}
	if w.steps, err = findSteps(tx, id); err != nil {
		return nil, err
	}
	w.row = w.latest(ex.State.Step)
	return w, nil
}

// read parses the pinned document and its flow.
func (w *work) read() error {
	var err error
	if w.doc, err = w.s.content(w.tx, w.ex.Hash); err != nil {
		return err
	}
	w.plan, w.flaw = newPlan(w.doc, w.values().expand)
	return nil
}

// latest is the newest row of a step, nil when it has none.
func (w *work) latest(name string) *step {
	for i := len(w.steps) - 1; i >= 0; i-- {
		if w.steps[i].Name == name && name != "" {
			return w.steps[i]
		}
	}
	return nil
}

// running says whether the attempt that a task is about is still the one that runs.
func (w *work) running(a stepArgs) bool {
	return w.row != nil && w.row.ID == a.Step && w.row.Attempt == a.Attempt && w.ex.State.Attempt == a.Attempt && !w.ex.State.ended()
}

func (w *work) values() *values {
	return &values{
		parameters: w.ex.vault.Parameters, variables: w.ex.vault.Variables, output: w.output,
		account: w.tx.Scope.Account, region: w.tx.Scope.Region, execution: w.ex.ID, now: w.tx.Now,
	}
}

// output is an output of a step that ran.
func (w *work) output(name, output string) (any, error) {
	p := w.latest(name)
	if n := len(w.ex.State.Loops); p == nil && name == "loop" && n > 0 {
		p = w.latest(w.ex.State.Loops[n-1].Step)
	}
	if p == nil {
		return nil, fmt.Errorf("{{ %s.%s }}: there is no such step", name, output)
	}
	v, err := w.s.opened(w.tx, p)
	if err != nil {
		return nil, err
	}
	value, ok := v.Outputs[output]
	if !ok {
		return nil, fmt.Errorf("{{ %s.%s }}: the step is %s and has no such output", name, output, p.Status)
	}
	return value, nil
}

// apply runs the machine on an event, carries out what it wants and saves.
func (w *work) apply(e event) error {
	next, fx, err := w.plan.next(w.ex.State, e, w.tx.Now)
	if err != nil {
		return err
	}
	w.ex.State = next
	for _, f := range fx {
		if err := w.effect(f); err != nil {
			return fmt.Errorf("execution %s: %w", w.ex.ID, err)
		}
	}
	w.ex.Action = ""
	if p := w.plan.find(next.Step); p != nil {
		w.ex.Action = p.Action
	}
	return w.s.updateExecution(w.tx, w.ex)
}

func (w *work) effect(f effect) error {
	switch f.kind {
	case fxEnter:
		return w.enter(f)
	case fxIterate:
		a := w.args(w.latest(f.step))
		key := fmt.Sprintf("%s/%d", a.key(), w.ex.State.loop(f.step).Iteration)
		return w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.run", Key: key, Args: a})
	case fxWait:
		w.row = w.latest(f.step)
		w.row.Status = waiting
		return w.s.updateStep(w.tx, w.row)
	case fxLeave:
		return w.leave(f)
	case fxInterrupt:
		return w.stopFar(w.latest(f.step))
	case fxUnwind:
		return w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.unwind", Key: w.ex.ID, Args: stepArgs{Execution: w.ex.ID}, Due: f.at})
	case fxFinish:
		return w.finish(f)
	}
	return nil
}

func (w *work) args(p *step) stepArgs {
	return stepArgs{Execution: w.ex.ID, Step: p.ID, Attempt: p.Attempt}
}

// enter starts an attempt: its row, the task that runs it, and its timer.
func (w *work) enter(f effect) error {
	p, err := w.rowOf(f)
	if err != nil {
		return err
	}
	if f.attempt > 1 {
		if err := w.dropTasks(p); err != nil {
			return err
		}
	}
	if p.vault, err = w.s.opened(w.tx, p); err != nil {
		return err
	}
	p.reset(f.attempt, w.tx.Now)
	p.vault.Inputs, p.vault.Outputs = nil, nil
	w.row = p
	if err := w.s.updateStep(w.tx, p); err != nil {
		return err
	}
	a := w.args(p)
	if err := w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.run", Key: a.key(), Args: a}); err != nil {
		return err
	}
	if !f.at.IsZero() {
		if err := w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.timer", Key: a.key(), Args: a, Due: f.at}); err != nil {
			return err
		}
	}
	return w.record("automation.step.started", w.stepFact(p))
}

// rowOf is the row for an attempt of a step: the one made at the start of the
// execution, or a new one for each iteration of a loop.
func (w *work) rowOf(f effect) (*step, error) {
	planned := w.plan.find(f.step)
	if planned.Parent == "" || f.attempt > 1 {
		return w.latest(f.step), nil
	}
	loop := w.ex.State.loop(planned.Parent)
	p := &step{Name: planned.Name, Action: planned.Action, Iteration: int64(loop.Iteration), ID: uuid.NewString(), Status: pending}
	if around := w.latest(planned.Parent); around != nil {
		p.Parent, p.Spec.IteratorValue = around.ID, around.Spec.IteratorValue
	}
	p.Position = w.steps[len(w.steps)-1].Position + 1
	w.steps = append(w.steps, p)
	return p, w.s.insertStep(w.tx, w.ex.ID, p)
}

// leave ends a step.
func (w *work) leave(f effect) error {
	p := w.latest(f.step)
	if err := w.dropTasks(p); err != nil {
		return err
	}
	p.Status, p.Ended = f.status, w.tx.Now
	if f.message != "" && p.Spec.Message == "" {
		p.Spec.Message = f.message
	}
	w.row = nil
	if err := w.s.updateStep(w.tx, p); err != nil {
		return err
	}
	return w.record("automation.step.finished", w.stepFact(p))
}

// dropTasks takes away what waits for an attempt that is over.
func (w *work) dropTasks(p *step) error {
	key := w.args(p).key()
	for _, kind := range []string{"automation.timer", "automation.wake", "automation.collect"} {
		if _, err := w.s.Tasks.Cancel(w.tx, kind, key); err != nil {
			return err
		}
	}
	return nil
}

// stopFar has what an attempt started elsewhere stopped.
func (w *work) stopFar(p *step) error {
	if p.Far == "" || actions[p.Action].interrupt == nil {
		return nil
	}
	a := farArgs{stepArgs: w.args(p), Far: p.Far}
	return w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.interrupt", Key: a.key(), Args: a})
}

// finish ends the execution and gives its outputs.
func (w *work) finish(f effect) error {
	w.ex.Ended = w.tx.Now
	if _, err := w.s.Tasks.Cancel(w.tx, "automation.unwind", w.ex.ID); err != nil {
		return err
	}
	for _, name := range w.doc.Outputs {
		name = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(name), "{{"), "}}"))
		step, output, _ := strings.Cut(name, ".")
		value, err := w.output(step, output)
		if err != nil {
			value = "No output available: the step did not give it"
		}
		if w.ex.vault.Outputs == nil {
			w.ex.vault.Outputs = map[string][]string{}
		}
		w.ex.vault.Outputs[name] = texts(value)
	}
	return w.record("automation.finished", w.fact())
}

// ARN is the ARN of an execution.
func ARN(s db.Scope, executionID string) string {
	return arn.SSM(s, "automation-execution/"+executionID)
}
