package opsitem_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

type fixture struct {
	*opsitem.Service
	ctx context.Context
}

func each(t *testing.T, f func(*testing.T, fixture)) {
	t.Helper()
	dbtest.Each(t, []db.Migrations{journal.Migrations, tagging.Migrations, opsitem.Migrations}, func(t *testing.T, d *db.DB) {
		s := opsitem.New(opsitem.Service{DB: d, Journal: journaltest.New(t, d)})
		f(t, fixture{s, db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "us-east-1"})})
	})
}

func (f fixture) create(t *testing.T, in *ssm.CreateOpsItemInput) string {
	t.Helper()
	out, err := f.CreateOpsItem(f.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.OpsItemId
}

func disk() *ssm.CreateOpsItemInput {
	return &ssm.CreateOpsItemInput{
		Title: new("Disk full"), Source: new("nagios"), Description: new("db-1"), Severity: new("2"), Priority: new(int32(3)),
		OperationalData: map[string]ssm.OpsItemDataValue{
			"/aws/dedup": {Type: "SearchableString", Value: new(`{"dedupString":"disk-db-1"}`)},
			"host":       {Type: "SearchableString", Value: new("db-1")},
		},
	}
}

func TestDedup(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.create(t, disk())
		_, err := f.CreateOpsItem(f.ctx, disk())
		e, ok := errors.AsType[*ssm.OpsItemAlreadyExistsException](err)
		if !ok || *e.OpsItemId != id {
			t.Fatalf("a second item: %v", err)
		}
		if _, err := f.UpdateOpsItem(f.ctx, &ssm.UpdateOpsItemInput{OpsItemId: &id, Status: ssm.OpsItemStatusResolved}); err != nil {
			t.Fatal(err)
		}
		second := f.create(t, disk())
		_, err = f.UpdateOpsItem(f.ctx, &ssm.UpdateOpsItemInput{OpsItemId: &id, Status: ssm.OpsItemStatusOpen})
		if e, ok := errors.AsType[*ssm.OpsItemAlreadyExistsException](err); !ok || *e.OpsItemId != second {
			t.Fatalf("reopened beside another: %v", err)
		}
	})
}

func TestOpenRaces(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids, created := map[string]bool{}, 0
		for range 20 {
			wg.Go(func() {
				var id string
				var isNew bool
				err := f.DB.Update(f.ctx, func(tx *db.Tx) (err error) {
					id, isNew, err = f.Open(tx, opsitem.Open{Title: "x", Source: "tests", Dedup: "one"})
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				ids[id] = true
				if isNew {
					created++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || created != 1 {
			t.Fatalf("%d items, %d created", len(ids), created)
		}
	})
}

func TestLife(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.create(t, disk())
		if _, err := f.UpdateOpsItem(f.ctx, &ssm.UpdateOpsItemInput{OpsItemId: &id, Title: new("Disk is full"), Status: ssm.OpsItemStatusInProgress, OperationalDataToDelete: []string{"host"}}); err != nil {
			t.Fatal(err)
		}
		got, err := f.GetOpsItem(f.ctx, &ssm.GetOpsItemInput{OpsItemId: &id})
		if err != nil {
			t.Fatal(err)
		}
		i := got.OpsItem
		if *i.Title != "Disk is full" || i.Status != ssm.OpsItemStatusInProgress || len(i.OperationalData) != 1 || *i.Version != "2" || *i.Priority != 3 {
			t.Fatalf("%+v", i)
		}
		uri, kind := "arn:aws:ssm-incidents::123456789012:incident-record/p/1", "AWS::SSMIncidents::IncidentRecord"
		link := &ssm.AssociateOpsItemRelatedItemInput{OpsItemId: &id, AssociationType: new("IsParentOf"), ResourceType: &kind, ResourceUri: &uri}
		a, err := f.AssociateOpsItemRelatedItem(f.ctx, link)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.AssociateOpsItemRelatedItem(f.ctx, link); err == nil {
			t.Fatal("linked twice")
		}
		l, err := f.ListOpsItemRelatedItems(f.ctx, &ssm.ListOpsItemRelatedItemsInput{OpsItemId: &id})
		if err != nil || len(l.Summaries) != 1 || *l.Summaries[0].ResourceUri != uri {
			t.Fatal(l, err)
		}
		if _, err := f.DisassociateOpsItemRelatedItem(f.ctx, &ssm.DisassociateOpsItemRelatedItemInput{OpsItemId: &id, AssociationId: a.AssociationId}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := f.DeleteOpsItem(f.ctx, &ssm.DeleteOpsItemInput{OpsItemId: &id}); err != nil {
				t.Fatal(err)
			}
		}
		_, err = f.GetOpsItem(f.ctx, &ssm.GetOpsItemInput{OpsItemId: &id})
		if _, ok := errors.AsType[*ssm.OpsItemNotFoundException](err); !ok {
			t.Fatal(err)
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		in := disk()
		in.Source = new("AWS-mine")
		if _, err := f.CreateOpsItem(f.ctx, in); err == nil {
			t.Error("source of AWS accepted")
		}
		in = disk()
		in.OperationalData["/aws/mine"] = ssm.OpsItemDataValue{Value: new("x")}
		if _, err := f.CreateOpsItem(f.ctx, in); err == nil {
			t.Error("reserved key accepted")
		}
		in = disk()
		in.OperationalData["/aws/dedup"] = ssm.OpsItemDataValue{Value: new("disk")}
		if _, err := f.CreateOpsItem(f.ctx, in); err == nil {
			t.Error("malformed deduplication accepted")
		}
		id := f.create(t, disk())
		change := &ssm.UpdateOpsItemInput{OpsItemId: &id, OperationalData: map[string]ssm.OpsItemDataValue{"/aws/dedup": {Value: new(`{"dedupString":"y"}`)}}}
		if _, err := f.UpdateOpsItem(f.ctx, change); err == nil {
			t.Error("deduplication string changed")
		}
	})
}

func TestFilters(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.create(t, disk())
		f.create(t, &ssm.CreateOpsItemInput{Title: new("100% cpu"), Source: new("grafana"), Severity: new("1")})
		filter := func(key ssm.OpsItemFilterKey, op ssm.OpsItemFilterOperator, values ...string) ssm.OpsItemFilter {
			return ssm.OpsItemFilter{Key: key, Operator: op, Values: values}
		}
		for _, tt := range []struct {
			filters []ssm.OpsItemFilter
			want    []string
		}{
			{nil, []string{"100% cpu", "Disk full"}},
			{[]ssm.OpsItemFilter{filter("Status", "Equal", "Open"), filter("Source", "Equal", "nagios", "x")}, []string{"Disk full"}},
			{[]ssm.OpsItemFilter{filter("Title", "Contains", "0%")}, []string{"100% cpu"}},
			{[]ssm.OpsItemFilter{filter("Title", "Contains", "%k")}, nil},
			{[]ssm.OpsItemFilter{filter("Priority", "Equal", "3")}, []string{"Disk full"}},
			{[]ssm.OpsItemFilter{filter("CreatedTime", "LessThan", "2001-01-01T00:00:00Z")}, nil},
			{[]ssm.OpsItemFilter{filter("OperationalData", "Equal", `{"key":"host","value":"db-1"}`)}, []string{"Disk full"}},
			{[]ssm.OpsItemFilter{filter("OperationalDataKey", "Equal", "host")}, []string{"Disk full"}},
			{[]ssm.OpsItemFilter{filter("OperationalDataValue", "Contains", "b-1")}, []string{"Disk full"}},
		} {
			out, err := f.DescribeOpsItems(f.ctx, &ssm.DescribeOpsItemsInput{OpsItemFilters: tt.filters})
			if err != nil {
				t.Fatal(err)
			}
			var titles []string
			for _, s := range out.OpsItemSummaries {
				titles = append(titles, *s.Title)
			}
			if d := cmp.Diff(tt.want, titles); d != "" {
				t.Errorf("%v:\n%s", tt.filters, d)
			}
		}
		first, err := f.DescribeOpsItems(f.ctx, &ssm.DescribeOpsItemsInput{MaxResults: new(int32(1))})
		if err != nil || first.NextToken == nil {
			t.Fatal(first, err)
		}
		rest, err := f.DescribeOpsItems(f.ctx, &ssm.DescribeOpsItemsInput{NextToken: first.NextToken})
		if err != nil || len(rest.OpsItemSummaries) != 1 || rest.NextToken != nil {
			t.Fatal(rest, err)
		}
	})
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.create(t, disk())
		if _, err := f.UpdateOpsItem(f.ctx, &ssm.UpdateOpsItemInput{OpsItemId: &id, Status: ssm.OpsItemStatusResolved}); err != nil {
			t.Fatal(err)
		}
		if err := f.Journal.Dispatch(f.ctx); err != nil {
			t.Fatal(err)
		}
		in := &ssm.ListOpsItemEventsInput{MaxResults: new(int32(1)), Filters: []ssm.OpsItemEventFilter{{Key: "OpsItemId", Operator: "Equal", Values: []string{id}}}}
		var kinds []string
		for {
			out, err := f.ListOpsItemEvents(f.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Summaries {
				kinds = append(kinds, *e.DetailType)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if d := cmp.Diff([]string{"OpsItem Create", "OpsItem Update"}, kinds); d != "" {
			t.Fatal(d)
		}
		if _, err := f.ListOpsItemEvents(f.ctx, &ssm.ListOpsItemEventsInput{}); err == nil {
			t.Fatal("events of no item")
		}
	})
}
