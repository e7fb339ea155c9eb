package contact

import (
	"context"
	"encoding/json"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// PutContactPolicy keeps the sharing policy of a contact. It is stored and given
// back; other accounts do not exist here.
func (s *Service) PutContactPolicy(ctx context.Context, in *contacts.PutContactPolicyInput) (*contacts.PutContactPolicyOutput, error) {
	var doc map[string]any
	if json.Unmarshal([]byte(*in.Policy), &doc) != nil {
		return nil, Invalid("Policy", "the policy is not a JSON object")
	}
	out := &contacts.PutContactPolicyOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFind(tx, in.ContactArn)
		if err != nil {
			return err
		}
		c.Policy = *in.Policy
		if err := updateContact(tx, c); err != nil {
			return err
		}
		return s.record(tx, "contact.policy_put", c.ARN(), nil)
	})
	return out, err
}

// GetContactPolicy returns the sharing policy, nothing when there is none.
func (s *Service) GetContactPolicy(ctx context.Context, in *contacts.GetContactPolicyInput) (*contacts.GetContactPolicyOutput, error) {
	out := &contacts.GetContactPolicyOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		c, err := s.mustFind(tx, in.ContactArn)
		if err == nil && c.Policy != "" {
			out.ContactArn, out.Policy = new(c.ARN()), &c.Policy
		}
		return err
	})
	return out, err
}
