package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

func shareWith(t *testing.T, s *Service, name, version string, ids ...string) {
	t.Helper()
	_, err := s.ModifyDocumentPermission(inScope(), &ssm.ModifyDocumentPermissionInput{
		Name: new(name), PermissionType: ssm.DocumentPermissionTypeShare, AccountIdsToAdd: ids, SharedDocumentVersion: some(version),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func stopSharing(t *testing.T, s *Service, name string, ids ...string) {
	t.Helper()
	_, err := s.ModifyDocumentPermission(inScope(), &ssm.ModifyDocumentPermissionInput{
		Name: new(name), PermissionType: ssm.DocumentPermissionTypeShare, AccountIdsToRemove: ids, AccountIdsToAdd: ids,
	})
	if err != nil {
		t.Fatal(err)
	}
}

const sharedARN = "arn:aws:ssm:us-east-1:123456789012:document/Say"

func TestSharing(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		update(t, s, "Say", "two", nil)
		get := func(version string) error {
			_, err := s.GetDocument(in(other), &ssm.GetDocumentInput{Name: new(sharedARN), DocumentVersion: some(version)})
			return err
		}
		wantCode(t, get(""), "InvalidDocument", "does not exist")
		shareWith(t, s, "Say", "", other, "all")
		if err := get(""); err != nil {
			t.Error(err)
		}
		wantCode(t, get("2"), "InvalidDocumentVersion", "")
		shareWith(t, s, "Say", "$ALL", other)
		if err := get("2"); err != nil {
			t.Error(err)
		}
		out, err := s.DescribeDocumentPermission(inScope(), &ssm.DescribeDocumentPermissionInput{Name: new("Say"), PermissionType: ssm.DocumentPermissionTypeShare, MaxResults: new(int32(1))})
		if err != nil || len(out.AccountIds) != 1 || out.AccountIds[0] != other || *out.AccountSharingInfoList[0].SharedDocumentVersion != "$ALL" {
			t.Fatal(out, err)
		}
		out, err = s.DescribeDocumentPermission(inScope(), &ssm.DescribeDocumentPermissionInput{Name: new("Say"), PermissionType: ssm.DocumentPermissionTypeShare, NextToken: out.NextToken})
		if err != nil || len(out.AccountIds) != 1 || out.AccountIds[0] != "all" || out.NextToken != nil {
			t.Fatal(out, err)
		}
		if diff := cmp.Diff([]string{"Say"}, names(t, s, other, filter("Owner", "Private"))); diff != "" {
			t.Error(diff)
		}
		if got := names(t, s, other, filter("Owner", "Public"), filter("Name", "Sa")); len(got) != 1 {
			t.Errorf("public documents: %v", got)
		}
		// The other account may read it, and no more.
		_, err = s.UpdateDocument(in(other), &ssm.UpdateDocumentInput{Name: new("Say"), Content: new(script("x"))})
		wantCode(t, err, "InvalidDocument", "")
		stopSharing(t, s, "Say", other, "all")
		wantCode(t, get(""), "InvalidDocument", "does not exist")
	})
}

func TestSharingLimits(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		for i := range maxPublic {
			name := fmt.Sprintf("Say%d", i)
			create(t, s, name, nil)
			shareWith(t, s, name, "", "all")
		}
		create(t, s, "Say", nil)
		_, err := s.ModifyDocumentPermission(inScope(), &ssm.ModifyDocumentPermissionInput{Name: new("Say"), AccountIdsToAdd: []string{"ALL"}})
		wantCode(t, err, "DocumentPermissionLimit", "5 public")
		_, err = s.ModifyDocumentPermission(inScope(), &ssm.ModifyDocumentPermissionInput{Name: new("AWS-RunShellScript"), AccountIdsToAdd: []string{"all"}})
		wantCode(t, err, "InvalidDocument", "Amazon")
		for i := 0; i < maxShares; i += 20 {
			ids := []string{}
			for j := range 20 {
				ids = append(ids, fmt.Sprintf("%012d", i+j))
			}
			shareWith(t, s, "Say", "", ids...)
		}
		_, err = s.ModifyDocumentPermission(inScope(), &ssm.ModifyDocumentPermissionInput{Name: new("Say"), AccountIdsToAdd: []string{other}})
		wantCode(t, err, "DocumentPermissionLimit", "1000 accounts")
		_, err = s.DescribeDocumentPermission(inScope(), &ssm.DescribeDocumentPermissionInput{Name: new("Say"), NextToken: new("x")})
		wantCode(t, err, "InvalidNextToken", "")
	})
}

func filter(key string, values ...string) ssm.DocumentKeyValuesFilter {
	return ssm.DocumentKeyValuesFilter{Key: new(key), Values: values}
}

// names lists through pages of three.
func names(t *testing.T, s *Service, accountID string, filters ...ssm.DocumentKeyValuesFilter) []string {
	t.Helper()
	out := []string{}
	in2 := &ssm.ListDocumentsInput{Filters: filters, MaxResults: new(int32(3))}
	for {
		page, err := s.ListDocuments(in(accountID), in2)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.DocumentIdentifiers {
			out = append(out, *d.Name)
		}
		if in2.NextToken = page.NextToken; in2.NextToken == nil {
			return out
		}
	}
}

func TestListDocuments(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		for i, name := range []string{"Beta", "alpha", "Alpha_1", "AlphaX1"} {
			create(t, s, name, func(in *ssm.CreateDocumentInput) {
				in.Tags = []ssm.Tag{{Key: new("n"), Value: new(fmt.Sprint(i))}}
				if name == "Beta" {
					in.Content, in.DocumentType = new("schemaVersion: '0.3'\nmainSteps:\n- {name: a, action: 'aws:pause'}\n"), "Automation"
				}
			})
		}
		tests := []struct {
			name    string
			filters []ssm.DocumentKeyValuesFilter
			want    []string
		}{
			{"own", []ssm.DocumentKeyValuesFilter{filter("Owner", "Self")}, []string{"AlphaX1", "Alpha_1", "Beta", "alpha"}},
			{"prefix", []ssm.DocumentKeyValuesFilter{filter("Name", "Alpha")}, []string{"AlphaX1", "Alpha_1"}},
			{"prefixes", []ssm.DocumentKeyValuesFilter{filter("Name", "Alpha_", "Be")}, []string{"Alpha_1", "Beta"}},
			{"type", []ssm.DocumentKeyValuesFilter{filter("DocumentType", "Automation"), filter("Owner", "Self")}, []string{"Beta"}},
			{"platform", []ssm.DocumentKeyValuesFilter{filter("PlatformTypes", "Windows"), filter("Owner", "Self")}, []string{"Beta"}},
			{"keyword", []ssm.DocumentKeyValuesFilter{filter("SearchKeyword", "ALPHA_")}, []string{"Alpha_1"}},
			{"tag", []ssm.DocumentKeyValuesFilter{filter("tag:n", "0", "1")}, []string{"Beta", "alpha"}},
			{"tag key", []ssm.DocumentKeyValuesFilter{filter("TagKeys", "n"), filter("Name", "al")}, []string{"alpha"}},
			{"of AWS", []ssm.DocumentKeyValuesFilter{filter("Owner", "Amazon"), filter("Name", "AWS-RunShell")}, []string{"AWS-RunShellScript"}},
			{"of AWS by type", []ssm.DocumentKeyValuesFilter{filter("Owner", "Amazon"), filter("DocumentType", "Package")}, []string{}},
			{"third party", []ssm.DocumentKeyValuesFilter{filter("Owner", "ThirdParty")}, []string{}},
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, names(t, s, account, tt.filters...)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
		all := names(t, s, account)
		if len(all) != 4+len(ownedNames()) {
			t.Errorf("all documents: %v", all)
		}
		for _, bad := range []ssm.DocumentKeyValuesFilter{filter("Colour", "red"), filter("Owner", "Me"), filter("tag:", "x")} {
			_, err := s.ListDocuments(inScope(), &ssm.ListDocumentsInput{Filters: []ssm.DocumentKeyValuesFilter{bad}})
			wantCode(t, err, "InvalidFilterKey", "")
		}
		_, err := s.ListDocuments(inScope(), &ssm.ListDocumentsInput{NextToken: new("x")})
		wantCode(t, err, "InvalidNextToken", "")
		old, err := s.ListDocuments(inScope(), &ssm.ListDocumentsInput{DocumentFilterList: []ssm.DocumentFilter{{Key: "Owner", Value: new("Self")}}})
		if err != nil || len(old.DocumentIdentifiers) != 4 || len(old.DocumentIdentifiers[0].Tags) != 1 {
			t.Error(old, err)
		}
	})
}

func TestResolve(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		update(t, s, "Say", "two", func(in *ssm.UpdateDocumentInput) { in.VersionName = new("second") })
		resolve := func(name, version string) (r *Resolved, err error) {
			err = s.DB.View(inScope(), func(tx *db.Tx) error {
				r, err = s.Resolve(tx, name, version)
				return err
			})
			return r, err
		}
		tests := []struct{ name, version, wantName, wantVersion string }{
			{"Say", "", "Say", "1"},
			{"Say", "$DEFAULT", "Say", "1"},
			{"Say", "$LATEST", "Say", "2"},
			{"Say", "2", "Say", "2"},
			{sharedARN, "2", "Say", "2"},
			{"arn:aws:ssm:us-east-1:123456789012:automation-definition/Say:2", "", "Say", "2"},
			{"arn:aws:ssm:us-east-1:123456789012:automation-definition/Say:$LATEST", "1", "Say", "1"},
			{"AWS-RunShellScript", "", "AWS-RunShellScript", "1"},
			{"arn:aws:ssm:us-east-1::document/AWS-RunShellScript", "$LATEST", "AWS-RunShellScript", "1"},
			{preferences, "", preferences, "1"},
		}
		for _, tt := range tests {
			r, err := resolve(tt.name, tt.version)
			if err != nil || r.Name != tt.wantName || r.Version != tt.wantVersion || r.Doc == nil || r.Hash == "" || !strings.HasSuffix(r.ARN, "document/"+tt.wantName) {
				t.Errorf("%s %s: %+v, %v", tt.name, tt.version, r, err)
			}
		}
		for name, version := range map[string]string{"None": "", "arn:aws:ssm:eu-west-1:123456789012:document/Say": "", "arn:aws:ssm:us-east-1:999999999999:document/Say": "", "arn:x": "", "arn:aws:s3:::document/Say": ""} {
			_, err := resolve(name, version)
			wantCode(t, err, "InvalidDocument", "does not exist")
		}
		for name, version := range map[string]string{"Say": "3", "AWS-RunShellScript": "2", sharedARN: "last"} {
			_, err := resolve(name, version)
			wantCode(t, err, "InvalidDocumentVersion", "")
		}
	})
}

// The account's own session preferences take the place of the built-in ones,
// which the API does not show.
func TestPreferences(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		_, err := s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new(preferences)})
		wantCode(t, err, "InvalidDocument", "")
		create(t, s, preferences, func(in *ssm.CreateDocumentInput) {
			in.DocumentType, in.Content = "Session", new("schemaVersion: '1.0'\nsessionType: Standard_Stream\ninputs: {idleSessionTimeout: '5'}\n")
		})
		err = s.DB.View(inScope(), func(tx *db.Tx) error {
			r, err := s.Resolve(tx, preferences, "")
			if err == nil && (r.Owner != account || r.Doc.Root.At("inputs", "idleSessionTimeout").Str() != "5") {
				t.Errorf("resolved %+v", r)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestReview(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		act := func(action ssm.DocumentReviewAction, comment string) error {
			_, err := s.UpdateDocumentMetadata(inScope(), &ssm.UpdateDocumentMetadataInput{Name: new("Say"), DocumentReviews: &ssm.DocumentReviews{
				Action: action, Comment: []ssm.DocumentReviewCommentSource{{Content: new(comment), Type: "Comment"}},
			}})
			return err
		}
		wantCode(t, act("Approve", "early"), "InvalidDocumentOperation", "NOT_REVIEWED")
		for _, step := range []struct {
			action ssm.DocumentReviewAction
			status ssm.ReviewStatus
		}{{"SendForReview", "PENDING"}, {"UpdateReview", "PENDING"}, {"Reject", "REJECTED"}, {"SendForReview", "PENDING"}, {"Approve", "APPROVED"}} {
			if err := act(step.action, string(step.action)); err != nil {
				t.Fatal(err)
			}
			got, err := s.DescribeDocument(inScope(), &ssm.DescribeDocumentInput{Name: new("Say")})
			if err != nil || got.Document.ReviewStatus != step.status {
				t.Errorf("after %s: %v, %v", step.action, got.Document.ReviewStatus, err)
			}
		}
		got, err := s.DescribeDocument(inScope(), &ssm.DescribeDocumentInput{Name: new("Say")})
		if err != nil || *got.Document.ApprovedVersion != "1" || got.Document.PendingReviewVersion != nil || len(got.Document.ReviewInformation) != 1 {
			t.Error(got, err)
		}
		wantCode(t, act("Reject", "late"), "InvalidDocumentOperation", "APPROVED")
		history, err := s.ListDocumentMetadataHistory(inScope(), &ssm.ListDocumentMetadataHistoryInput{Name: new("Say"), Metadata: "DocumentReviews"})
		if err != nil || len(history.Metadata.ReviewerResponse) != 1 || *history.Metadata.ReviewerResponse[0].Comment[0].Content != "Approve" {
			t.Error(history, err)
		}
		// A new version starts without a review.
		if v := update(t, s, "Say", "two", nil); v.ReviewStatus != "NOT_REVIEWED" || *v.ApprovedVersion != "1" {
			t.Errorf("the new version is %+v", v)
		}
	})
}
