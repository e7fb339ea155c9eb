package crash

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/channel/inbox"
	"github.com/watchbill/watchbill/test/hubtest"
)

// opened starts incidents: the first person stays silent, the second answers, the
// third must never hear of it.
type opened struct {
	*lab
	http  *http.Client
	plan  string
	arns  map[string]string // title -> incident
	count int
}

func newIncidents(l *lab) *opened {
	o := &opened{lab: l, http: hubtest.HTTP(l.t, l.path("hub/ca.pem")), arns: map[string]string{}}
	call := func(service, operation string, in, out any) error {
		return l.client.Call(l.t.Context(), service, operation, in, out)
	}
	l.must(call("ssm-incidents", "CreateReplicationSet", &incidents.CreateReplicationSetInput{Regions: map[string]incidents.RegionMapInputValue{hubtest.Region: {}}}, nil))
	plan := &contacts.Plan{}
	for i, alias := range []string{"silent", "answering", "spared"} {
		arn, _, err := hubtest.Person(call, o.read, alias)
		l.must(err)
		minutes := int32([]int{1, 30, 1}[i])
		plan.Stages = append(plan.Stages, contacts.Stage{DurationInMinutes: &minutes, Targets: []contacts.Target{
			{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: &arn, IsEssential: new(true)}},
		}})
	}
	var escalation contacts.CreateContactOutput
	l.must(call("ssm-contacts", "CreateContact", &contacts.CreateContactInput{Alias: new("escalation"), Type: contacts.ContactTypeEscalation, Plan: plan}, &escalation))
	var out incidents.CreateResponsePlanOutput
	l.must(call("ssm-incidents", "CreateResponsePlan", &incidents.CreateResponsePlanInput{
		Name: new("crash"), IncidentTemplate: &incidents.IncidentTemplate{Title: new("Crash"), Impact: new(int32(2))}, Engagements: []string{*escalation.ContactArn},
	}, &out))
	o.plan = *out.Arn
	return o
}

func (o *opened) read(address string) ([]inbox.Message, error) {
	return hubtest.ReadInbox(o.t.Context(), o.http, "https://"+o.address, address)
}

func (o *opened) act() {
	o.count++
	title := fmt.Sprintf("incident-%d", o.count)
	var out incidents.StartIncidentOutput
	arn := ""
	if o.call("ssm-incidents", "StartIncident", &incidents.StartIncidentInput{ResponsePlanArn: &o.plan, Title: &title}, &out) {
		arn = *out.IncidentRecordArn
	} else if arn = o.find(title); arn == "" {
		o.t.Errorf("%s was opened, as the hub says, and there is no such incident", title)
		return
	}
	o.arns[title] = arn
	o.answer(title, arn)
	o.call("ssm-incidents", "UpdateIncidentRecord", &incidents.UpdateIncidentRecordInput{Arn: &arn, Status: incidents.IncidentRecordStatusResolved}, nil)
}

// find looks for an incident by its title.
func (o *opened) find(title string) string {
	in := &incidents.ListIncidentRecordsInput{}
	for {
		var out incidents.ListIncidentRecordsOutput
		o.call("ssm-incidents", "ListIncidentRecords", in, &out)
		for _, r := range out.IncidentRecordSummaries {
			if *r.Title == title {
				return *r.Arn
			}
		}
		if out.NextToken == nil {
			return ""
		}
		in.NextToken = out.NextToken
	}
}

// answer waits for the page to the second person and follows its link.
func (o *opened) answer(title, arn string) {
	err := hubtest.Await(time.Minute, "the page about "+title, func() (bool, error) {
		messages, err := o.read("answering@inbox.local")
		for _, m := range messages {
			if m.Incident != arn {
				continue
			}
			res, err := o.http.Post(m.Link, "", nil)
			if err != nil {
				return false, err
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return false, fmt.Errorf("the link: %s", res.Status)
			}
			return true, nil
		}
		return false, err
	})
	if err != nil {
		o.t.Error(err)
	}
}

func (o *opened) check() string {
	for title, arn := range o.arns {
		var out incidents.GetIncidentRecordOutput
		o.call("ssm-incidents", "GetIncidentRecord", &incidents.GetIncidentRecordInput{Arn: &arn}, &out)
		if out.IncidentRecord == nil || out.IncidentRecord.Status != incidents.IncidentRecordStatusResolved || *out.IncidentRecord.Title != title {
			o.t.Errorf("%s ended as %+v", title, out.IncidentRecord)
		}
		if d := cmp.Diff(timeline, o.timeline(arn)); d != "" {
			o.t.Errorf("%s: another timeline than without a kill:\n%s", title, d)
		}
	}
	return fmt.Sprintf("%d incidents", len(o.arns))
}

// timeline is what happens in each incident, whatever dies meanwhile.
var timeline = []string{
	"SSM Contacts Engagement End for Incident", "SSM Contacts Engagement Escalation for Incident", "SSM Contacts Page Acknowledgement for Incident",
	"SSM Contacts Page for Incident", "SSM Contacts Page for Incident", "SSM Incident Record Update", "SSM Incident Start", "SSM Incident Trigger",
}

func (o *opened) timeline(arn string) (kinds []string) {
	var out incidents.ListTimelineEventsOutput
	o.call("ssm-incidents", "ListTimelineEvents", &incidents.ListTimelineEventsInput{IncidentRecordArn: &arn}, &out)
	for _, e := range out.EventSummaries {
		kinds = append(kinds, *e.EventType)
	}
	slices.Sort(kinds)
	return kinds
}

// audit counts pages: one for each of the two people of each incident, and each in
// the inbox once.
func (o *opened) audit(s *hubtest.Store) {
	pages := map[string]int{}
	for _, row := range s.Rows("select e.incident, p.alias from engage_page p join engage_engagement e on e.id = p.engagement and e.account = p.account and e.region = p.region") {
		pages[row]++
	}
	delivered := map[string]int{}
	for _, row := range s.Rows("select incident, address from inbox_message where incident <> ''") {
		delivered[strings.TrimSuffix(row, "@inbox.local")]++
	}
	for title, arn := range o.arns {
		for alias, want := range map[string]int{"silent": 1, "answering": 1, "spared": 0} {
			key := arn + "\t" + alias
			if pages[key] != want || delivered[key] != want {
				o.t.Errorf("%s: %d pages were made for %s and %d delivered, want %d", title, pages[key], alias, delivered[key], want)
			}
			delete(pages, key)
		}
	}
	for key, n := range pages {
		o.t.Errorf("%d pages for nobody's incident: %q", n, key)
	}
	if rows := s.Rows("select arn from incident_record"); len(rows) != len(o.arns) {
		o.t.Errorf("%d incidents were opened and there are %d", len(o.arns), len(rows))
	}
}
