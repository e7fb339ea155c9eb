package engage

import (
	"context"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// Start is an engagement to be started.
type Start struct {
	Contact       string // ARN, of any region of the account
	Incident      string
	Sender        string
	Subject       string
	Content       string
	PublicSubject string
	PublicContent string
	Token         string // repeats with the same token are the same engagement
}

// Start engages a contact in the caller's transaction and returns the ARN of
// the engagement. A contact that does not exist is a ResourceNotFoundException.
func (s *Service) Start(tx *db.Tx, in Start) (string, error) {
	c, ok, err := s.Contacts.Find(tx, in.Contact)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", notFound("CONTACT", in.Contact)
	}
	e := engagement{
		Scope: c.Scope, ID: uuid.NewString(), Alias: c.Alias, Incident: in.Incident, Sender: in.Sender, Subject: in.Subject, Content: in.Content,
		PublicSubject: in.PublicSubject, PublicContent: in.PublicContent, Started: tx.Now, Token: in.Token,
	}
	err = within(tx, c.Scope, func() error { return s.begin(tx, &e) })
	return e.ARN(), err
}

func (s *Service) begin(tx *db.Tx, e *engagement) error {
	b := s.book(tx)
	root, _ := b.Plan(e.contact())
	state, effects := s.machine(b).Start(root, tx.Now)
	if b.err != nil {
		return b.err
	}
	e.State = state
	if ok, err := insertEngagement(tx, *e); err != nil || !ok {
		if err == nil {
			*e, _, err = engagementByToken(tx, e.Scope, e.Alias, e.Token)
		}
		return err
	}
	if err := s.record(tx, *e, "engagement.started", e.ARN(), Fact{Contact: e.contact(), Subject: e.Subject}); err != nil {
		return err
	}
	return s.settle(tx, e, effects)
}

// StopFor stops every engagement of an incident.
func (s *Service) StopFor(tx *db.Tx, incident, reason string) error {
	all, err := engagementsOf(tx, tx.Scope.Account, incident, "{lock}")
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := within(tx, e.Scope, func() error { return s.stop(tx, &e, reason) }); err != nil {
			return err
		}
	}
	return nil
}

// stop ends an engagement; pages that were not sent yet are dropped.
func (s *Service) stop(tx *db.Tx, e *engagement, reason string) error {
	if e.State.Outcome == Stopped || e.State.Outcome == Acknowledged {
		return nil
	}
	state, effects := s.machine(nil).Stop(e.State, tx.Now)
	e.State = state
	open, err := pendingPages(tx, *e)
	if err != nil {
		return err
	}
	for _, p := range open {
		p.Status = dropped
		if err := updatePage(tx, p); err != nil {
			return err
		}
		if err := insertReceipt(tx, p, receipt{Channel: p.Channel, Type: contacts.ReceiptTypeStop, Info: reason, At: tx.Now}); err != nil {
			return err
		}
	}
	return s.settle(tx, e, effects)
}

// StartEngagement engages a contact.
func (s *Service) StartEngagement(ctx context.Context, in *contacts.StartEngagementInput) (*contacts.StartEngagementOutput, error) {
	out := &contacts.StartEngagementOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.Start(tx, Start{
			Contact: *in.ContactId, Incident: ptr.Value(in.IncidentId), Sender: *in.Sender, Subject: *in.Subject, Content: *in.Content,
			PublicSubject: ptr.Value(in.PublicSubject), PublicContent: ptr.Value(in.PublicContent), Token: ptr.Value(in.IdempotencyToken),
		})
		out.EngagementArn = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StopEngagement engages nobody further. Stopping twice is one stop.
func (s *Service) StopEngagement(ctx context.Context, in *contacts.StopEngagementInput) (*contacts.StopEngagementOutput, error) {
	out := &contacts.StopEngagementOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		e, err := s.findEngagement(tx, *in.EngagementId, "{lock}")
		if err != nil {
			return err
		}
		return s.stop(tx, &e, ptr.Value(in.Reason))
	})
	return out, err
}

// DescribeEngagement returns an engagement with its content.
func (s *Service) DescribeEngagement(ctx context.Context, in *contacts.DescribeEngagementInput) (*contacts.DescribeEngagementOutput, error) {
	var e engagement
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		e, err = s.findEngagement(tx, *in.EngagementId, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &contacts.DescribeEngagementOutput{
		ContactArn: new(e.contact()), EngagementArn: new(e.ARN()), IncidentId: ptr.OrNil(e.Incident), Sender: &e.Sender,
		Subject: &e.Subject, Content: &e.Content, PublicSubject: ptr.OrNil(e.PublicSubject), PublicContent: ptr.OrNil(e.PublicContent),
		StartTime: ptr.Moment(e.Started), StopTime: ptr.Moment(e.Stopped),
	}, nil
}
