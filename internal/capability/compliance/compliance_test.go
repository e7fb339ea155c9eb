package compliance_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/compliance"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

type fixture struct {
	*compliance.Service
	t   *testing.T
	ctx context.Context
}

func each(t *testing.T, f func(t *testing.T, x fixture)) {
	dbtest.Each(t, []db.Migrations{journal.Migrations, compliance.Migrations}, func(t *testing.T, d *db.DB) {
		s := compliance.New(compliance.Service{DB: d, Journal: journaltest.New(t, d), Exists: func(_ *db.Tx, id string) (bool, error) { return id != "none", nil }})
		f(t, fixture{s, t, db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "us-east-1"})})
	})
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

func item(id string, status ssm.ComplianceStatus, severity ssm.ComplianceSeverity) ssm.ComplianceItemEntry {
	return ssm.ComplianceItemEntry{Id: &id, Title: new(""), Status: status, Severity: severity, Details: map[string]string{"DocumentName": "d"}}
}

const (
	good = ssm.ComplianceStatusCompliant
	bad  = ssm.ComplianceStatusNonCompliant
)

func upload(node, kind, hash string, items ...ssm.ComplianceItemEntry) *ssm.PutComplianceItemsInput {
	return &ssm.PutComplianceItemsInput{
		ResourceId: &node, ResourceType: new("ManagedInstance"), ComplianceType: &kind, ItemContentHash: &hash, Items: items,
		ExecutionSummary: &ssm.ComplianceExecutionSummary{ExecutionId: new(""), ExecutionType: new(""), ExecutionTime: new(time.Unix(1700000000, 0).UTC())},
	}
}

func (x fixture) put(in *ssm.PutComplianceItemsInput) {
	x.t.Helper()
	_, err := x.PutComplianceItems(x.ctx, in)
	x.must(err)
}

// list gives the items as resource/type/id, over all pages.
func (x fixture) list(in *ssm.ListComplianceItemsInput) (out []string) {
	x.t.Helper()
	for {
		res, err := x.ListComplianceItems(x.ctx, in)
		x.must(err)
		for _, i := range res.ComplianceItems {
			out = append(out, *i.ResourceId+"/"+*i.ComplianceType+"/"+*i.Id)
		}
		if in.NextToken = res.NextToken; in.NextToken == nil {
			return out
		}
	}
}

func TestUploads(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		x.put(upload("n1", "Association", "h1", item("a", good, "UNSPECIFIED"), item("b", bad, "HIGH")))
		x.put(upload("n1", "Association", "h1", item("c", good, "UNSPECIFIED"))) // the hash is the same: nothing is new
		in := func() *ssm.ListComplianceItemsInput {
			return &ssm.ListComplianceItemsInput{MaxResults: new(int32(1)), ResourceIds: []string{"n1"}}
		}
		if diff := cmp.Diff([]string{"n1/Association/a", "n1/Association/b"}, x.list(in())); diff != "" {
			t.Error(diff)
		}
		partial := upload("n1", "Association", "h2", item("b", good, "HIGH"), item("d", bad, "LOW"))
		partial.UploadType = ssm.ComplianceUploadTypePartial
		x.put(partial)
		if diff := cmp.Diff([]string{"n1/Association/a", "n1/Association/b", "n1/Association/d"}, x.list(in())); diff != "" {
			t.Error(diff)
		}
		x.put(upload("n1", "Association", "h3"))
		if got := x.list(in()); len(got) != 0 {
			t.Errorf("items %v", got)
		}
	})
}

func TestUploadsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		other := upload("n1", "Patch", "h")
		other.ResourceType = new("Cluster")
		_, err := x.PutComplianceItems(x.ctx, other)
		x.refused("InvalidResourceType", err)
		_, err = x.PutComplianceItems(x.ctx, upload("none", "Patch", "h"))
		x.refused("InvalidResourceId", err)
		_, err = x.PutComplianceItems(x.ctx, upload("n1", "Patch", "h", item("a", good, "LOW"), item("a", bad, "LOW")))
		x.refused("InvalidItemContentException", err)
		_, err = x.ListComplianceItems(x.ctx, &ssm.ListComplianceItemsInput{Filters: []ssm.ComplianceStringFilter{{Key: new("Color"), Values: []string{"red"}}}})
		x.refused("InvalidFilter", err)
		_, err = x.ListComplianceItems(x.ctx, &ssm.ListComplianceItemsInput{NextToken: new("x")})
		x.refused("InvalidNextToken", err)
	})
}

func TestListsAndSummaries(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		x.put(upload("n1", "Association", "h", item("a", good, "UNSPECIFIED"), item("b", bad, "HIGH"), item("c", bad, "CRITICAL")))
		x.put(upload("n1", "Patch", "h", item("p", good, "MEDIUM")))
		x.put(upload("n2", "Patch", "h", item("p", bad, "LOW")))
		filtered := x.list(&ssm.ListComplianceItemsInput{MaxResults: new(int32(1)), Filters: []ssm.ComplianceStringFilter{
			{Key: new("Status"), Values: []string{"NON_COMPLIANT"}}, {Key: new("Severity"), Type: ssm.ComplianceQueryOperatorTypeNotEqual, Values: []string{"HIGH"}},
		}})
		if diff := cmp.Diff([]string{"n1/Association/c", "n2/Patch/p"}, filtered); diff != "" {
			t.Error(diff)
		}
		sums, err := x.ListComplianceSummaries(x.ctx, &ssm.ListComplianceSummariesInput{})
		x.must(err)
		if len(sums.ComplianceSummaryItems) != 2 {
			t.Fatalf("summaries %+v", sums)
		}
		patch := sums.ComplianceSummaryItems[1]
		if *patch.ComplianceType != "Patch" || *patch.CompliantSummary.CompliantCount != 1 || *patch.NonCompliantSummary.SeveritySummary.LowCount != 1 {
			t.Errorf("patch summary %+v", patch)
		}
		var rows []string
		in := &ssm.ListResourceComplianceSummariesInput{MaxResults: new(int32(1))}
		for {
			out, err := x.ListResourceComplianceSummaries(x.ctx, in)
			x.must(err)
			for _, r := range out.ResourceComplianceSummaryItems {
				rows = append(rows, *r.ResourceId+" "+*r.ComplianceType+" "+string(r.Status)+" "+string(r.OverallSeverity))
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		want := []string{"n1 Association NON_COMPLIANT CRITICAL", "n1 Patch COMPLIANT UNSPECIFIED", "n2 Patch NON_COMPLIANT LOW"}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Error(diff)
		}
	})
}
