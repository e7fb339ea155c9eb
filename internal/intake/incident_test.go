package intake_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/capability/incident"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/intake"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

// noRunbooks refuses every runbook.
type noRunbooks struct{}

func (noRunbooks) Start(context.Context, *db.Tx, automation.Start) (string, error) {
	panic("a plan without a runbook started one")
}

// managed puts the real package incident behind the intake, with one plan.
func (w *world) managed(name string) *incident.Service {
	w.Helper()
	tasks, key := tasktest.New(w.T, w.db), []byte("a key of the tests, 32 bytes long")
	people := contact.New(contact.Service{DB: w.db, Tasks: tasks, Journal: w.journal, Codes: engage.Channels{}, Key: key})
	calls := engage.New(engage.Service{DB: w.db, Tasks: tasks, Journal: w.journal, Contacts: people, Channels: engage.Channels{}, Key: key})
	items := opsitem.New(opsitem.Service{DB: w.db, Journal: w.journal})
	s := incident.New(incident.Service{DB: w.db, Journal: w.journal, Engage: calls, OpsItems: items, Automations: noRunbooks{}})
	w.service.Incidents = intake.IncidentManager{Incidents: s}
	_, err := s.CreateReplicationSet(w.ctx(), &api.CreateReplicationSetInput{Regions: map[string]api.RegionMapInputValue{"us-east-1": {}}})
	if err != nil {
		w.Fatal(err)
	}
	_, err = s.CreateResponsePlan(w.ctx(), &api.CreateResponsePlanInput{
		Name: &name, IncidentTemplate: &api.IncidentTemplate{Title: new("The web is down"), Impact: new(int32(2))},
	})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) ctx() context.Context {
	return db.WithScope(w.Context(), db.Scope{Account: account, Region: "us-east-1"})
}

var incidentMigrations = append(migrations[:len(migrations):len(migrations)], task.Migrations, contact.Migrations, engage.Migrations, incident.Migrations)

func TestTimelineTellsOfTheAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, incidentMigrations...))
		s := w.managed("web")
		firing := delivery(`{"status":"firing","labels":{"alertname":"Burns","severity":"page","node":"mi-0123456789abcdef0"},"fingerprint":"a"}`)
		w.deliver(firing, `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
		for range 3 {
			time.Sleep(2 * time.Minute)
			w.deliver(firing, `{"accepted":1,"opened":0,"folded":1,"resolved":0}`)
		}
		time.Sleep(time.Hour)
		w.deliver(strings.ReplaceAll(firing, `"firing"`, `"resolved"`), `{"accepted":1,"opened":0,"folded":0,"resolved":1}`)
		first := w.entry("prod", "a").Reference
		got, err := s.Timeline(w.ctx(), first)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"00:00 Alarm triggered: Burns", "00:00 Incident created by response plan web: Burns", "00:06 Alarm repeated 3 times: Burns", "01:06 Alarm cleared: Burns"}
		lines := strings.Split(strings.TrimSpace(got), "\n")
		slices.Sort(lines) // events of one instant have no order
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
		items, err := s.ListRelatedItems(w.ctx(), &api.ListRelatedItemsInput{IncidentRecordArn: &first})
		if err != nil {
			t.Fatal(err)
		}
		const node = "arn:aws:ssm:us-east-1:123456789012:managed-instance/mi-0123456789abcdef0"
		if !slices.ContainsFunc(items.RelatedItems, func(i api.RelatedItem) bool { return *i.Title == node && *i.Identifier.Value.Arn == node }) {
			t.Errorf("the node is not related: %+v", items.RelatedItems)
		}
	})
}

func TestStandingAlarmOutlivesItsIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, incidentMigrations...))
		s := w.managed("web")
		firing := delivery(alert("firing", "page", "a"))
		w.deliver(firing, `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
		first := w.entry("prod", "a").Reference
		_, err := s.UpdateIncidentRecord(w.ctx(), &api.UpdateIncidentRecordInput{Arn: &first, Status: api.IncidentRecordStatusResolved})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.deliver(firing, `{"accepted":1,"opened":0,"folded":1,"resolved":0}`)
		if second := w.entry("prod", "a").Reference; second == first {
			t.Fatal("the alarm stands and no incident is open")
		}
	})
}

func TestUnknownPlanOpensAnOpsItem(t *testing.T) {
	dbtest.Each(t, incidentMigrations, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.managed("other")
		w.deliver(delivery(alert("firing", "page", "a")), `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
		if ref := w.entry("prod", "a").Reference; !strings.HasPrefix(ref, "oi-") {
			t.Fatal(ref)
		}
	})
}
