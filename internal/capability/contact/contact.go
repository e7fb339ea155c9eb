package contact

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const mostRows = 1024

// CreateContact makes a PERSONAL or ESCALATION contact. The same token with the
// same alias answers the same ARN; another contact of that alias is a conflict.
func (s *Service) CreateContact(ctx context.Context, in *contacts.CreateContactInput) (*contacts.CreateContactOutput, error) {
	out := &contacts.CreateContactOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c := Contact{Scope: tx.Scope, Alias: *in.Alias, Type: in.Type, Name: ptr.Value(in.DisplayName), Plan: *in.Plan, Token: ptr.Value(in.IdempotencyToken), Created: tx.Now}
		out.ContactArn = new(c.ARN())
		old, ok, err := loadContact(tx, tx.Scope, c.Alias)
		if err != nil || ok {
			return s.repeated(old, c, err)
		}
		if err := s.validatePlan(tx, c); err != nil {
			return err
		}
		if ok, err := insertContact(tx, c); err != nil || !ok {
			return s.repeated(c, Contact{}, err)
		}
		if err := s.tag(tx, c.ARN(), in.Tags); err != nil {
			return err
		}
		return s.record(tx, "contact.created", c.ARN(), map[string]any{"type": c.Type, "stages": len(c.Plan.Stages)})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// repeated answers a second creation of an alias.
func (s *Service) repeated(old, c Contact, err error) error {
	if err != nil || c.Token != "" && old.Token == c.Token && old.Type == c.Type {
		return err
	}
	return &contacts.ConflictException{
		Message: "A contact with the alias " + old.Alias + " already exists", ResourceId: new(old.ARN()), ResourceType: new("CONTACT"),
	}
}

// GetContact returns a contact with its plan.
func (s *Service) GetContact(ctx context.Context, in *contacts.GetContactInput) (*contacts.GetContactOutput, error) {
	var c Contact
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		c, err = s.mustFind(tx, in.ContactId)
		return err
	})
	if err != nil {
		return nil, err
	}
	if c.Plan.Stages == nil && c.Plan.RotationIds == nil {
		c.Plan.Stages = []contacts.Stage{}
	}
	return &contacts.GetContactOutput{Alias: &c.Alias, ContactArn: new(c.ARN()), DisplayName: ptr.OrNil(c.Name), Plan: &c.Plan, Type: c.Type}, nil
}

// UpdateContact changes the display name and the plan; what is absent stays.
func (s *Service) UpdateContact(ctx context.Context, in *contacts.UpdateContactInput) (*contacts.UpdateContactOutput, error) {
	out := &contacts.UpdateContactOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFind(tx, in.ContactId)
		if err != nil {
			return err
		}
		if in.DisplayName != nil {
			c.Name = *in.DisplayName
		}
		if in.Plan != nil {
			c.Plan = *in.Plan
			if err := s.validatePlan(tx, c); err != nil {
				return err
			}
		}
		if err := updateContact(tx, c); err != nil {
			return err
		}
		return s.record(tx, "contact.updated", c.ARN(), map[string]any{"stages": len(c.Plan.Stages)})
	})
	return out, err
}

// DeleteContact deletes a contact and its channels. Plans that name it keep the
// name; nobody is called for it.
func (s *Service) DeleteContact(ctx context.Context, in *contacts.DeleteContactInput) (*contacts.DeleteContactOutput, error) {
	out := &contacts.DeleteContactOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFind(tx, in.ContactId)
		if err != nil {
			return err
		}
		if err := deleteContact(tx, c); err != nil {
			return err
		}
		if err := s.dropTags(tx, c.ARN()); err != nil {
			return err
		}
		return s.record(tx, "contact.deleted", c.ARN(), nil)
	})
	return out, err
}

// ListContacts lists contacts by alias.
func (s *Service) ListContacts(ctx context.Context, in *contacts.ListContactsInput) (*contacts.ListContactsOutput, error) {
	most := page.Limit(in.MaxResults, mostRows)
	after, err := pageStart(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []Contact
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("alias > ?", after)
		if p := ptr.Value(in.AliasPrefix); p != "" {
			f.And("alias >= ?", p).And("alias < ?", p+"~") // "~" sorts after all that an alias may hold
		}
		if in.Type != "" {
			f.And("type = ?", string(in.Type))
		}
		rows, err = listContacts(tx, f, most+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &contacts.ListContactsOutput{Contacts: []contacts.Contact{}}
	for i, c := range rows {
		if i == most {
			out.NextToken = new(page.Token(rows[i-1].Alias))
			break
		}
		out.Contacts = append(out.Contacts, contacts.Contact{Alias: &c.Alias, ContactArn: new(c.ARN()), DisplayName: ptr.OrNil(c.Name), Type: c.Type})
	}
	return out, nil
}

func pageStart(token *string) (after string, err error) {
	if ptr.Value(token) == "" {
		return "", nil
	}
	if err := page.Parse(*token, &after); err != nil {
		return "", Invalid("NextToken", "the pagination token is not valid")
	}
	return after, nil
}

// validatePlan checks what the model cannot: kinds of targets, that they exist
// and whose they are, and that a stage without targets has a duration.
func (s *Service) validatePlan(tx *db.Tx, c Contact) error {
	if c.Type == contacts.ContactTypeOncallSchedule {
		return Invalid("Type", "contacts of type ONCALL_SCHEDULE are not implemented yet")
	}
	if len(c.Plan.RotationIds) > 0 {
		return Invalid("Plan", "only a contact of type ONCALL_SCHEDULE has rotations")
	}
	for i, stage := range c.Plan.Stages {
		if len(stage.Targets) == 0 && *stage.DurationInMinutes == 0 {
			return Invalid("Plan", "stage %d has neither a target nor a duration", i)
		}
		for _, t := range stage.Targets {
			if err := s.validateTarget(tx, c, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) validateTarget(tx *db.Tx, c Contact, t contacts.Target) error {
	switch {
	case (t.ChannelTargetInfo == nil) == (t.ContactTargetInfo == nil):
		return Invalid("Plan", "a target is either a channel or a contact")
	case c.Type == contacts.ContactTypePersonal:
		return s.validateChannelTarget(tx, c, t.ChannelTargetInfo)
	default:
		return s.validateContactTarget(tx, t.ContactTargetInfo)
	}
}

func (s *Service) validateChannelTarget(tx *db.Tx, c Contact, t *contacts.ChannelTargetInfo) error {
	if t == nil {
		return Invalid("Plan", "the targets of a PERSONAL contact are its channels")
	}
	ch, ok, err := s.FindChannel(tx, *t.ContactChannelId)
	if err == nil && (!ok || ch.ContactARN() != c.ARN()) {
		err = Invalid("Plan", "%s is not a channel of this contact", *t.ContactChannelId)
	}
	return err
}

func (s *Service) validateContactTarget(tx *db.Tx, t *contacts.ContactTargetInfo) error {
	if t == nil {
		return Invalid("Plan", "the targets of an ESCALATION contact are contacts")
	}
	if t.ContactId == nil {
		return Invalid("Plan", "a contact target needs a ContactId")
	}
	p, ok, err := s.Find(tx, *t.ContactId)
	if err == nil && (!ok || p.Type == contacts.ContactTypeEscalation || p.Scope != tx.Scope) {
		err = Invalid("Plan", "%s is not a PERSONAL contact or an on-call schedule of this region", *t.ContactId)
	}
	return err
}
