package automation

import (
	"context"
	"slices"
	"strconv"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// projectStep is a step in the shape of the API.
func (w *work) projectStep(p *step) (*ssm.StepExecution, error) {
	v, err := w.s.opened(w.tx, p)
	if err != nil {
		return nil, err
	}
	out := &ssm.StepExecution{
		StepExecutionId: &p.ID, StepName: &p.Name, Action: &p.Action, StepStatus: ssm.AutomationExecutionStatus(p.Status),
		ExecutionStartTime: ptr.Moment(p.Started), ExecutionEndTime: ptr.Moment(p.Ended),
		Inputs: jsonTexts(v.Inputs), Outputs: allTexts(v.Outputs), Response: ptr.OrNil(v.Response), ResponseCode: ptr.OrNil(p.Spec.Code),
		FailureMessage: ptr.OrNil(p.Spec.Message), ParentStepDetails: w.around(p),
	}
	if p.Spec.FailureType != "" {
		out.FailureDetails = &ssm.FailureDetails{
			FailureStage: new("Invocation"), FailureType: &p.Spec.FailureType, Details: map[string][]string{"Message": {p.Spec.Message}},
		}
	}
	if f := w.plan.find(p.Name); f != nil {
		w.planned(out, f)
	}
	return out, nil
}

// planned adds what the document says of a step.
func (w *work) planned(out *ssm.StepExecution, f *planStep) {
	out.OnFailure, out.IsEnd, out.IsCritical, out.MaxAttempts = ptr.OrNil(f.OnFailure), new(f.End), new(f.Critical), new(int32(f.MaxAttempts))
	if f.OnFailure == "" {
		out.OnFailure = new("Abort")
	}
	if f.Timeout > 0 {
		out.TimeoutSeconds = new(int64(f.Timeout.Seconds()))
	}
	next := f.Next
	if next == "" && !f.End {
		next = w.plan.after(f.Name)
	}
	out.NextStep = ptr.OrNil(next)
	if next != "" {
		out.ValidNextSteps = []string{next}
	}
}

// around describes the loop that a step stands in.
func (w *work) around(p *step) *ssm.ParentStepDetails {
	loop := w.stepByID(p.Parent)
	if loop == nil {
		return nil
	}
	return &ssm.ParentStepDetails{
		StepExecutionId: &loop.ID, StepName: &loop.Name, Action: &loop.Action,
		Iteration: new(int32(p.Iteration)), IteratorValue: ptr.OrNil(p.Spec.IteratorValue),
	}
}

// DescribeAutomationStepExecutions lists the steps of an execution in the order
// in which they were made.
func (s *Service) DescribeAutomationStepExecutions(ctx context.Context, in *ssm.DescribeAutomationStepExecutionsInput) (*ssm.DescribeAutomationStepExecutionsOutput, error) {
	var skip int
	if err := page.Parse(ptr.Value(in.NextToken), &skip); err != nil || skip < 0 {
		return nil, &ssm.InvalidNextToken{Message: "The token is not valid."}
	}
	limit := pageSize
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	out := &ssm.DescribeAutomationStepExecutionsOutput{StepExecutions: []ssm.StepExecution{}}
	err := s.view(ctx, *in.AutomationExecutionId, func(w *work) error {
		list, err := w.filtered(in.Filters)
		if err != nil {
			return err
		}
		if in.ReverseOrder != nil && *in.ReverseOrder {
			slices.Reverse(list)
		}
		list = list[min(skip, len(list)):]
		if len(list) > limit {
			list = list[:limit]
			out.NextToken = new(page.Token(skip + limit))
		}
		for _, p := range list {
			e, err := w.projectStep(p)
			if err != nil {
				return err
			}
			out.StepExecutions = append(out.StepExecutions, *e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (w *work) filtered(filters []ssm.StepExecutionFilter) ([]*step, error) {
	list := slices.Clone(w.steps)
	for _, f := range filters {
		keep, err := stepFilter(f)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(p *step) bool { return !keep(p) })
	}
	return list, nil
}

func stepFilter(f ssm.StepExecutionFilter) (func(p *step) bool, error) {
	in := func(of func(p *step) string) (func(p *step) bool, error) {
		return func(p *step) bool { return slices.Contains(f.Values, of(p)) }, nil
	}
	switch f.Key {
	case ssm.StepExecutionFilterKeyStepExecutionStatus:
		return in(func(p *step) string { return p.Status })
	case ssm.StepExecutionFilterKeyStepExecutionId:
		return in(func(p *step) string { return p.ID })
	case ssm.StepExecutionFilterKeyStepName:
		return in(func(p *step) string { return p.Name })
	case ssm.StepExecutionFilterKeyAction:
		return in(func(p *step) string { return p.Action })
	case ssm.StepExecutionFilterKeyParentStepExecutionId:
		return in(func(p *step) string { return p.Parent })
	case ssm.StepExecutionFilterKeyParentStepIteration:
		return in(func(p *step) string { return strconv.FormatInt(p.Iteration, 10) })
	case ssm.StepExecutionFilterKeyParentStepIteratorValue:
		return in(func(p *step) string { return p.Spec.IteratorValue })
	}
	t, err := filterTime(f.Values[0])
	if err != nil {
		return nil, err
	}
	before := f.Key == ssm.StepExecutionFilterKeyStartTimeBefore
	return func(p *step) bool { return !p.Started.IsZero() && p.Started.Before(t) == before }, nil
}
