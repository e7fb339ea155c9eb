package contact

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

// Codes sends activation codes over channels.
type Codes interface {
	// SendCode sends code to a channel. Key is the same for each try of one code.
	SendCode(ctx context.Context, key string, c Channel, code string) error
}

// Service serves the operations of contacts and contact channels.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Codes   Codes
	Key     []byte // 32 bytes kept outside the database; activation codes derive from it
}

// New registers the tasks of the package.
func New(s Service) *Service {
	s.Tasks.HandleWith(codeTask, task.Options{MaxAttempts: 8}, s.deliverCode)
	return &s
}

// Operations are the bindings of the operations served here.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		contacts.BindCreateContact(s.CreateContact),
		contacts.BindGetContact(s.GetContact),
		contacts.BindUpdateContact(s.UpdateContact),
		contacts.BindDeleteContact(s.DeleteContact),
		contacts.BindListContacts(s.ListContacts),
		contacts.BindCreateContactChannel(s.CreateContactChannel),
		contacts.BindGetContactChannel(s.GetContactChannel),
		contacts.BindUpdateContactChannel(s.UpdateContactChannel),
		contacts.BindDeleteContactChannel(s.DeleteContactChannel),
		contacts.BindListContactChannels(s.ListContactChannels),
		contacts.BindSendActivationCode(s.SendActivationCode),
		contacts.BindActivateContactChannel(s.ActivateContactChannel),
		contacts.BindDeactivateContactChannel(s.DeactivateContactChannel),
		contacts.BindPutContactPolicy(s.PutContactPolicy),
		contacts.BindGetContactPolicy(s.GetContactPolicy),
		contacts.BindTagResource(s.TagResource),
		contacts.BindUntagResource(s.UntagResource),
		contacts.BindListTagsForResource(s.ListTagsForResource),
	}
}

// ARN is the contact's ARN.
func (c Contact) ARN() string {
	return arn.Make("ssm-contacts", c.Scope.Region, c.Scope.Account, "contact/"+c.Alias)
}

// ARN is the channel's ARN: contact-channel/<alias>/<uuid>.
func (c Channel) ARN() string {
	return arn.Make("ssm-contacts", c.Scope.Region, c.Scope.Account, "contact-channel/"+c.Alias+"/"+c.ID)
}

// ContactARN is the ARN of the contact that the channel belongs to.
func (c Channel) ContactARN() string {
	return Contact{Scope: c.Scope, Alias: c.Alias}.ARN()
}

// resource splits the ARN of a thing of this service: its scope and the parts
// after the kind. Anything else, other accounts' things too, is not found.
func resource(account, id, kind string, parts int) (db.Scope, []string, bool) {
	a, err := arn.Parse(id)
	if err != nil || a.Service != "ssm-contacts" || a.Account != account {
		return db.Scope{}, nil, false
	}
	p := strings.Split(a.Resource, "/")
	if len(p) != parts+1 || p[0] != kind || slices.Contains(p, "") {
		return db.Scope{}, nil, false
	}
	return db.Scope{Account: a.Account, Region: a.Region}, p[1:], true
}

// Find is the contact of an ARN in the transaction's account, in any region.
func (s *Service) Find(tx *db.Tx, id string) (Contact, bool, error) {
	scope, p, ok := resource(tx.Scope.Account, id, "contact", 1)
	if !ok {
		return Contact{}, false, nil
	}
	return loadContact(tx, scope, p[0])
}

// FindChannel is the channel of an ARN in the transaction's account.
func (s *Service) FindChannel(tx *db.Tx, id string) (Channel, bool, error) {
	scope, p, ok := resource(tx.Scope.Account, id, "contact-channel", 2)
	if !ok {
		return Channel{}, false, nil
	}
	c, ok, err := loadChannel(tx, scope, p[1])
	return c, ok && c.Alias == p[0], err
}

// mustFind is Find within the caller's region, with AWS's error.
func (s *Service) mustFind(tx *db.Tx, id *string) (Contact, error) {
	c, ok, err := s.Find(tx, *id)
	if err == nil && (!ok || c.Scope != tx.Scope) {
		err = notFound("CONTACT", *id)
	}
	return c, err
}

func (s *Service) mustFindChannel(tx *db.Tx, id *string) (Channel, error) {
	c, ok, err := s.FindChannel(tx, *id)
	if err == nil && (!ok || c.Scope != tx.Scope) {
		err = notFound("CONTACT_CHANNEL", *id)
	}
	return c, err
}

func notFound(kind, id string) error {
	return &contacts.ResourceNotFoundException{Message: "The resource " + id + " was not found", ResourceId: &id, ResourceType: &kind}
}

// Invalid is the ValidationException of one field.
func Invalid(field, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &contacts.ValidationException{
		Message: "Invalid value provided - " + text,
		Reason:  contacts.ValidationExceptionReasonFieldValidationFailed,
		Fields:  []contacts.ValidationExceptionField{{Name: &field, Message: &text}},
	}
}

func (s *Service) record(tx *db.Tx, kind, subject string, body any, related ...string) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: subject, Related: related, Body: body})
}
