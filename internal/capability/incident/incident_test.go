package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/capability/incident"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

var schema = []db.Migrations{
	task.Migrations, journal.Migrations, tagging.Migrations, contact.Migrations, engage.Migrations, opsitem.Migrations, incident.Migrations,
}

const account = "123456789012"

// phone is a channel that keeps its pages.
type phone struct {
	mu  sync.Mutex
	got []engage.Page
}

func (p *phone) Deliver(_ context.Context, page engage.Page) (engage.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, page)
	return engage.Receipt{Delivered: true}, nil
}

func (p *phone) pages() []engage.Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]engage.Page(nil), p.got...)
}

// runbooks takes starts and refuses documents named "missing".
type runbooks struct {
	mu      sync.Mutex
	started []automation.Start
}

func (r *runbooks) Start(_ context.Context, _ *db.Tx, s automation.Start) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.DocumentName == "missing" {
		return "", &ssm.AutomationDefinitionNotFoundException{Message: "no such document"}
	}
	r.started = append(r.started, s)
	return uuid.NewString(), nil
}

type hub struct {
	*incident.Service
	people *contact.Service
	tasks  *task.Engine
	phone  *phone
	books  *runbooks
	ctx    context.Context
}

func newHub(t *testing.T, d *db.DB) *hub {
	t.Helper()
	h := &hub{phone: &phone{}, books: &runbooks{}, tasks: tasktest.New(t, d)}
	j, key := journaltest.New(t, d), []byte("a key of the tests, 32 bytes long")
	channels := engage.Channels{Inbox: h.phone}
	h.people = contact.New(contact.Service{DB: d, Tasks: h.tasks, Journal: j, Codes: channels, Key: key})
	calls := engage.New(engage.Service{DB: d, Tasks: h.tasks, Journal: j, Contacts: h.people, Channels: channels, Key: key})
	h.Service = incident.New(incident.Service{
		DB: d, Journal: j, Engage: calls, OpsItems: opsitem.New(opsitem.Service{DB: d, Journal: j}), Automations: h.books,
	})
	h.ctx = db.WithScope(journal.WithActor(t.Context(), "arn:aws:iam::"+account+":user/ops"), db.Scope{Account: account, Region: "us-east-1"})
	_, err := h.CreateReplicationSet(h.ctx, &incidents.CreateReplicationSetInput{Regions: map[string]incidents.RegionMapInputValue{"us-east-1": {}}})
	must(t, err)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// escalation makes people who are called one after the other, 3 minutes apart.
func (h *hub) escalation(t *testing.T, aliases ...string) string {
	t.Helper()
	p := &contacts.Plan{}
	for _, alias := range aliases {
		c, err := h.people.CreateContact(h.ctx, &contacts.CreateContactInput{Alias: &alias, Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{}})
		must(t, err)
		ch, err := h.people.CreateContactChannel(h.ctx, &contacts.CreateContactChannelInput{
			ContactId: c.ContactArn, Name: new("inbox"), Type: contacts.ChannelTypeEmail, DeferActivation: new(true),
			DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: new(alias + "@inbox.local")},
		})
		must(t, err)
		stage := contacts.Stage{DurationInMinutes: new(int32(5)), Targets: []contacts.Target{{ChannelTargetInfo: &contacts.ChannelTargetInfo{ContactChannelId: ch.ContactChannelArn}}}}
		_, err = h.people.UpdateContact(h.ctx, &contacts.UpdateContactInput{ContactId: c.ContactArn, Plan: &contacts.Plan{Stages: []contacts.Stage{stage}}})
		must(t, err)
		p.Stages = append(p.Stages, contacts.Stage{DurationInMinutes: new(int32(3)), Targets: []contacts.Target{{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: c.ContactArn, IsEssential: new(true)}}}})
	}
	must(t, h.DB.Update(h.ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`update contact_channel set activated = 1`)
		return err
	}))
	c, err := h.people.CreateContact(h.ctx, &contacts.CreateContactInput{Alias: new("plan"), Type: contacts.ContactTypeEscalation, Plan: p})
	must(t, err)
	return *c.ContactArn
}

func (h *hub) plan(t *testing.T, in *incidents.CreateResponsePlanInput) string {
	t.Helper()
	out, err := h.CreateResponsePlan(h.ctx, in)
	must(t, err)
	return *out.Arn
}

func template(dedupe string) *incidents.IncidentTemplate {
	t := &incidents.IncidentTemplate{Title: new("Shop is down"), Impact: new(int32(2)), Summary: new("Customers cannot pay")}
	if dedupe != "" {
		t.DedupeString = &dedupe
	}
	return t
}

func (h *hub) start(t *testing.T, plan string) string {
	t.Helper()
	out, err := h.StartIncident(h.ctx, &incidents.StartIncidentInput{ResponsePlanArn: &plan})
	must(t, err)
	return *out.IncidentRecordArn
}

// An alarm becomes an incident, the first person is silent, the second answers,
// the runbook is started with its parameters, the alarm repeats and clears, the
// incident is resolved: and the timeline tells it.
func TestStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, dbtest.SQLite(t, schema...))
		plan := h.plan(t, &incidents.CreateResponsePlanInput{
			Name: new("shop"), IncidentTemplate: template(""), Engagements: []string{h.escalation(t, "ann", "bob", "eve")},
			Actions: []incidents.Action{{SsmAutomation: &incidents.SsmAutomation{
				DocumentName: new("Restart-Shop"), RoleArn: new("arn:aws:iam::" + account + ":role/runbooks"), Parameters: map[string][]string{"Service": {"shop"}},
				DynamicParameters: map[string]incidents.DynamicSsmParameterValue{"Incident": {Variable: "INCIDENT_RECORD_ARN"}, "Hosts": {Variable: "INVOLVED_RESOURCES"}},
			}}},
		})
		tasktest.Start(t, h.tasks)
		journaltest.Start(t, h.Journal)
		var first string
		must(t, h.DB.Update(h.ctx, func(tx *db.Tx) (err error) {
			first, _, err = h.Start(h.ctx, tx, incident.Start{
				Alarm: "shop-5xx", Source: "prometheus.alertmanager", Title: "ShopDown on node-1", Plan: plan, RawData: `{"a":1}`,
				Related: []incidents.RelatedItem{{
					Title: new("node"), Identifier: &incidents.ItemIdentifier{
						Type: incidents.ItemTypeInvolvedResource, Value: &incidents.ItemValue{Arn: new("arn:aws:ssm:us-east-1:" + account + ":managed-instance/mi-1")},
					},
				}},
			})
			return err
		}))
		note := func(repeats int64, cleared bool) {
			must(t, h.DB.Update(h.ctx, func(tx *db.Tx) error {
				open, err := h.NoteAlarm(tx, first, incident.AlarmNote{Key: "shop-5xx", Name: "ShopDown", Source: "prometheus.alertmanager", Repeats: repeats, Cleared: cleared})
				if !open {
					t.Error("the incident is not open")
				}
				return err
			}))
		}
		<-time.After(time.Minute)
		note(1, false)
		<-time.After(3 * time.Minute)
		p := h.phone.pages()[1]
		_, err := h.Engage.AcceptPage(h.ctx, &contacts.AcceptPageInput{PageId: &p.ARN, AcceptCode: &p.Code, AcceptType: contacts.AcceptTypeRead, Note: new("on it")})
		must(t, err)
		<-time.After(10 * time.Minute)
		note(0, true)
		_, err = h.UpdateIncidentRecord(h.ctx, &incidents.UpdateIncidentRecordInput{Arn: &first, Status: incidents.IncidentRecordStatusResolved})
		must(t, err)
		<-time.After(12 * time.Minute)
		got, err := h.Timeline(h.ctx, first)
		must(t, err)
		want := strings.Join([]string{
			"00:00 Alarm triggered: ShopDown on node-1", "00:00 Incident created by response plan shop: ShopDown on node-1", "00:00 Paged ann",
			"00:01 Alarm repeated: ShopDown", "00:03 No answer: stage 2 of plan began", "00:03 Paged bob", "00:04 bob acknowledged: on it",
			"00:14 Alarm cleared: ShopDown", "00:14 Incident resolved by ops", "",
		}, "\n")
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("timeline (-want +got):\n%s", d)
		}
		h.checkRunbook(t, first)
		h.checkRecord(t, first)
	})
}

func (h *hub) checkRunbook(t *testing.T, id string) {
	t.Helper()
	if len(h.books.started) != 1 {
		t.Fatalf("%d runbooks", len(h.books.started))
	}
	s := h.books.started[0]
	want := map[string][]string{"Service": {"shop"}, "Incident": {id}, "Hosts": {"arn:aws:ssm:us-east-1:" + account + ":managed-instance/mi-1"}}
	if d := cmp.Diff(want, s.Parameters); d != "" || s.IncidentARN != id || s.RoleARN == "" {
		t.Fatalf("%+v\n%s", s, d)
	}
}

func (h *hub) checkRecord(t *testing.T, id string) {
	t.Helper()
	out, err := h.GetIncidentRecord(h.ctx, &incidents.GetIncidentRecordInput{Arn: &id})
	must(t, err)
	r := out.IncidentRecord
	if r.ResolvedTime == nil || r.Status != "RESOLVED" || len(r.AutomationExecutions) != 1 || *r.Impact != 2 || *r.IncidentRecordSource.Source != "prometheus.alertmanager" {
		t.Fatalf("%+v", r)
	}
	items, err := h.ListRelatedItems(h.ctx, &incidents.ListRelatedItemsInput{IncidentRecordArn: &id})
	must(t, err)
	var parent string
	for _, i := range items.RelatedItems {
		if !regexp.MustCompile(`^related-item/[A-Z_]+/[0-9A-F]{32}$`).MatchString(*i.GeneratedId) {
			t.Errorf("id %s", *i.GeneratedId)
		}
		if i.Identifier.Type == incidents.ItemTypeParent {
			parent = *i.Identifier.Value.Arn
		}
	}
	if len(items.RelatedItems) != 3 {
		t.Fatalf("%d related items", len(items.RelatedItems))
	}
	item, err := h.OpsItems.GetOpsItem(h.ctx, &ssm.GetOpsItemInput{OpsItemId: &parent})
	must(t, err)
	if item.OpsItem.Status != ssm.OpsItemStatusResolved {
		t.Fatalf("the parent is %s", item.OpsItem.Status)
	}
}

// The nesting that runbooks of the user guide rely on: event, eventData, rawData.
func TestTriggerEventNesting(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		plan := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), IncidentTemplate: template("")})
		out, err := h.StartIncident(h.ctx, &incidents.StartIncidentInput{ResponsePlanArn: &plan, Title: new("T"), Impact: new(int32(1)), TriggerDetails: &incidents.TriggerDetails{
			Source: new("mine"), Timestamp: new(time.Now().Truncate(time.Microsecond)), TriggerArn: new("arn:aws:cloudwatch:us-east-1:" + account + ":alarm:x"), RawData: new(`{"detail":{"n":1}}`),
		}})
		must(t, err)
		list, err := h.ListTimelineEvents(h.ctx, &incidents.ListTimelineEventsInput{IncidentRecordArn: out.IncidentRecordArn, Filters: []incidents.Filter{
			{Key: new("eventType"), Condition: &incidents.Condition{Equals: &incidents.AttributeValueList{StringValues: []string{"SSM Incident Trigger"}}}},
		}})
		must(t, err)
		if len(list.EventSummaries) != 1 {
			t.Fatalf("%+v", list)
		}
		e, err := h.GetTimelineEvent(h.ctx, &incidents.GetTimelineEventInput{IncidentRecordArn: out.IncidentRecordArn, EventId: list.EventSummaries[0].EventId})
		must(t, err)
		var data struct {
			CreatedIncident bool
			RawData         string
		}
		var raw struct{ Detail struct{ N int } }
		if json.Unmarshal([]byte(*e.Event.EventData), &data) != nil || json.Unmarshal([]byte(data.RawData), &raw) != nil || !data.CreatedIncident || raw.Detail.N != 1 {
			t.Fatal(*e.Event.EventData)
		}
	})
}

// Starts that fold into each other make one incident, however many come at once.
func TestStartRaces(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		plan := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), IncidentTemplate: template("shop-prod-eu")})
		other := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("q"), IncidentTemplate: template("shop-prod")})
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for range 16 {
			wg.Go(func() {
				out, err := h.StartIncident(h.ctx, &incidents.StartIncidentInput{ResponsePlanArn: &plan})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				got[*out.IncidentRecordArn]++
			})
		}
		wg.Wait()
		if len(got) != 1 {
			t.Fatalf("%d incidents", len(got))
		}
		// The open incident's string contains the other plan's.
		id := h.start(t, other)
		if got[id] != 16 {
			t.Fatal("a contained string made an incident of its own")
		}
		_, err := h.UpdateIncidentRecord(h.ctx, &incidents.UpdateIncidentRecordInput{Arn: &id, Status: incidents.IncidentRecordStatusResolved})
		must(t, err)
		second := h.start(t, other)
		if second == id {
			t.Fatal("folded into a resolved incident")
		}
		if third := h.start(t, plan); third == second {
			t.Fatal("folded into an incident whose string is only a part of the plan's")
		}
	})
}

func TestResolvedIncidentTakesNoRepeats(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		id := h.start(t, h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), IncidentTemplate: template("")}))
		_, err := h.UpdateIncidentRecord(h.ctx, &incidents.UpdateIncidentRecordInput{Arn: &id, Status: incidents.IncidentRecordStatusResolved})
		must(t, err)
		for _, in := range []string{id, id + "x"} {
			must(t, h.DB.Update(h.ctx, func(tx *db.Tx) error {
				open, err := h.NoteAlarm(tx, in, incident.AlarmNote{Key: "k", Name: "n", Repeats: 1})
				if open {
					t.Errorf("%s is open", in)
				}
				return err
			}))
		}
	})
}

func TestRefusedRunbookIsNoted(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		plan := h.plan(t, &incidents.CreateResponsePlanInput{
			Name: new("p"), IncidentTemplate: template(""), Engagements: []string{"arn:aws:ssm-contacts:us-east-1:" + account + ":contact/gone"},
			Actions: []incidents.Action{{SsmAutomation: &incidents.SsmAutomation{DocumentName: new("missing"), RoleArn: new("r")}}},
		})
		text, err := h.Timeline(h.ctx, h.start(t, plan))
		must(t, err)
		if !strings.Contains(text, "Runbook missing could not be started") || !strings.Contains(text, "Could not engage") {
			t.Fatal(text)
		}
	})
}

func TestPlansSetsAndRecords(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		_, err := h.CreateReplicationSet(h.ctx, &incidents.CreateReplicationSetInput{})
		if _, ok := errors.AsType[*incidents.ConflictException](err); !ok {
			t.Fatal(err)
		}
		plan := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), DisplayName: new(""), IncidentTemplate: template(""), ChatChannel: &incidents.ChatChannel{Empty: &incidents.EmptyChatChannel{}}, Tags: map[string]string{"a": "b"}})
		_, err = h.UpdateResponsePlan(h.ctx, &incidents.UpdateResponsePlanInput{Arn: &plan, IncidentTemplateTitle: new("New"), IncidentTemplateSummary: new("")})
		must(t, err)
		got, err := h.GetResponsePlan(h.ctx, &incidents.GetResponsePlanInput{Arn: &plan})
		must(t, err)
		want := &incidents.GetResponsePlanOutput{Arn: &plan, Name: new("p"), DisplayName: new(""), IncidentTemplate: &incidents.IncidentTemplate{Title: new("New"), Summary: new(""), Impact: new(int32(2))}}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		tags, err := h.ListTagsForResource(h.ctx, &incidents.ListTagsForResourceInput{ResourceArn: &plan})
		must(t, err)
		if tags.Tags["a"] != "b" {
			t.Fatal(tags)
		}
		id := h.start(t, plan)
		h.checkEvents(t, id)
		status := incidents.Filter{Key: new("status"), Condition: &incidents.Condition{Equals: &incidents.AttributeValueList{StringValues: []string{"OPEN"}}}}
		impact := incidents.Filter{Key: new("impact"), Condition: &incidents.Condition{Equals: &incidents.AttributeValueList{IntegerValues: []int32{1, 2}}}}
		list, err := h.ListIncidentRecords(h.ctx, &incidents.ListIncidentRecordsInput{Filters: []incidents.Filter{status, impact}})
		must(t, err)
		if len(list.IncidentRecordSummaries) != 1 {
			t.Fatalf("%+v", list)
		}
		for range 2 {
			_, err = h.DeleteIncidentRecord(h.ctx, &incidents.DeleteIncidentRecordInput{Arn: &id})
			must(t, err)
		}
		sets, err := h.ListReplicationSets(h.ctx, &incidents.ListReplicationSetsInput{})
		must(t, err)
		_, err = h.DeleteReplicationSet(h.ctx, &incidents.DeleteReplicationSetInput{Arn: &sets.ReplicationSetArns[0]})
		must(t, err)
		_, err = h.GetReplicationSet(h.ctx, &incidents.GetReplicationSetInput{Arn: &sets.ReplicationSetArns[0]})
		if _, ok := errors.AsType[*incidents.ResourceNotFoundException](err); !ok {
			t.Fatal(err)
		}
	})
}

func (h *hub) checkEvents(t *testing.T, id string) {
	t.Helper()
	_, err := h.CreateTimelineEvent(h.ctx, &incidents.CreateTimelineEventInput{IncidentRecordArn: &id, EventType: new("Mine"), EventData: new("x"), EventTime: new(time.Now())})
	if _, ok := errors.AsType[*incidents.ValidationException](err); !ok {
		t.Fatal(err)
	}
	made, err := h.CreateTimelineEvent(h.ctx, &incidents.CreateTimelineEventInput{
		IncidentRecordArn: &id, EventType: new("Note"), EventData: new(`"quoted"`), EventTime: new(time.Now().Truncate(time.Microsecond)), EventReferences: []incidents.EventReference{{Resource: &id}},
	})
	must(t, err)
	_, err = h.UpdateTimelineEvent(h.ctx, &incidents.UpdateTimelineEventInput{IncidentRecordArn: &id, EventId: made.EventId, EventType: new("Custom Event")})
	must(t, err)
	got, err := h.GetTimelineEvent(h.ctx, &incidents.GetTimelineEventInput{IncidentRecordArn: &id, EventId: made.EventId})
	must(t, err)
	if *got.Event.EventData != `"quoted"` || *got.Event.EventType != "Custom Event" {
		t.Fatalf("%+v", got.Event)
	}
	byRef, err := h.ListTimelineEvents(h.ctx, &incidents.ListTimelineEventsInput{IncidentRecordArn: &id, Filters: []incidents.Filter{
		{Key: new("eventReference"), Condition: &incidents.Condition{Equals: &incidents.AttributeValueList{StringValues: []string{id}}}},
	}})
	must(t, err)
	if len(byRef.EventSummaries) != 1 {
		t.Fatalf("%d events refer to it", len(byRef.EventSummaries))
	}
	page, err := h.ListTimelineEvents(h.ctx, &incidents.ListTimelineEventsInput{IncidentRecordArn: &id, MaxResults: new(int32(2))})
	must(t, err)
	rest, err := h.ListTimelineEvents(h.ctx, &incidents.ListTimelineEventsInput{IncidentRecordArn: &id, NextToken: page.NextToken})
	must(t, err)
	if len(page.EventSummaries) != 2 || len(rest.EventSummaries) != 1 {
		t.Fatalf("%d and %d", len(page.EventSummaries), len(rest.EventSummaries))
	}
	_, err = h.DeleteTimelineEvent(h.ctx, &incidents.DeleteTimelineEventInput{IncidentRecordArn: &id, EventId: made.EventId})
	must(t, err)
}

// A retry with the same client token is the same call, also beside the first.
func TestClientTokens(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		h := newHub(t, d)
		plan := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), IncidentTemplate: template(""), ClientToken: new("one")})
		if again := h.plan(t, &incidents.CreateResponsePlanInput{Name: new("p"), IncidentTemplate: template(""), ClientToken: new("one")}); again != plan {
			t.Fatal(again)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]bool{}
		for range 8 {
			wg.Go(func() {
				out, err := h.StartIncident(h.ctx, &incidents.StartIncidentInput{ResponsePlanArn: &plan, ClientToken: new("two")})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				got[*out.IncidentRecordArn] = true
			})
		}
		wg.Wait()
		if len(got) != 1 {
			t.Fatalf("%d incidents", len(got))
		}
		_, err := h.StartIncident(h.ctx, &incidents.StartIncidentInput{ResponsePlanArn: &plan, ClientToken: new("two"), Title: new("other")})
		if _, ok := errors.AsType[*incidents.ConflictException](err); !ok {
			t.Fatalf("another request with the token: %v", err)
		}
	})
}
