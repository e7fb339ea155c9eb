package engage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	stageTask   = "engage.stage"
	pageTask    = "engage.page"
	pageTries   = 5
	pageTimeout = 30 * time.Second
)

// book reads plans and channels inside a transaction and keeps the first error.
type book struct {
	s   *Service
	tx  *db.Tx
	err error
}

func (s *Service) book(tx *db.Tx) *book { return &book{s: s, tx: tx} }

// Plan is the plan of a contact as the machine sees it.
func (b *book) Plan(id string) (Plan, bool) {
	c, ok, err := b.s.Contacts.Find(b.tx, id)
	if err != nil {
		b.err = errors.Join(b.err, err)
	}
	return planOf(c), ok && err == nil
}

// Reachable says whether a channel is activated.
func (b *book) Reachable(id string) bool {
	c, ok, err := b.s.Contacts.FindChannel(b.tx, id)
	if err != nil {
		b.err = errors.Join(b.err, err)
	}
	return ok && err == nil && c.Activated
}

func planOf(c contact.Contact) Plan {
	p := Plan{Contact: c.ARN(), Kind: Kind(c.Type)}
	for _, st := range c.Plan.Stages {
		stage := Stage{Minutes: number(st.DurationInMinutes)}
		for _, t := range st.Targets {
			switch {
			case t.ChannelTargetInfo != nil:
				stage.Targets = append(stage.Targets, Target{Channel: *t.ChannelTargetInfo.ContactChannelId, RetryMinutes: number(t.ChannelTargetInfo.RetryIntervalInMinutes)})
			case t.ContactTargetInfo != nil:
				i := t.ContactTargetInfo
				stage.Targets = append(stage.Targets, Target{Contact: ptr.Value(i.ContactId), Essential: i.IsEssential != nil && *i.IsEssential})
			}
		}
		p.Stages = append(p.Stages, stage)
	}
	return p
}

func number(p *int32) int {
	if p == nil {
		return 0
	}
	return int(*p)
}

func (s *Service) machine(b Book) Machine { return Machine{Unit: s.StageUnit, Book: b} }

// Fact is the body of the facts engagement.* and page.*; members that do not apply
// are empty.
type Fact struct {
	Engagement string  `json:"engagement"`
	Incident   string  `json:"incident,omitempty"`
	Contact    string  `json:"contact,omitempty"` // who is meant by the fact
	Page       string  `json:"page,omitempty"`
	Channel    string  `json:"channel,omitempty"`
	Stage      int     `json:"stage,omitempty"` // 1 for the first
	Subject    string  `json:"subject,omitempty"`
	Outcome    Outcome `json:"outcome,omitempty"`
	Reason     string  `json:"reason,omitempty"`
	Note       string  `json:"note,omitempty"`
}

func (s *Service) record(tx *db.Tx, e engagement, kind, subject string, f Fact) error {
	f.Engagement, f.Incident = e.ARN(), e.Incident
	related := []string{f.Engagement}
	for _, r := range []string{f.Incident, f.Contact} {
		if r != "" {
			related = append(related, r)
		}
	}
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: subject, Related: related, Body: f})
}

// settle does the effects of a transition, saves the engagement and sets the
// task of its next deadline.
func (s *Service) settle(tx *db.Tx, e *engagement, effects []Effect) error {
	for _, f := range effects {
		if err := s.effect(tx, e, f); err != nil {
			return err
		}
	}
	if err := updateEngagement(tx, *e); err != nil {
		return err
	}
	return s.schedule(tx, *e)
}

func (s *Service) schedule(tx *db.Tx, e engagement) error {
	next := e.State.Next()
	if next.IsZero() {
		_, err := s.Tasks.Cancel(tx, stageTask, e.ID)
		return err
	}
	if moved, err := s.Tasks.Reschedule(tx, stageTask, e.ID, next); err != nil || moved {
		return err
	}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: stageTask, Key: e.ID, Due: next})
}

func (s *Service) effect(tx *db.Tx, e *engagement, f Effect) error {
	run := e.State.Runs[f.Run]
	about := Fact{Contact: run.Plan.Contact, Stage: f.Stage + 1}
	switch f.Kind {
	case SendPage:
		return s.page(tx, *e, f.Slot)
	case StageBegan:
		if run.Plan.Kind == Personal && run.Parent >= 0 && f.Stage == 0 {
			return nil // the page says it
		}
		return s.record(tx, *e, "engagement.escalated", e.ARN(), about)
	case StageSkipped:
		return s.record(tx, *e, "engagement.stage_skipped", e.ARN(), about)
	default:
		e.Stopped = tx.Now
		return s.record(tx, *e, "engagement.resolved", e.ARN(), Fact{Contact: e.contact(), Outcome: e.State.Outcome})
	}
}

// page commits the intent of a page. Its id follows from what it is for, so a
// transition that runs twice wants the same page.
func (s *Service) page(tx *db.Tx, e engagement, slot Slot) error {
	run := e.State.Runs[slot.Run]
	name, err := uuid.Parse(e.ID)
	if err != nil {
		return err
	}
	_, alias, _ := strings.Cut(run.Plan.Contact, ":contact/")
	p := pageRow{
		Scope: e.Scope, ID: uuid.NewSHA1(name, fmt.Appendf(nil, "%d/%d/%d/%d", slot.Run, slot.Stage, slot.Target, slot.Try)).String(),
		Engagement: e.ID, Alias: alias, Channel: run.Plan.Stages[slot.Stage].Targets[slot.Target].Channel, Slot: slot, Status: pending, Created: tx.Now,
	}
	if err := insertPage(tx, p); err != nil {
		return err
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: pageTask, Key: p.ID}); err != nil {
		return err
	}
	return s.record(tx, e, "page.created", p.ARN(), Fact{Contact: run.Plan.Contact, Page: p.ARN(), Channel: p.Channel, Stage: e.State.Path(slot.Run)[0].Stage + 1, Subject: e.Subject})
}

// runStage does what is due in an engagement.
func (s *Service) runStage(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		e, ok, err := loadEngagement(tx, tx.Scope, r.Key, "{lock}")
		if err != nil || !ok {
			return err
		}
		b := s.book(tx)
		state, effects := s.machine(b).Tick(e.State, tx.Now)
		if b.err != nil {
			return b.err
		}
		e.State = state
		for _, f := range effects {
			if err := s.effect(tx, &e, f); err != nil {
				return err
			}
		}
		if err := updateEngagement(tx, e); err != nil {
			return err
		}
		if next := e.State.Next(); !next.IsZero() {
			return r.Again(tx, next)
		}
		return r.Done(tx)
	})
}

// deliver hands one page to its channel. Killed between the hand-over and the
// commit of the receipt, it does so once more with the same page id.
func (s *Service) deliver(ctx context.Context, r *task.Run) error {
	d, err := s.prepare(ctx, r.Key)
	if err != nil || d == nil {
		return err
	}
	got, err := d.provider.Deliver(ctx, d.page)
	if err != nil && !errors.Is(err, ErrPermanent) && r.Attempt < pageTries {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if err != nil {
			if err := s.failed(tx, r.Key, reason(err)); err != nil {
				return err
			}
		} else if err := s.sent(tx, r.Key, got); err != nil {
			return err
		}
		return r.Done(tx)
	})
}

// reason is what may be shown of a delivery's error.
func reason(err error) string {
	if t := err.Error(); len(t) > 500 {
		return t[:500]
	}
	return err.Error()
}

type delivery struct {
	provider Channel
	page     Page
}

// unreachable is a provider that refuses: its error becomes the page's.
type unreachable struct{ err error }

func (u unreachable) Deliver(context.Context, Page) (Receipt, error) { return Receipt{}, u.err }

// prepare reads what a pending page says; nil when there is nothing to deliver.
func (s *Service) prepare(ctx context.Context, id string) (d *delivery, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		p, ok, err := loadPage(tx, tx.Scope, id, "")
		if err != nil || !ok || p.Status != pending {
			return err
		}
		e, _, err := loadEngagement(tx, tx.Scope, p.Engagement, "")
		if err != nil {
			return err
		}
		c, ok, err := s.Contacts.FindChannel(tx, p.Channel)
		if err != nil {
			return err
		}
		d = &delivery{page: s.message(e, p, c)}
		if d.provider, err = s.Channels.pick(c.Type, c.Address); err != nil || !ok || !c.Activated {
			d.provider = unreachable{errors.Join(ErrPermanent, err)}
		}
		return nil
	})
	return d, err
}

func (s *Service) message(e engagement, p pageRow, c contact.Channel) Page {
	m := Page{
		ID: p.ID, ARN: p.ARN(), Recipient: p.Alias, Address: c.Address, Sender: e.Sender, Subject: e.Subject, Content: e.Content,
		Incident: e.Incident, Code: s.acceptCode(p), Link: s.link(p), At: p.Created,
	}
	if c.Type == contacts.ChannelTypeSms && e.PublicSubject != "" {
		m.Subject, m.Content = e.PublicSubject, e.PublicContent
	}
	return m
}

// sent records that the channel took a page.
func (s *Service) sent(tx *db.Tx, id string, r Receipt) error {
	p, e, err := s.pageAndEngagement(tx, id)
	if err != nil || p.Status != pending {
		return err
	}
	p.Status, p.Sent = sent, tx.Now
	if err := insertReceipt(tx, p, receipt{Channel: p.Channel, Type: contacts.ReceiptTypeSent, Info: r.Info, At: tx.Now}); err != nil {
		return err
	}
	if r.Delivered && p.Delivered.IsZero() {
		p.Delivered = tx.Now
		if err := insertReceipt(tx, p, receipt{Channel: p.Channel, Type: contacts.ReceiptTypeDelivered, Info: r.Info, At: tx.Now}); err != nil {
			return err
		}
	}
	if err := updatePage(tx, p); err != nil {
		return err
	}
	return s.record(tx, e, "page.sent", p.ARN(), Fact{Contact: contactARN(p.Scope, p.Alias), Page: p.ARN(), Channel: p.Channel})
}

// failed records that a page could not be delivered; the plan may want it sent
// again later.
func (s *Service) failed(tx *db.Tx, id, why string) error {
	p, e, err := s.pageAndEngagement(tx, id)
	if err != nil || p.Status != pending {
		return err
	}
	p.Status = failed
	if err := insertReceipt(tx, p, receipt{Channel: p.Channel, Type: contacts.ReceiptTypeError, Info: why, At: tx.Now}); err != nil {
		return err
	}
	if err := updatePage(tx, p); err != nil {
		return err
	}
	if err := s.record(tx, e, "page.failed", p.ARN(), Fact{Contact: contactARN(p.Scope, p.Alias), Page: p.ARN(), Channel: p.Channel, Reason: why}); err != nil {
		return err
	}
	b := s.book(tx)
	state, effects := s.machine(b).Failed(e.State, p.Slot, tx.Now)
	if b.err != nil {
		return b.err
	}
	e.State = state
	return s.settle(tx, &e, effects)
}

// pageAndEngagement locks an engagement and reads a page of it.
func (s *Service) pageAndEngagement(tx *db.Tx, id string) (pageRow, engagement, error) {
	p, ok, err := loadPage(tx, tx.Scope, id, "")
	if err != nil || !ok {
		return p, engagement{}, err
	}
	e, _, err := loadEngagement(tx, p.Scope, p.Engagement, "{lock}")
	if err != nil {
		return p, e, err
	}
	p, _, err = loadPage(tx, p.Scope, id, "{lock}")
	return p, e, err
}
