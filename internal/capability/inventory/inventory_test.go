package inventory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/inventory"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/node/nodetest"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

var (
	scope      = db.Scope{Account: "123456789012", Region: "us-east-1"}
	migrations = []db.Migrations{task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, node.Migrations, inventory.Migrations}
)

type fixture struct {
	*inventory.Service
	t   *testing.T
	ctx context.Context
}

func newFixture(t *testing.T, d *db.DB) fixture {
	tasks, j := tasktest.New(t, d), journaltest.New(t, d)
	nodes := node.New(node.Service{DB: d, Tasks: tasks, Journal: j, Mailbox: mailbox.New(d)})
	s := inventory.New(inventory.Service{DB: d, Tasks: tasks, Journal: j, Nodes: nodes})
	journaltest.Start(t, j)
	return fixture{s, t, db.WithScope(t.Context(), scope)}
}

func each(t *testing.T, f func(t *testing.T, x fixture)) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) { f(t, newFixture(t, d)) })
}

func (x fixture) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x fixture) refused(code string, err error) {
	x.t.Helper()
	if err == nil || fault.Of(err).ErrorCode() != code {
		x.t.Errorf("error %v, want %s", err, code)
	}
}

func (x fixture) node(platform string, tags ...ssm.Tag) string {
	x.t.Helper()
	a, err := x.Nodes.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole"), Tags: tags})
	x.must(err)
	id, err := x.Nodes.Register(x.ctx, node.Registration{
		ActivationID: *a.ActivationId, ActivationCode: *a.ActivationCode, Fingerprint: platform, PublicKey: nodetest.PublicKey(), PublicKeyType: "Rsa",
	})
	x.must(err)
	x.must(x.Nodes.Report(x.ctx, id, node.Report{PlatformType: platform, PlatformName: platform + " OS", AgentVersion: "1.0"}))
	return id
}

const captured = "2026-11-22T10:00:00Z"

func items(name, hash string, entries ...map[string]string) []ssm.InventoryItem {
	return []ssm.InventoryItem{{TypeName: &name, SchemaVersion: new("1.0"), CaptureTime: new(captured), ContentHash: &hash, Content: entries}}
}

func (x fixture) put(id string, list []ssm.InventoryItem) error {
	_, err := x.PutInventory(x.ctx, &ssm.PutInventoryInput{InstanceId: &id, Items: list})
	return err
}

func (x fixture) entries(id, name string, filters ...ssm.InventoryFilter) []map[string]string {
	x.t.Helper()
	out, err := x.ListInventoryEntries(x.ctx, &ssm.ListInventoryEntriesInput{InstanceId: &id, TypeName: &name, Filters: filters})
	x.must(err)
	return out.Entries
}

func app(name, version string) map[string]string {
	return map[string]string{"Name": name, "Version": version}
}

const application = "AWS:Application"

// An item may come by the hash of its content when that is what is kept.
func TestContentHash(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.node("Linux")
		x.refused("ItemContentMismatchException", x.put(id, items(application, "h1")))
		x.must(x.put(id, items(application, "h1", app("bash", "5.2"))))
		x.must(x.put(id, items(application, "h1")))
		other := items(application, "h1")
		other[0].SchemaVersion = new("1.1") // of another item of the call, as the stock agent has it
		x.must(x.put(id, other))
		x.refused("ItemContentMismatchException", x.put(id, items(application, "h2")))
		x.refused("InvalidItemContentException", x.put(id, items(application, "")))
		if diff := cmp.Diff([]map[string]string{app("bash", "5.2")}, x.entries(id, application)); diff != "" {
			t.Error(diff)
		}
		x.must(x.put(id, items(application, "11FxOYiYfpMxmANj4kGJzg=="))) // the hash of []
		if got := x.entries(id, application); len(got) != 0 {
			t.Errorf("entries %v", got)
		}
	})
}

func TestPutInventoryIsRefused(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.node("Linux")
		x.refused("InvalidInstanceId", x.put("mi-00000000000000000", items(application, "h", app("a", "1"))))
		for _, name := range []string{"AWS:Nothing", "Custom:lower", "Custom:", "Custom:A.B", "AWS:InstanceInformation", "AWS:Tag"} {
			x.refused("InvalidTypeNameException", x.put(id, items(name, "h", app("a", "1"))))
		}
		twice := append(items(application, "h", app("a", "1")), items(application, "h", app("a", "1"))...)
		x.refused("InvalidItemContentException", x.put(id, twice))
		x.refused("ItemSizeLimitExceededException", x.put(id, items(application, "h", app(strings.Repeat("x", 4<<20), ""))))
		x.refused("InvalidItemContentException", x.put(id, items(application, "h", app("a\x00", ""))))
		for i := range 20 {
			x.must(x.put(id, items(fmt.Sprintf("Custom:T%d", i), "h", map[string]string{"k": "v"})))
		}
		x.refused("CustomSchemaCountLimitExceededException", x.put(id, items("Custom:T20", "h", map[string]string{"k": "v"})))
		mixed := append(items(application, "new", app("new", "1")), items("Custom:T21", "h", map[string]string{"k": "v"})...)
		x.refused("CustomSchemaCountLimitExceededException", x.put(id, mixed))
		if got := x.entries(id, application); len(got) != 0 {
			t.Errorf("a part of a refused call was kept: %v", got)
		}
	})
}

func filter(key string, operator ssm.InventoryQueryOperatorType, values ...string) ssm.InventoryFilter {
	return ssm.InventoryFilter{Key: &key, Type: operator, Values: values}
}

func TestListInventoryEntries(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.node("Linux", ssm.Tag{Key: new("Role"), Value: new("web")})
		var all []map[string]string
		for i := range 120 {
			all = append(all, app(fmt.Sprintf("p%03d", i), "1.0"))
		}
		x.must(x.put(id, items(application, "h", all...)))
		var got []map[string]string
		in := &ssm.ListInventoryEntriesInput{InstanceId: &id, TypeName: new(application)}
		for pages := 1; ; pages++ {
			out, err := x.ListInventoryEntries(x.ctx, in)
			x.must(err)
			got = append(got, out.Entries...)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				if pages != 3 || *out.CaptureTime != captured || *out.SchemaVersion != "1.0" {
					t.Errorf("%d pages, %v, %v", pages, *out.CaptureTime, *out.SchemaVersion)
				}
				break
			}
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Error(diff)
		}
		if got := x.entries(id, application, filter("Name", "Equal", "p001", "p002")); len(got) != 2 {
			t.Errorf("filtered: %v", got)
		}
		if got := x.entries(id, "AWS:Tag"); len(got) != 1 || got[0]["Value"] != "web" {
			t.Errorf("tags: %v", got)
		}
		if got := x.entries(id, "AWS:InstanceInformation"); len(got) != 1 || got[0]["PlatformName"] != "Linux OS" {
			t.Errorf("information: %v", got)
		}
		_, err := x.ListInventoryEntries(x.ctx, &ssm.ListInventoryEntriesInput{InstanceId: &id, TypeName: new(application), NextToken: new("x")})
		x.refused("InvalidNextToken", err)
	})
}

func TestGetInventory(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		web, db, win := x.node("Linux", ssm.Tag{Key: new("Role"), Value: new("web")}), x.node("Linux"), x.node("Windows")
		x.must(x.put(web, items(application, "h", app("openssl", "3.0.9"), app("bash", "5.2"))))
		x.must(x.put(db, items(application, "h", app("openssl", "3.0.11"))))
		for name, c := range map[string]struct {
			filters []ssm.InventoryFilter
			want    []string
		}{
			"all":          {nil, []string{web, db, win}},
			"platform":     {[]ssm.InventoryFilter{filter("AWS:InstanceInformation.PlatformType", "Equal", "Windows")}, []string{win}},
			"has":          {[]ssm.InventoryFilter{filter("AWS:Application.Name", "Equal", "openssl")}, []string{web, db}},
			"older":        {[]ssm.InventoryFilter{filter("AWS:Application.Name", "Equal", "openssl"), filter("AWS:Application.Version", "LessThan", "3.0.10")}, []string{web}},
			"newer":        {[]ssm.InventoryFilter{filter("AWS:Application.Name", "Equal", "openssl"), filter("AWS:Application.Version", "GreaterThan", "3.0.10")}, []string{db}},
			"begins":       {[]ssm.InventoryFilter{filter("AWS:Application.Name", "BeginWith", "ba")}, []string{web}},
			"tag":          {[]ssm.InventoryFilter{filter("AWS:Tag.Key", "Equal", "Role"), filter("AWS:Tag.Value", "Equal", "web")}, []string{web}},
			"not platform": {[]ssm.InventoryFilter{filter("AWS:InstanceInformation.PlatformType", "NotEqual", "Linux")}, []string{win}},
		} {
			got, in := map[string]bool{}, &ssm.GetInventoryInput{Filters: c.filters, MaxResults: new(int32(1)), ResultAttributes: []ssm.ResultAttribute{{TypeName: new(application)}}}
			for {
				out, err := x.GetInventory(x.ctx, in)
				x.must(err)
				for _, e := range out.Entities {
					got[*e.Id] = true
				}
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			want := map[string]bool{}
			for _, id := range c.want {
				want[id] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		for _, in := range []*ssm.GetInventoryInput{
			{Filters: []ssm.InventoryFilter{filter("Name", "Equal", "x")}}, {Filters: []ssm.InventoryFilter{filter("AWS:Application.Name", "Exists")}},
		} {
			_, err := x.GetInventory(x.ctx, in)
			x.refused("InvalidFilter", err)
		}
	})
}

func TestAggregators(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		a, _, _ := x.node("Linux"), x.node("Linux"), x.node("Windows")
		x.must(x.put(a, items(application, "h", app("openssl", "3.0.9"))))
		out, err := x.GetInventory(x.ctx, &ssm.GetInventoryInput{Aggregators: []ssm.InventoryAggregator{
			{Expression: new("AWS:InstanceInformation.PlatformType"), Aggregators: []ssm.InventoryAggregator{{Expression: new("AWS:InstanceInformation.PlatformName")}}},
			{Groups: []ssm.InventoryGroup{{Name: new("hasSSL"), Filters: []ssm.InventoryFilter{filter("AWS:Application.Name", "Equal", "openssl")}}}},
		}})
		x.must(err)
		want := map[string][]map[string]string{
			"AWS:InstanceInformation": {{"Count": "2", "PlatformType": "Linux", "PlatformName": "Linux OS"}, {"Count": "1", "PlatformType": "Windows", "PlatformName": "Windows OS"}},
			"hasSSL":                  {{"matchingCount": "1"}, {"notMatchingCount": "2"}},
		}
		got := map[string][]map[string]string{}
		for name, d := range out.Entities[0].Data {
			got[name] = d.Content
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		_, err = x.GetInventory(x.ctx, &ssm.GetInventoryInput{Aggregators: []ssm.InventoryAggregator{{Expression: new("nonsense")}}})
		x.refused("InvalidAggregatorException", err)
	})
}

func TestSchemas(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.node("Linux")
		x.must(x.put(id, items("Custom:Rack", "h", map[string]string{"Row": "1", "Unit": "2"})))
		out, err := x.GetInventorySchema(x.ctx, &ssm.GetInventorySchemaInput{})
		x.must(err)
		last := out.Schemas[len(out.Schemas)-1]
		if len(out.Schemas) < 15 || *last.TypeName != "Custom:Rack" || len(last.Attributes) != 2 {
			t.Errorf("%d schemas, the last is %+v", len(out.Schemas), last)
		}
		_, err = x.GetInventorySchema(x.ctx, &ssm.GetInventorySchemaInput{TypeName: new("Custom:None")})
		x.refused("InvalidTypeNameException", err)
	})
}

func TestDeleteInventory(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id, rack := x.node("Linux"), items("Custom:Rack", "h", map[string]string{"Row": "1"})
		x.must(x.put(id, rack))
		_, err := x.DeleteInventory(x.ctx, &ssm.DeleteInventoryInput{TypeName: new(application)})
		x.refused("InvalidTypeNameException", err)
		in := &ssm.DeleteInventoryInput{TypeName: new("Custom:Rack"), DryRun: new(true), SchemaDeleteOption: ssm.InventorySchemaDeleteOptionDisableSchema, ClientToken: new("t")}
		out, err := x.DeleteInventory(x.ctx, in)
		x.must(err)
		if out.DeletionId != nil || *out.DeletionSummary.TotalCount != 1 || len(x.entries(id, "Custom:Rack")) != 1 {
			t.Errorf("a dry run: %+v", out)
		}
		in.DryRun = nil
		first, err := x.DeleteInventory(x.ctx, in)
		x.must(err)
		again, err := x.DeleteInventory(x.ctx, in)
		x.must(err)
		if diff := cmp.Diff(first, again); diff != "" || len(x.entries(id, "Custom:Rack")) != 0 {
			t.Errorf("repeated: %s", diff)
		}
		x.must(x.put(id, rack))
		if len(x.entries(id, "Custom:Rack")) != 0 {
			t.Error("a version that was disabled is kept")
		}
		rack[0].SchemaVersion = new("1.1")
		x.must(x.put(id, rack))
		if len(x.entries(id, "Custom:Rack")) != 1 {
			t.Error("a newer version is not kept")
		}
		list, err := x.DescribeInventoryDeletions(x.ctx, &ssm.DescribeInventoryDeletionsInput{DeletionId: first.DeletionId})
		x.must(err)
		if len(list.InventoryDeletions) != 1 || list.InventoryDeletions[0].LastStatus != ssm.InventoryDeletionStatusComplete {
			t.Errorf("deletions %+v", list)
		}
		_, err = x.DescribeInventoryDeletions(x.ctx, &ssm.DescribeInventoryDeletionsInput{DeletionId: new("none")})
		x.refused("InvalidDeletionIdException", err)
	})
}

// What a node said is forgotten 30 days after it is gone.
func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.node("Linux")
		x.must(x.put(id, items(application, "h", app("a", "1"))))
		_, err := x.Nodes.DeregisterManagedInstance(x.ctx, &ssm.DeregisterManagedInstanceInput{InstanceId: &id})
		x.must(err)
		count := func(query string) (n int) {
			x.must(x.DB.View(x.ctx, func(tx *db.Tx) error { return tx.QueryRow(query).Scan(&n) }))
			return n
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(30 * time.Second); count("select count(*) from task_task where kind = 'inventory.purge'") == 0; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatal("nothing will forget it")
			}
		}
		x.must(x.Tasks.RunDue(x.ctx))
		if count("select count(*) from inventory_item") != 1 {
			t.Error("forgotten early")
		}
		x.must(x.DB.Update(x.ctx, func(tx *db.Tx) error {
			_, err := x.Tasks.Reschedule(tx, "inventory.purge", id, tx.Now)
			return err
		}))
		x.must(x.Tasks.RunDue(x.ctx))
		if count("select count(*) from inventory_item") != 0 {
			t.Error("kept")
		}
	})
}
