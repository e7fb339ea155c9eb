package incident

import (
	"context"
	"database/sql"
	"encoding/hex"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/db"
)

func hexID(b []byte) string { return hex.EncodeToString(b) }

// GetResourcePolicies lists the sharing policies of a plan.
func (s *Service) GetResourcePolicies(ctx context.Context, in *incidents.GetResourcePoliciesInput) (*incidents.GetResourcePoliciesOutput, error) {
	out := &incidents.GetResourcePoliciesOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := s.mustPlan(tx, *in.ResourceArn, ""); err != nil {
			return err
		}
		rows, err := db.Rows(tx, `select id, policy from incident_policy where account = $1 and region = '' and resource = $2 order by id`,
			[]any{tx.Scope.Account, *in.ResourceArn}, func(r *sql.Rows) (incidents.ResourcePolicy, error) {
				var id, policy string
				err := r.Scan(&id, &policy)
				return incidents.ResourcePolicy{PolicyId: &id, PolicyDocument: &policy, RamResourceShareRegion: new(tx.Scope.Region)}, err
			})
		out.ResourcePolicies = append([]incidents.ResourcePolicy{}, rows...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListIncidentFindings lists nothing: the deployments that AWS looks at are not
// here. What changed is in the related items.
func (s *Service) ListIncidentFindings(ctx context.Context, in *incidents.ListIncidentFindingsInput) (*incidents.ListIncidentFindingsOutput, error) {
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		_, err := s.mustRecord(tx, *in.IncidentRecordArn, "")
		return err
	})
	return &incidents.ListIncidentFindingsOutput{Findings: []incidents.FindingSummary{}}, err
}

// BatchGetIncidentFindings answers an error for each finding asked for.
func (s *Service) BatchGetIncidentFindings(ctx context.Context, in *incidents.BatchGetIncidentFindingsInput) (*incidents.BatchGetIncidentFindingsOutput, error) {
	out := &incidents.BatchGetIncidentFindingsOutput{Findings: []incidents.Finding{}, Errors: []incidents.BatchGetIncidentFindingsError{}}
	for _, id := range in.FindingIds {
		out.Errors = append(out.Errors, incidents.BatchGetIncidentFindingsError{FindingId: &id, Code: new("ResourceNotFoundException"), Message: new("The finding was not found")})
	}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		_, err := s.mustRecord(tx, *in.IncidentRecordArn, "")
		return err
	})
	return out, err
}
