package incident

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// tagKind is the kind under which tags of this service are kept, by ARN.
const tagKind = "arn:ssm-incidents"

func setTags(tx *db.Tx, id string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	err := tagging.Set(tx, tagKind, id, tags)
	if errors.Is(err, tagging.ErrTooMany) {
		return &incidents.ServiceQuotaExceededException{Message: "A resource can have at most 50 tags", ResourceIdentifier: &id, ServiceCode: incidents.ServiceCodeSsmIncidents}
	}
	return err
}

// mustExist checks that an ARN names something of this service.
func (s *Service) mustExist(tx *db.Tx, id string) error {
	if _, ok := resource(tx, id, "response-plan"); ok {
		_, err := s.mustPlan(tx, id, "")
		return err
	}
	if _, ok := resource(tx, id, "replication-set"); ok {
		_, err := s.mustSet(tx, id, "")
		return err
	}
	_, err := s.mustRecord(tx, id, "")
	return err
}

// TagResource adds tags.
func (s *Service) TagResource(ctx context.Context, in *incidents.TagResourceInput) (*incidents.TagResourceOutput, error) {
	out := &incidents.TagResourceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := s.mustExist(tx, *in.ResourceArn); err != nil {
			return err
		}
		if err := setTags(tx, *in.ResourceArn, in.Tags); err != nil {
			return err
		}
		return s.record(tx, "incident.tagged", *in.ResourceArn, map[string]any{"count": len(in.Tags)})
	})
	return out, err
}

// UntagResource removes tags.
func (s *Service) UntagResource(ctx context.Context, in *incidents.UntagResourceInput) (*incidents.UntagResourceOutput, error) {
	out := &incidents.UntagResourceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := s.mustExist(tx, *in.ResourceArn); err != nil {
			return err
		}
		if err := tagging.Remove(tx, tagKind, *in.ResourceArn, in.TagKeys); err != nil {
			return err
		}
		return s.record(tx, "incident.untagged", *in.ResourceArn, map[string]any{"keys": in.TagKeys})
	})
	return out, err
}

// ListTagsForResource lists tags.
func (s *Service) ListTagsForResource(ctx context.Context, in *incidents.ListTagsForResourceInput) (*incidents.ListTagsForResourceOutput, error) {
	out := &incidents.ListTagsForResourceOutput{Tags: map[string]string{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if err := s.mustExist(tx, *in.ResourceArn); err != nil {
			return err
		}
		tags, err := tagging.Get(tx, tagKind, *in.ResourceArn)
		for k, v := range tags {
			out.Tags[k] = v
		}
		return err
	})
	return out, err
}

// PutResourcePolicy keeps a sharing policy of a plan; other accounts do not
// exist here.
func (s *Service) PutResourcePolicy(ctx context.Context, in *incidents.PutResourcePolicyInput) (*incidents.PutResourcePolicyOutput, error) {
	raw := uuid.New()
	id := hexID(raw[:])
	out := &incidents.PutResourcePolicyOutput{PolicyId: &id}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := s.mustPlan(tx, *in.ResourceArn, ""); err != nil {
			return err
		}
		_, err := tx.Exec(`insert into incident_policy(account, region, resource, id, policy) values($1, '', $2, $3, $4)`, tx.Scope.Account, *in.ResourceArn, id, *in.Policy)
		if err != nil {
			return err
		}
		return s.record(tx, "incident.policy_put", *in.ResourceArn, map[string]any{"policy": id})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteResourcePolicy deletes a sharing policy.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *incidents.DeleteResourcePolicyInput) (*incidents.DeleteResourcePolicyOutput, error) {
	out := &incidents.DeleteResourcePolicyOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		n, err := tx.Exec(`delete from incident_policy where account = $1 and region = '' and resource = $2 and id = $3`, tx.Scope.Account, *in.ResourceArn, *in.PolicyId)
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound(incidents.ResourceTypeResourcePolicy, *in.PolicyId)
		}
		return s.record(tx, "incident.policy_deleted", *in.ResourceArn, map[string]any{"policy": *in.PolicyId})
	})
	return out, err
}
