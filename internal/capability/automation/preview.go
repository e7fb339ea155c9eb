package automation

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// previewLife is how long a preview can be read.
const previewLife = 24 * time.Hour

// StartExecutionPreview tells what the steps of a runbook would do, without
// doing it. The answer is there at once.
func (s *Service) StartExecutionPreview(ctx context.Context, in *ssm.StartExecutionPreviewInput) (*ssm.StartExecutionPreviewOutput, error) {
	id := uuid.NewString()
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		book, err := s.runbook(tx, *in.DocumentName, ptr.Value(in.DocumentVersion))
		if err != nil {
			return err
		}
		if err := previewParameters(book.Doc, in); err != nil {
			return err
		}
		counts := map[ssm.ImpactType]int32{}
		impacts(book.Doc.MainSteps, counts)
		b, err := marshal(counts)
		if err != nil {
			return err
		}
		return insertPreview(tx, id, string(b))
	})
	if err != nil {
		return nil, err
	}
	return &ssm.StartExecutionPreviewOutput{ExecutionPreviewId: &id}, nil
}

func previewParameters(doc *ssmdoc.Document, in *ssm.StartExecutionPreviewInput) error {
	if in.ExecutionInputs == nil || in.ExecutionInputs.Automation == nil {
		return nil
	}
	_, err := ssmdoc.BindParameters(doc, in.ExecutionInputs.Automation.Parameters)
	if p, ok := errors.AsType[*ssmdoc.ParameterError](err); ok {
		return badParameters("%s", p.Message)
	}
	return err
}

// impacts counts the steps by what they do.
func impacts(steps []ssmdoc.Step, counts map[ssm.ImpactType]int32) {
	for i := range steps {
		counts[impact(&steps[i])]++
		impacts(steps[i].Steps, counts)
	}
}

func impact(s *ssmdoc.Step) ssm.ImpactType {
	switch s.Action {
	case "aws:approve", "aws:assertAwsResourceProperty", "aws:branch", "aws:loop", "aws:pause", "aws:sleep", "aws:updateVariable", "aws:waitForAwsResourceProperty":
		return ssm.ImpactTypeNonMutating
	case "aws:executeAwsApi":
		api := s.Inputs.Get("Api").Str()
		m := services[s.Inputs.Get("Service").Str()]
		switch {
		case m != nil && operationOf(m, api) != nil && reads(operationOf(m, api).Name), m == nil && reads(api):
			return ssm.ImpactTypeNonMutating
		case len(ssmdoc.References(api)) > 0:
			return ssm.ImpactTypeUndetermined
		}
		return ssm.ImpactTypeMutating
	case "aws:changeInstanceState", "aws:copyImage", "aws:createImage", "aws:createStack", "aws:createTags", "aws:deleteImage", "aws:deleteStack", "aws:runInstances":
		return ssm.ImpactTypeMutating
	}
	return ssm.ImpactTypeUndetermined
}

// GetExecutionPreview reads a preview.
func (s *Service) GetExecutionPreview(ctx context.Context, in *ssm.GetExecutionPreviewInput) (*ssm.GetExecutionPreviewOutput, error) {
	out := &ssm.GetExecutionPreviewOutput{ExecutionPreviewId: in.ExecutionPreviewId, Status: ssm.ExecutionPreviewStatusSuccess}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		created, counts, err := findPreview(tx, *in.ExecutionPreviewId)
		if errors.Is(err, sql.ErrNoRows) || err == nil && tx.Now.Sub(created) > previewLife {
			return &ssm.ResourceNotFoundException{Message: "No execution preview has the id " + *in.ExecutionPreviewId + "."}
		}
		if err != nil {
			return err
		}
		p := &ssm.AutomationExecutionPreview{Regions: []string{tx.Scope.Region}, TotalAccounts: new(int32(1)), StepPreviews: map[ssm.ImpactType]int32{}}
		out.EndedAt, out.ExecutionPreview = &created, &ssm.ExecutionPreview{Automation: p}
		return unmarshal(counts, &p.StepPreviews)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func insertPreview(tx *db.Tx, id, counts string) error {
	_, err := tx.Exec("delete from automation_preview where account = $1 and region = $2 and created < $3",
		tx.Scope.Account, tx.Scope.Region, db.Micros(tx.Now.Add(-previewLife)))
	if err != nil {
		return err
	}
	_, err = tx.Exec("insert into automation_preview(account, region, id, created, counts) values($1, $2, $3, $4, $5)",
		tx.Scope.Account, tx.Scope.Region, id, db.Micros(tx.Now), counts)
	return err
}

func findPreview(tx *db.Tx, id string) (created time.Time, counts []byte, err error) {
	var us int64
	err = tx.QueryRow("select created, counts from automation_preview where account = $1 and region = $2 and id = $3",
		tx.Scope.Account, tx.Scope.Region, id).Scan(&us, &counts)
	return db.FromMicros(us), counts, err
}
