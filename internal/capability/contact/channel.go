package contact

import (
	"context"
	"net/mail"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

var phone = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// CreateContactChannel adds a channel to a PERSONAL contact and, unless that is
// deferred, sends its activation code.
func (s *Service) CreateContactChannel(ctx context.Context, in *contacts.CreateContactChannelInput) (*contacts.CreateContactChannelOutput, error) {
	out := &contacts.CreateContactChannelOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		owner, err := s.mustFind(tx, in.ContactId)
		if err != nil {
			return err
		}
		if owner.Type != contacts.ContactTypePersonal {
			return Invalid("ContactId", "only a PERSONAL contact has channels")
		}
		c := Channel{
			Scope: owner.Scope, ID: uuid.NewString(), Alias: owner.Alias, Type: in.Type, Name: *in.Name,
			Address: ptr.Value(in.DeliveryAddress.SimpleAddress), Token: ptr.Value(in.IdempotencyToken), Created: tx.Now,
		}
		if err := validateAddress(c.Type, c.Address); err != nil {
			return err
		}
		if old, ok, err := s.sameChannel(tx, c); err != nil || ok {
			out.ContactChannelArn = new(old.ARN())
			return err
		}
		out.ContactChannelArn = new(c.ARN())
		if err := s.record(tx, "channel.created", c.ARN(), map[string]any{"type": c.Type}, owner.ARN()); err != nil {
			return err
		}
		if in.DeferActivation == nil || !*in.DeferActivation {
			if err := s.newCode(tx, &c); err != nil {
				return err
			}
		}
		return insertChannel(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// sameChannel finds what an earlier call with the same token made, and refuses
// a second channel of the same type and address.
func (s *Service) sameChannel(tx *db.Tx, c Channel) (Channel, bool, error) {
	rows, err := listChannels(tx, c.Scope, c.Alias, "", mostRows)
	for _, old := range rows {
		switch {
		case c.Token != "" && old.Token == c.Token:
			return old, true, nil
		case old.Type == c.Type && old.Address == c.Address:
			return old, false, &contacts.ConflictException{
				Message: "The contact has a channel of this type and address already", ResourceId: new(old.ARN()), ResourceType: new("CONTACT_CHANNEL"),
			}
		}
	}
	return c, false, err
}

// validateAddress refuses what no channel of the type could deliver to, line
// breaks in particular.
func validateAddress(t contacts.ChannelType, address string) error {
	if t == contacts.ChannelTypeEmail {
		a, err := mail.ParseAddress(address)
		if err != nil || a.Address != address || !strings.Contains(address, "@") {
			return Invalid("DeliveryAddress", "the address of an EMAIL channel is a plain e-mail address")
		}
		return nil
	}
	if !phone.MatchString(address) {
		return Invalid("DeliveryAddress", "the address of an SMS or VOICE channel is a phone number in the form +14155550100")
	}
	return nil
}

// GetContactChannel returns a channel.
func (s *Service) GetContactChannel(ctx context.Context, in *contacts.GetContactChannelInput) (*contacts.GetContactChannelOutput, error) {
	var c Channel
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		found, err := s.mustFindChannel(tx, in.ContactChannelId)
		c = found
		return err
	})
	if err != nil {
		return nil, err
	}
	return &contacts.GetContactChannelOutput{
		ActivationStatus: c.status(), ContactArn: new(c.ContactARN()), ContactChannelArn: new(c.ARN()),
		DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &c.Address}, Name: &c.Name, Type: c.Type,
	}, nil
}

func (c Channel) status() contacts.ActivationStatus {
	if c.Activated {
		return contacts.ActivationStatusActivated
	}
	return contacts.ActivationStatusNotActivated
}

// UpdateContactChannel changes name and address. Another address has to be
// activated anew.
func (s *Service) UpdateContactChannel(ctx context.Context, in *contacts.UpdateContactChannelInput) (*contacts.UpdateContactChannelOutput, error) {
	out := &contacts.UpdateContactChannelOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFindChannel(tx, in.ContactChannelId)
		if err != nil {
			return err
		}
		if in.Name != nil {
			c.Name = *in.Name
		}
		if in.DeliveryAddress != nil && ptr.Value(in.DeliveryAddress.SimpleAddress) != c.Address {
			c.Address = ptr.Value(in.DeliveryAddress.SimpleAddress)
			if err := validateAddress(c.Type, c.Address); err != nil {
				return err
			}
			c.Activated, c.Nonce, c.Tries = false, "", 0
		}
		if err := updateChannel(tx, c); err != nil {
			return err
		}
		return s.record(tx, "channel.updated", c.ARN(), map[string]any{"activated": c.Activated}, c.ContactARN())
	})
	return out, err
}

// DeleteContactChannel deletes a channel. Plans that name it keep the name and
// pass over it.
func (s *Service) DeleteContactChannel(ctx context.Context, in *contacts.DeleteContactChannelInput) (*contacts.DeleteContactChannelOutput, error) {
	out := &contacts.DeleteContactChannelOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFindChannel(tx, in.ContactChannelId)
		if err != nil {
			return err
		}
		if err := deleteChannel(tx, c); err != nil {
			return err
		}
		return s.record(tx, "channel.deleted", c.ARN(), nil, c.ContactARN())
	})
	return out, err
}

// ListContactChannels lists the channels of a contact.
func (s *Service) ListContactChannels(ctx context.Context, in *contacts.ListContactChannelsInput) (*contacts.ListContactChannelsOutput, error) {
	most := page.Limit(in.MaxResults, mostRows)
	after, err := pageStart(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []Channel
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		owner, err := s.mustFind(tx, in.ContactId)
		if err != nil {
			return err
		}
		rows, err = listChannels(tx, owner.Scope, owner.Alias, after, most+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &contacts.ListContactChannelsOutput{ContactChannels: []contacts.ContactChannel{}}
	for i, c := range rows {
		if i == most {
			out.NextToken = new(page.Token(rows[i-1].ID))
			break
		}
		out.ContactChannels = append(out.ContactChannels, contacts.ContactChannel{
			ActivationStatus: c.status(), ContactArn: new(c.ContactARN()), ContactChannelArn: new(c.ARN()),
			DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &c.Address}, Name: &c.Name, Type: c.Type,
		})
	}
	return out, nil
}
