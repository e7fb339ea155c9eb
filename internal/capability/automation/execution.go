package automation

import (
	"context"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	pageSize = 50  // of lists, when MaxResults is not given
	maxSteps = 100 // in GetAutomationExecution
)

// Operations are the bindings of the capability.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindStartAutomationExecution(s.StartAutomationExecution),
		ssm.BindStopAutomationExecution(s.StopAutomationExecution),
		ssm.BindGetAutomationExecution(s.GetAutomationExecution),
		ssm.BindDescribeAutomationExecutions(s.DescribeAutomationExecutions),
		ssm.BindDescribeAutomationStepExecutions(s.DescribeAutomationStepExecutions),
		ssm.BindSendAutomationSignal(s.SendAutomationSignal),
		ssm.BindStartExecutionPreview(s.StartExecutionPreview),
		ssm.BindGetExecutionPreview(s.GetExecutionPreview),
	}
}

// StartAutomationExecution runs a runbook. The same ClientToken with the same
// request answers the same execution.
func (s *Service) StartAutomationExecution(ctx context.Context, in *ssm.StartAutomationExecutionInput) (*ssm.StartAutomationExecutionOutput, error) {
	if err := unsupported(in); err != nil {
		return nil, err
	}
	tags, err := tagging.Pairs(in.Tags, func(t ssm.Tag) (*string, *string) { return t.Key, t.Value })
	if err != nil {
		return nil, err
	}
	c := identity.From(ctx)
	r := Start{
		DocumentName: *in.DocumentName, Version: ptr.Value(in.DocumentVersion), Parameters: in.Parameters, ClientToken: ptr.Value(in.ClientToken),
		StartedBy: c.ARN, Session: c.Session(), Human: c.Human, Interactive: in.Mode == ssm.ExecutionModeInteractive, Tags: tags,
	}
	if r.passRole, err = s.mayPass(ctx, r); err != nil {
		return nil, err
	}
	out := &ssm.StartAutomationExecutionOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.Start(ctx, tx, r)
		out.AutomationExecutionId = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// mayPass asks for the right to the role that the runbook names, outside of any
// transaction, and answers what allows this one and no other.
func (s *Service) mayPass(ctx context.Context, r Start) (func(string) error, error) {
	var role string
	r.passRole = func(arn string) error { role = arn; return nil }
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if r.ClientToken != "" {
			if old, err := s.findByToken(tx, r.ClientToken); err != nil || old != nil {
				return err
			}
		}
		book, err := s.runbook(tx, r.DocumentName, r.Version)
		if err != nil {
			return err
		}
		return (&work{s: s, tx: tx, ex: &execution{}, doc: book.Doc}).bind(r)
	})
	if err == nil && role != "" && s.PassRole != nil {
		err = s.PassRole(ctx, role)
	}
	return func(arn string) error {
		if arn != role {
			return fault.AccessDenied("The role of the runbook changed while it was started")
		}
		return nil
	}, err
}

// unsupported refuses what would be dropped silently otherwise.
func unsupported(in *ssm.StartAutomationExecutionInput) error {
	switch {
	case len(in.Targets) > 0, len(in.TargetMaps) > 0, in.TargetParameterName != nil:
		return &ssm.InvalidTarget{Message: "Executions over several targets are not available yet."}
	case len(in.TargetLocations) > 0, in.TargetLocationsURL != nil:
		return &ssm.InvalidTarget{Message: "Executions in several accounts and Regions are not available."}
	case in.AlarmConfiguration != nil:
		return fault.Validation("AlarmConfiguration is not available for automation executions.")
	}
	return nil
}

// GetAutomationExecution describes an execution with its first 100 steps.
func (s *Service) GetAutomationExecution(ctx context.Context, in *ssm.GetAutomationExecutionInput) (*ssm.GetAutomationExecutionOutput, error) {
	var out *ssm.AutomationExecution
	err := s.view(ctx, *in.AutomationExecutionId, func(w *work) (err error) {
		out, err = w.project()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.GetAutomationExecutionOutput{AutomationExecution: out}, nil
}

func (s *Service) view(ctx context.Context, id string, f func(w *work) error) error {
	return s.DB.View(ctx, func(tx *db.Tx) error {
		w, err := s.loadWith(tx, id, false)
		if err != nil {
			return err
		}
		if w == nil {
			return notFound(id)
		}
		return f(w)
	})
}

// project is the execution in the shape of the API.
func (w *work) project() (*ssm.AutomationExecution, error) {
	e := w.ex
	out := &ssm.AutomationExecution{
		AutomationExecutionId: &e.ID, AutomationExecutionStatus: ssm.AutomationExecutionStatus(e.State.Status),
		DocumentName: &e.Document, DocumentVersion: &e.Version, ExecutedBy: ptr.OrNil(e.StartedBy),
		ExecutionStartTime: &e.Created, ExecutionEndTime: ptr.Moment(e.Ended), Mode: e.mode(),
		CurrentStepName: ptr.OrNil(e.State.Step), CurrentAction: ptr.OrNil(e.Action), FailureMessage: ptr.OrNil(e.State.Message),
		ParentAutomationExecutionId: ptr.OrNil(e.Parent),
		Parameters:                  allTexts(e.vault.Parameters), Outputs: e.vault.Outputs, Variables: allTexts(e.vault.Variables),
		ResolvedTargets: &ssm.ResolvedTargets{Truncated: new(false)}, StepExecutionsTruncated: new(len(w.steps) > maxSteps),
	}
	for _, p := range w.steps[:min(len(w.steps), maxSteps)] {
		s, err := w.projectStep(p)
		if err != nil {
			return nil, err
		}
		out.StepExecutions = append(out.StepExecutions, *s)
	}
	return out, nil
}

func (e *execution) mode() ssm.ExecutionMode {
	if e.State.Interactive {
		return ssm.ExecutionModeInteractive
	}
	return ssm.ExecutionModeAuto
}

// summary is the execution in a list.
func (e *execution) summary() ssm.AutomationExecutionMetadata {
	return ssm.AutomationExecutionMetadata{
		AutomationExecutionId: &e.ID, AutomationExecutionStatus: ssm.AutomationExecutionStatus(e.State.Status), AutomationType: ssm.AutomationTypeLocal,
		DocumentName: &e.Document, DocumentVersion: &e.Version, ExecutedBy: ptr.OrNil(e.StartedBy),
		ExecutionStartTime: &e.Created, ExecutionEndTime: ptr.Moment(e.Ended), Mode: e.mode(), LogFile: new(""),
		CurrentStepName: ptr.OrNil(e.State.Step), CurrentAction: ptr.OrNil(e.Action), FailureMessage: ptr.OrNil(e.State.Message),
		ParentAutomationExecutionId: ptr.OrNil(e.Parent), Outputs: e.vault.Outputs,
		ResolvedTargets: &ssm.ResolvedTargets{Truncated: new(false)},
	}
}

// place is where a list of executions goes on.
type place struct {
	Created int64
	ID      string
}

// DescribeAutomationExecutions lists executions, newest first.
func (s *Service) DescribeAutomationExecutions(ctx context.Context, in *ssm.DescribeAutomationExecutionsInput) (*ssm.DescribeAutomationExecutionsOutput, error) {
	var from place
	if err := page.Parse(ptr.Value(in.NextToken), &from); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The token is not valid."}
	}
	limit := pageSize
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	out := &ssm.DescribeAutomationExecutionsOutput{AutomationExecutionMetadataList: []ssm.AutomationExecutionMetadata{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
		for _, c := range in.Filters {
			if err := executionFilter(f, tx, c); err != nil {
				return err
			}
		}
		if from.ID != "" {
			f.And("(created < ? or created = ? and id < ?)", from.Created, from.Created, from.ID)
		}
		query := fmt.Sprintf("select %s from automation_execution%s order by created desc, id desc limit %d", executionColumns, f.Where(), limit+1)
		list, err := db.Rows(tx, query, f.Args, s.scanExecution(tx))
		if err != nil {
			return err
		}
		if len(list) > limit {
			last := list[limit-1]
			out.NextToken = new(page.Token(place{Created: db.Micros(last.Created), ID: last.ID}))
			list = list[:limit]
		}
		for _, e := range list {
			out.AutomationExecutionMetadataList = append(out.AutomationExecutionMetadataList, e.summary())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func executionFilter(f *db.Filter, tx *db.Tx, c ssm.AutomationExecutionFilter) error {
	columns := map[ssm.AutomationExecutionFilterKey]string{
		ssm.AutomationExecutionFilterKeyExecutionStatus: "status", ssm.AutomationExecutionFilterKeyExecutionId: "id",
		ssm.AutomationExecutionFilterKeyParentExecutionId: "parent", ssm.AutomationExecutionFilterKeyCurrentAction: "action",
	}
	if column := columns[c.Key]; column != "" {
		f.In(column, c.Values)
		return nil
	}
	switch c.Key {
	case ssm.AutomationExecutionFilterKeyDocumentNamePrefix:
		f.And("substr(document, 1, ?) = ?", len([]rune(c.Values[0])), c.Values[0])
	case ssm.AutomationExecutionFilterKeyStartTimeBefore, ssm.AutomationExecutionFilterKeyStartTimeAfter:
		t, err := filterTime(c.Values[0])
		if err != nil {
			return err
		}
		if c.Key == ssm.AutomationExecutionFilterKeyStartTimeBefore {
			f.And("created < ?", db.Micros(t))
		} else {
			f.And("created > ?", db.Micros(t))
		}
	case ssm.AutomationExecutionFilterKeyAutomationType:
		if c.Values[0] != string(ssm.AutomationTypeLocal) {
			f.And("1 = 0")
		}
	case ssm.AutomationExecutionFilterKeyTagKey:
		tagging.Where(f, tx, tagKind, "id", []tagging.Filter{{Key: c.Values[0]}})
	default: // subtypes, resource groups and OpsItems: no execution has them
		f.And("1 = 0")
	}
	return nil
}

func filterTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &ssm.InvalidFilterValue{Message: fmt.Sprintf("%q is not an ISO 8601 time.", s)}
}
