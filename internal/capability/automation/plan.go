package automation

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// newPlan reads the flow of a runbook. Expand resolves the references that
// timeoutSeconds and maxAttempts may hold; what they hold is known at the start.
// The plan is whole also with an error: what could not be read has its default.
func newPlan(doc *ssmdoc.Document, expand func(any) (any, error)) (*plan, error) {
	p := &plan{}
	return p, p.add("", doc.MainSteps, expand)
}

func (p *plan) add(parent string, steps []ssmdoc.Step, expand func(any) (any, error)) (problem error) {
	for i := range steps {
		s := &steps[i]
		if p.find(s.Name) != nil {
			problem = fmt.Errorf("step %q occurs twice", s.Name)
			continue
		}
		f := planStep{
			Name: s.Name, Action: s.Action, Parent: parent, MaxAttempts: 1,
			OnFailure: s.OnFailure, OnCancel: s.OnCancel, Next: s.NextStep, End: s.IsEnd,
		}
		f.Critical = !strings.EqualFold(s.OnFailure, "Continue")
		if s.IsCritical != nil {
			f.Critical = *s.IsCritical
		}
		seconds, err := count(s.TimeoutSeconds, expand, actions[s.Action].timeout.Seconds())
		if err != nil {
			problem = fmt.Errorf("step %q: timeoutSeconds: %w", s.Name, err)
		}
		attempts, err := count(s.MaxAttempts, expand, 1)
		if err != nil {
			problem = fmt.Errorf("step %q: maxAttempts: %w", s.Name, err)
		}
		f.Timeout, f.MaxAttempts = time.Duration(seconds)*time.Second, max(1, int(attempts))
		p.steps = append(p.steps, f)
		if err := p.add(s.Name, s.Steps, expand); err != nil {
			problem = err
		}
	}
	return problem
}

// count is the whole number that a node stands for, or the default.
func count(n *ssmdoc.Node, expand func(any) (any, error), otherwise float64) (int64, error) {
	if n == nil {
		return int64(otherwise), nil
	}
	v, err := expand(n.Any())
	if err != nil {
		return int64(otherwise), err
	}
	i, err := strconv.ParseInt(text(v), 10, 64)
	if err != nil || i < 0 {
		return int64(otherwise), errors.New("not a whole number")
	}
	return i, nil
}

// docStep is the step of a name, also one inside a loop.
func docStep(steps []ssmdoc.Step, name string) *ssmdoc.Step {
	for i := range steps {
		if steps[i].Name == name {
			return &steps[i]
		}
		if s := docStep(steps[i].Steps, name); s != nil {
			return s
		}
	}
	return nil
}
