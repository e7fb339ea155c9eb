package automation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// SendAutomationSignal tells a waiting execution what a person decided.
func (s *Service) SendAutomationSignal(ctx context.Context, in *ssm.SendAutomationSignalInput) (*ssm.SendAutomationSignalOutput, error) {
	out := &ssm.SendAutomationSignalOutput{}
	err := s.change(ctx, *in.AutomationExecutionId, func(w *work) error {
		audit.Answer(w.tx, out)
		return w.signal(identity.From(ctx), in)
	})
	var r *refusal
	if errors.As(err, &r) {
		return nil, &ssm.InvalidAutomationSignalException{Message: r.reason}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StopAutomationExecution stops an execution: Cancel stops the running step and
// takes its onCancel path, Complete lets the running step end.
func (s *Service) StopAutomationExecution(ctx context.Context, in *ssm.StopAutomationExecutionInput) (*ssm.StopAutomationExecutionOutput, error) {
	kind := evCancel
	if in.Type == ssm.StopTypeComplete {
		kind = evComplete
	}
	out := &ssm.StopAutomationExecutionOutput{}
	err := s.change(ctx, *in.AutomationExecutionId, func(w *work) error {
		audit.Answer(w.tx, out)
		f := w.fact()
		f.Signal = "Stop" + string(in.Type)
		if err := w.record("automation.stopping", f); err != nil {
			return err
		}
		return w.apply(event{kind: kind})
	})
	var r *refusal
	if errors.As(err, &r) {
		return nil, &ssm.InvalidAutomationStatusUpdateException{Message: r.reason}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// change runs f on an execution in one transaction.
func (s *Service) change(ctx context.Context, id string, f func(w *work) error) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		w, err := s.load(tx, id)
		if err != nil {
			return err
		}
		if w == nil {
			return notFound(id)
		}
		return f(w)
	})
}

func notFound(id string) error {
	return &ssm.AutomationExecutionNotFoundException{Message: fmt.Sprintf("No automation execution has the id %s.", id)}
}

func (w *work) signal(c identity.Caller, in *ssm.SendAutomationSignalInput) error {
	switch in.SignalType {
	case ssm.SignalTypeApprove:
		return w.decide(c, approved, one(in.Payload, "Comment"))
	case ssm.SignalTypeReject:
		return w.decide(c, rejected, one(in.Payload, "Comment"))
	}
	f := w.fact()
	f.Signal, f.StepName = string(in.SignalType), one(in.Payload, "StepName")
	if err := w.record("automation.signalled", f); err != nil {
		return err
	}
	switch in.SignalType {
	case ssm.SignalTypeResume:
		return w.resume(one(in.Payload, "StepName"))
	case ssm.SignalTypeStartStep:
		return w.startStep(one(in.Payload, "StepName"))
	case ssm.SignalTypeStopStep:
		return w.stopStep(one(in.Payload, "StepExecutionId"))
	}
	return &refusal{fmt.Sprintf("an execution does not take the signal %s", in.SignalType)}
}

func one(payload map[string][]string, key string) string {
	if v := payload[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// resume ends an aws:pause, or makes a call again whose outcome is unknown.
func (w *work) resume(name string) error {
	if err := w.mustKnow(name); err != nil {
		return err
	}
	p := w.row
	switch {
	case p == nil || p.Status != waiting || name != "" && p.Name != name:
		return &refusal{"no such step waits to be resumed"}
	case p.Action == "aws:pause":
		return w.settle(outcome{kind: done})
	case p.Spec.FailureType == unknownOutcome:
		return w.retry(p)
	}
	return &refusal{fmt.Sprintf("step %s does not wait for the signal Resume", p.Name)}
}

// retry makes the call of a parked step under a new invocation id.
func (w *work) retry(p *step) error {
	p.Spec = stepSpec{IteratorValue: p.Spec.IteratorValue, Retries: p.Spec.Retries + 1}
	p.Intent, p.Status = time.Time{}, inProgress
	w.ex.State.Status, w.ex.State.StepStatus = inProgress, inProgress
	if err := w.s.updateExecution(w.tx, w.ex); err != nil {
		return err
	}
	if err := w.s.updateStep(w.tx, p); err != nil {
		return err
	}
	a := w.args(p)
	return w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.run", Key: fmt.Sprintf("%s/r%d", a.key(), p.Spec.Retries), Args: a})
}

func (w *work) startStep(name string) error {
	if err := w.mustKnow(name); err != nil {
		return err
	}
	return w.apply(event{kind: evStartStep, next: name})
}

func (w *work) stopStep(id string) error {
	p := w.stepByID(id)
	if p == nil {
		return &ssm.AutomationStepNotFoundException{Message: fmt.Sprintf("The execution has no step with the id %q.", id)}
	}
	if w.row == nil || w.row.ID != id {
		return &refusal{fmt.Sprintf("step %s does not run", p.Name)}
	}
	return w.apply(event{kind: evStopStep, step: p.Name})
}

// mustKnow refuses a step name that the runbook does not have.
func (w *work) mustKnow(name string) error {
	if name != "" && w.plan.find(name) == nil {
		return &ssm.AutomationStepNotFoundException{Message: fmt.Sprintf("The execution has no step %q.", name)}
	}
	return nil
}
