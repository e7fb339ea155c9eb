package engage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

var schema = []db.Migrations{task.Migrations, journal.Migrations, tagging.Migrations, contact.Migrations, engage.Migrations}

// radio is a channel that keeps what it was given, with the time since start.
type radio struct {
	mu    sync.Mutex
	start time.Time
	got   []engage.Page
	log   []string
	fail  map[string]error // by address
}

func (r *radio) Deliver(_ context.Context, p engage.Page) (engage.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail[p.Address]; err != nil {
		return engage.Receipt{}, err
	}
	r.got = append(r.got, p)
	r.log = append(r.log, fmt.Sprintf("%v %s", time.Since(r.start).Round(time.Millisecond), p.Address))
	return engage.Receipt{Info: "radio-" + p.ID, Delivered: true}, nil
}

func (r *radio) pages() []engage.Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]engage.Page(nil), r.got...)
}

type hub struct {
	*engage.Service
	people *contact.Service
	radio  *radio
	ctx    context.Context
}

func newHub(t *testing.T, d *db.DB) *hub {
	t.Helper()
	r := &radio{start: time.Now(), fail: map[string]error{}}
	tasks, j, key := tasktest.New(t, d), journaltest.New(t, d), []byte("a key of the tests, 32 bytes long")
	channels := engage.Channels{Inbox: r}
	people := contact.New(contact.Service{DB: d, Tasks: tasks, Journal: j, Codes: channels, Key: key})
	s := engage.New(engage.Service{DB: d, Tasks: tasks, Journal: j, Contacts: people, Channels: channels, Key: key, BaseURL: "https://hub"})
	return &hub{s, people, r, db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "us-east-1"})}
}

// person makes a contact with one activated inbox channel.
func (h *hub) person(t *testing.T, alias string, retry int32) string {
	t.Helper()
	c, err := h.people.CreateContact(h.ctx, &contacts.CreateContactInput{Alias: &alias, Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{}})
	must(t, err)
	ch, err := h.people.CreateContactChannel(h.ctx, &contacts.CreateContactChannelInput{
		ContactId: c.ContactArn, Name: new("inbox"), Type: contacts.ChannelTypeEmail, DeferActivation: new(true),
		DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: new(alias + "@inbox.local")},
	})
	must(t, err)
	err = h.DB.Update(h.ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`update contact_channel set activated = 1`)
		return err
	})
	must(t, err)
	stage := contacts.Stage{DurationInMinutes: new(int32(5)), Targets: []contacts.Target{{ChannelTargetInfo: &contacts.ChannelTargetInfo{ContactChannelId: ch.ContactChannelArn, RetryIntervalInMinutes: &retry}}}}
	_, err = h.people.UpdateContact(h.ctx, &contacts.UpdateContactInput{ContactId: c.ContactArn, Plan: &contacts.Plan{Stages: []contacts.Stage{stage}}})
	must(t, err)
	return *c.ContactArn
}

// plan makes an escalation of one essential contact after the other, 3 minutes
// apart.
func (h *hub) plan(t *testing.T, people ...string) string {
	t.Helper()
	p := &contacts.Plan{}
	for _, id := range people {
		p.Stages = append(p.Stages, contacts.Stage{DurationInMinutes: new(int32(3)), Targets: []contacts.Target{{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: &id, IsEssential: new(true)}}}})
	}
	c, err := h.people.CreateContact(h.ctx, &contacts.CreateContactInput{Alias: new("plan"), Type: contacts.ContactTypeEscalation, Plan: p})
	must(t, err)
	return *c.ContactArn
}

func (h *hub) engage(t *testing.T, who string) string {
	t.Helper()
	out, err := h.StartEngagement(h.ctx, &contacts.StartEngagementInput{ContactId: &who, Sender: new("tests"), Subject: new("It burns"), Content: new("Come at once"), IncidentId: new("incident-1")})
	must(t, err)
	return *out.EngagementArn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A silent first person, an answer from the second: over real tasks, in fake
// time.
func TestEscalationStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, dbtest.SQLite(t, schema...))
		tasktest.Start(t, h.Tasks)
		plan := h.plan(t, h.person(t, "ann", 0), h.person(t, "bob", 0), h.person(t, "eve", 0))
		h.radio.start = time.Now()
		id := h.engage(t, plan)
		<-time.After(4 * time.Minute)
		p := h.radio.pages()[1]
		_, err := h.AcceptPage(h.ctx, &contacts.AcceptPageInput{PageId: &p.ARN, AcceptCode: new("999999999"), AcceptType: contacts.AcceptTypeRead})
		if _, ok := errors.AsType[*contacts.ValidationException](err); !ok {
			t.Fatalf("a wrong code: %v", err)
		}
		_, err = h.AcceptPage(h.ctx, &contacts.AcceptPageInput{PageId: &p.ARN, AcceptCode: &p.Code, AcceptType: contacts.AcceptTypeRead})
		must(t, err)
		<-time.After(12 * time.Minute)
		if d := cmp.Diff([]string{"0s ann@inbox.local", "3m0s bob@inbox.local"}, h.radio.log); d != "" {
			t.Fatalf("pages (-want +got):\n%s", d)
		}
		e, err := h.DescribeEngagement(h.ctx, &contacts.DescribeEngagementInput{EngagementId: &id})
		must(t, err)
		if e.StopTime == nil || *e.Subject != "It burns" {
			t.Fatalf("%+v", e)
		}
		h.checkPage(t, p.ARN)
	})
}

func (h *hub) checkPage(t *testing.T, id string) {
	t.Helper()
	d, err := h.DescribePage(h.ctx, &contacts.DescribePageInput{PageId: &id})
	must(t, err)
	if d.SentTime == nil || d.DeliveryTime == nil || d.ReadTime == nil || !strings.HasSuffix(*d.ContactArn, "contact/bob") {
		t.Fatalf("%+v", d)
	}
	r, err := h.ListPageReceipts(h.ctx, &contacts.ListPageReceiptsInput{PageId: &id})
	must(t, err)
	var kinds []contacts.ReceiptType
	for _, v := range r.Receipts {
		kinds = append(kinds, v.ReceiptType)
	}
	if d := cmp.Diff([]contacts.ReceiptType{"SENT", "DELIVERED", "READ"}, kinds); d != "" {
		t.Fatal(d)
	}
	res, err := h.ListPageResolutions(h.ctx, &contacts.ListPageResolutionsInput{PageId: &id})
	must(t, err)
	if len(res.PageResolutions) != 2 || *res.PageResolutions[0].StageIndex != 1 || res.PageResolutions[1].Type != "PERSONAL" {
		t.Fatalf("%+v", res.PageResolutions)
	}
}

// A channel that fails is tried for a while, then the page has failed; the
// interval of the plan sends it once more.
func TestFailedDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, dbtest.SQLite(t, schema...))
		tasktest.Start(t, h.Tasks)
		ann := h.person(t, "ann", 2)
		h.radio.fail["ann@inbox.local"] = fmt.Errorf("%w: no such mailbox", engage.ErrPermanent)
		id := h.engage(t, ann)
		<-time.After(time.Minute)
		h.radio.mu.Lock()
		delete(h.radio.fail, "ann@inbox.local")
		h.radio.mu.Unlock()
		<-time.After(12 * time.Minute)
		if len(h.radio.pages()) != 1 {
			t.Fatalf("%d pages", len(h.radio.got))
		}
		out, err := h.ListPagesByEngagement(h.ctx, &contacts.ListPagesByEngagementInput{EngagementId: &id})
		must(t, err)
		if len(out.Pages) != 2 || out.Pages[0].SentTime != nil || out.Pages[1].SentTime == nil {
			t.Fatalf("%+v", out.Pages)
		}
	})
}

func TestLinksAndStop(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		ann := h.person(t, "ann", 0)
		id := h.engage(t, ann)
		must(t, h.Tasks.RunDue(h.ctx))
		path := strings.TrimPrefix(h.radio.pages()[0].Link, "https://hub"+engage.LinkPath)
		for _, bad := range []string{"", path + "x", path[:len(path)-1], strings.Replace(path, "us-east-1", "eu-west-1", 1)} {
			if err := h.AcknowledgeLink(t.Context(), bad); !errors.Is(err, engage.ErrLink) {
				t.Fatalf("%q: %v", bad, err)
			}
		}
		l, err := h.OpenLink(t.Context(), path)
		must(t, err)
		if !l.Read.IsZero() || l.Subject != "It burns" {
			t.Fatalf("%+v", l)
		}
		must(t, h.AcknowledgeLink(t.Context(), path))
		must(t, h.AcknowledgeLink(t.Context(), path))
		l, err = h.OpenLink(t.Context(), path)
		must(t, err)
		if l.Read.IsZero() {
			t.Fatal("not acknowledged")
		}
		for range 2 {
			_, err = h.StopEngagement(h.ctx, &contacts.StopEngagementInput{EngagementId: &id})
			must(t, err)
		}
		second := h.engage(t, ann)
		must(t, h.DB.Update(h.ctx, func(tx *db.Tx) error { return h.StopFor(tx, "incident-1", "resolved") }))
		must(t, h.Tasks.RunDue(h.ctx))
		if len(h.radio.pages()) != 1 {
			t.Fatal("a page of a stopped engagement went out")
		}
		list, err := h.ListEngagements(h.ctx, &contacts.ListEngagementsInput{IncidentId: new("incident-1")})
		must(t, err)
		if len(list.Engagements) != 2 || *list.Engagements[0].EngagementArn != second {
			t.Fatalf("%+v", list)
		}
		byContact, err := h.ListPagesByContact(h.ctx, &contacts.ListPagesByContactInput{ContactId: &ann, MaxResults: new(int32(1))})
		must(t, err)
		if len(byContact.Pages) != 1 || byContact.NextToken == nil {
			t.Fatalf("%+v", byContact)
		}
	})
}

// dying is a channel whose process dies after the first delivery: nobody learns
// that it took place.
type dying struct {
	radio
	died bool
}

func (d *dying) Deliver(ctx context.Context, p engage.Page) (engage.Receipt, error) {
	r, err := d.radio.Deliver(ctx, p)
	if !d.died {
		d.died = true
		panic("killed between the hand-over and the receipt")
	}
	return r, err
}

// A kill between hand-over and receipt repeats the page once, as the same page.
func TestKilledDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, dbtest.SQLite(t, schema...))
		d := &dying{radio: radio{start: time.Now()}}
		h.Channels.Inbox = d
		ann := h.person(t, "ann", 0)
		tasktest.Start(t, h.Tasks)
		id := h.engage(t, ann)
		<-time.After(4 * time.Minute)
		got := d.pages()
		if len(got) != 2 || got[0].ID != got[1].ID || got[0].Link != got[1].Link || got[0].Code != got[1].Code {
			t.Fatalf("%d deliveries", len(got))
		}
		out, err := h.ListPagesByEngagement(h.ctx, &contacts.ListPagesByEngagementInput{EngagementId: &id})
		must(t, err)
		if len(out.Pages) != 1 || out.Pages[0].SentTime == nil {
			t.Fatalf("%+v", out.Pages)
		}
	})
}

// Many answers at once are one answer.
func TestAnswersRace(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		id := h.engage(t, h.person(t, "ann", 0))
		must(t, h.Tasks.RunDue(h.ctx))
		p := h.radio.pages()[0]
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					err = h.AcknowledgeLink(t.Context(), strings.TrimPrefix(p.Link, "https://hub"+engage.LinkPath))
				case 1:
					_, err = h.AcceptPage(h.ctx, &contacts.AcceptPageInput{PageId: &p.ARN, AcceptCode: &p.Code, AcceptType: contacts.AcceptTypeRead})
				default:
					_, err = h.StopEngagement(h.ctx, &contacts.StopEngagementInput{EngagementId: &id})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r, err := h.ListPageReceipts(h.ctx, &contacts.ListPageReceiptsInput{PageId: &p.ARN})
		must(t, err)
		if len(r.Receipts) != 3 { // SENT, DELIVERED, READ
			t.Fatalf("%d receipts", len(r.Receipts))
		}
	})
}

// Retries with one token are one engagement, also at the same time.
func TestStartWithToken(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		ann := h.person(t, "ann", 0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := h.StartEngagement(h.ctx, &contacts.StartEngagementInput{ContactId: &ann, Sender: new("t"), Subject: new("s"), Content: new("c"), IdempotencyToken: new("one")})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		must(t, h.Tasks.RunDue(h.ctx))
		if n := len(h.radio.pages()); n != 1 {
			t.Fatalf("%d pages", n)
		}
	})
}
