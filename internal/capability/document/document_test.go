package document

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	account = "123456789012"
	other   = "210987654321"
)

func in(accountID string) context.Context {
	ctx := db.WithScope(context.Background(), db.Scope{Account: accountID, Region: "us-east-1"})
	return journal.WithActor(ctx, "arn:aws:iam::"+accountID+":user/ann")
}

func each(t *testing.T, f func(t *testing.T, s *Service)) {
	t.Helper()
	dbtest.Each(t, []db.Migrations{journal.Migrations, tagging.Migrations, task.Migrations, Migrations}, func(t *testing.T, d *db.DB) {
		blobs, err := blob.Open(t.Context(), "mem://")
		if err != nil {
			t.Fatal(err)
		}
		s := New(Service{DB: d, Journal: journaltest.New(t, d), Allow: allowAll, Tasks: tasktest.New(t, d), Blobs: blobs, Key: []byte("key"), Object: objects, MaxFile: 1000})
		s.SetURL("https://hub.example:8443/")
		f(t, s)
	})
}

func allowAll(context.Context, string, ...string) error { return nil }

func script(line string) string {
	return fmt.Sprintf("schemaVersion: '2.2'\ndescription: says %s\nparameters:\n  who: {type: StringList, default: [you]}\nmainSteps:\n- {name: say, action: 'aws:runShellScript', inputs: {runCommand: ['echo %s']}}\n", line, line)
}

func create(t *testing.T, s *Service, name string, change func(*ssm.CreateDocumentInput)) *ssm.DocumentDescription {
	t.Helper()
	in := &ssm.CreateDocumentInput{Name: new(name), Content: new(script("one")), DocumentFormat: ssm.DocumentFormatYaml}
	if change != nil {
		change(in)
	}
	out, err := s.CreateDocument(inScope(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.DocumentDescription
}

func inScope() context.Context { return in(account) }

func update(t *testing.T, s *Service, name, line string, change func(*ssm.UpdateDocumentInput)) *ssm.DocumentDescription {
	t.Helper()
	in := &ssm.UpdateDocumentInput{Name: new(name), Content: new(script(line)), DocumentVersion: new("$LATEST")}
	if change != nil {
		change(in)
	}
	out, err := s.UpdateDocument(inScope(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.DocumentDescription
}

type coded interface{ ErrorCode() string }

func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var c coded
	if !errors.As(err, &c) || c.ErrorCode() != code || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want %s with %q", err, code, message)
	}
}

func TestCreateDescribesTheDocument(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		made := create(t, s, "Say", func(in *ssm.CreateDocumentInput) {
			in.VersionName, in.TargetType = new("first"), new("/AWS::EC2::Instance")
			in.Tags = []ssm.Tag{{Key: new("Team"), Value: new("ops")}}
			in.Attachments = []ssm.AttachmentsSource{{Key: ssm.AttachmentsSourceKeyS3FileUrl, Values: []string{"s3://files/x/tool.zip"}}}
		})
		want := &ssm.DocumentDescription{
			Name: new("Say"), Owner: new(account), DocumentType: ssm.DocumentTypeCommand, DocumentFormat: ssm.DocumentFormatYaml,
			DocumentVersion: new("1"), DefaultVersion: new("1"), LatestVersion: new("1"), VersionName: new("first"),
			HashType: ssm.DocumentHashTypeSha256, SchemaVersion: new("2.2"), TargetType: new("/AWS::EC2::Instance"), Description: new("says one"),
			PlatformTypes: []ssm.PlatformType{"Linux", "MacOS"}, Author: new("arn:aws:iam::123456789012:user/ann"), Status: ssm.DocumentStatusCreating,
			Parameters:             []ssm.DocumentParameter{{Name: new("who"), Type: "StringList", DefaultValue: new(`["you"]`)}},
			Tags:                   []ssm.Tag{{Key: new("Team"), Value: new("ops")}},
			AttachmentsInformation: []ssm.AttachmentInformation{{Name: new("tool.zip")}},
			Hash:                   made.Hash, CreatedDate: made.CreatedDate,
		}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Error(diff)
		}
		got, err := s.DescribeDocument(inScope(), &ssm.DescribeDocumentInput{Name: new("Say"), VersionName: new("first")})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Document); diff != "" {
			t.Error(diff)
		}
		if *got.Document.Hash == "" || got.Document.CreatedDate.IsZero() {
			t.Error("hash or date is missing")
		}
	})
}

func TestVersions(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		second := update(t, s, "Say", "two", func(in *ssm.UpdateDocumentInput) { in.VersionName = new("second") })
		if *second.DocumentVersion != "2" || *second.LatestVersion != "2" || *second.DefaultVersion != "1" {
			t.Errorf("after the update: %+v", second)
		}
		for selector, line := range map[string]string{"": "one", "$DEFAULT": "one", "$LATEST": "two", "2": "two", "1": "one"} {
			if got := content(t, s, selector, ""); !strings.Contains(got, "echo "+line) {
				t.Errorf("version %q is %s", selector, got)
			}
		}
		if got := content(t, s, "", "second"); !strings.Contains(got, "echo two") {
			t.Errorf("version by name is %s", got)
		}
		set, err := s.UpdateDocumentDefaultVersion(inScope(), &ssm.UpdateDocumentDefaultVersionInput{Name: new("Say"), DocumentVersion: new("2")})
		if err != nil || *set.Description.DefaultVersionName != "second" {
			t.Fatal(set, err)
		}
		if got := content(t, s, "", ""); !strings.Contains(got, "echo two") {
			t.Errorf("the default is %s", got)
		}
		// The number of a version that was deleted is never given again.
		third := update(t, s, "Say", "three", nil)
		if _, err := s.DeleteDocument(inScope(), &ssm.DeleteDocumentInput{Name: new("Say"), DocumentVersion: third.DocumentVersion}); err != nil {
			t.Fatal(err)
		}
		if got := content(t, s, "$LATEST", ""); !strings.Contains(got, "echo two") {
			t.Errorf("the latest is %s", got)
		}
		if fourth := update(t, s, "Say", "three", nil); *fourth.DocumentVersion != "4" {
			t.Errorf("the new version is %s, want 4", *fourth.DocumentVersion)
		}
		list, err := s.ListDocumentVersions(inScope(), &ssm.ListDocumentVersionsInput{Name: new("Say"), MaxResults: new(int32(2))})
		if err != nil || len(list.DocumentVersions) != 2 || *list.DocumentVersions[0].DocumentVersion != "4" || list.NextToken == nil {
			t.Fatal(list, err)
		}
		list, err = s.ListDocumentVersions(inScope(), &ssm.ListDocumentVersionsInput{Name: new("Say"), NextToken: list.NextToken})
		if err != nil || len(list.DocumentVersions) != 1 || *list.DocumentVersions[0].DocumentVersion != "1" || *list.DocumentVersions[0].IsDefaultVersion {
			t.Fatal(list, err)
		}
	})
}

func content(t *testing.T, s *Service, selector, versionName string) string {
	t.Helper()
	out, err := s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Say"), DocumentVersion: some(selector), VersionName: some(versionName)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Content
}

func TestGetConvertsTheFormat(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		out, err := s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Say"), DocumentFormat: ssm.DocumentFormatJson})
		if err != nil || out.DocumentFormat != ssm.DocumentFormatJson || !strings.HasPrefix(*out.Content, "{\n  \"schemaVersion\": \"2.2\"") {
			t.Error(out, err)
		}
		_, err = s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Say"), DocumentFormat: ssm.DocumentFormatText})
		wantCode(t, err, "ValidationException", "cannot be read as TEXT")
	})
}

func TestCreateRefuses(t *testing.T) {
	runbook := func(lines ...string) string {
		return "schemaVersion: '0.3'\nmainSteps:\n" + strings.Join(lines, "\n") + "\n"
	}
	tests := []struct {
		name, document, content string
		kind                    ssm.DocumentType
		code, message           string
	}{
		{"exists", "Say", script("one"), "", "DocumentAlreadyExists", "Say"},
		{"reserved", "aws-say", script("one"), "", "ValidationException", "reserved"},
		{"reserved amazon", "AmazonSay", script("one"), "", "ValidationException", "reserved"},
		{"large", "New", strings.Repeat("#", 65537), "", "MaxDocumentSizeExceeded", "65537"},
		{"schema", "New", "schemaVersion: '0.3'\n", "", "InvalidDocumentSchemaVersion", "line 1"},
		{"not well-formed", "New", "a: [", "", "InvalidDocumentContent", "YAML not well-formed"},
		{"unknown plugin", "New", strings.ReplaceAll(script("x"), "runShellScript", "runShelScript"), "", "InvalidDocumentContent", `line 6: step "say": mainSteps[0].action: unknown plugin`},
		{"unknown action", "New", runbook("- name: a", "  action: aws:fly"), "Automation", "InvalidDocumentContent", `line 4: step "a": mainSteps[0].action: unknown action "aws:fly"`},
		{"missing step", "New", runbook("- name: a", "  action: aws:pause", "  nextStep: b"), "Automation", "InvalidDocumentContent", `line 5: step "a": mainSteps[0].nextStep: step "b" does not exist`},
		{"cycle", "New", runbook("- {name: a, action: 'aws:pause'}", "- name: b", "  action: aws:pause", "  nextStep: a"), "Automation", "InvalidDocumentContent", `line 6: step "b": mainSteps[1]: the steps run in a cycle that never ends: a -> b -> a`},
		{"calendar", "New", "hello", "ChangeCalendar", "InvalidDocumentContent", "must be TEXT"},
	}
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", nil)
		before := rows(t, s)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := s.CreateDocument(inScope(), &ssm.CreateDocumentInput{Name: new(tt.document), Content: new(tt.content), DocumentType: tt.kind, DocumentFormat: ssm.DocumentFormatYaml})
				wantCode(t, err, tt.code, tt.message)
			})
		}
		if after := rows(t, s); after != before {
			t.Errorf("refused calls left %d rows, %d before", after, before)
		}
	})
}

// rows counts what the package stores.
func rows(t *testing.T, s *Service) (total int) {
	t.Helper()
	err := s.DB.View(inScope(), func(tx *db.Tx) error {
		for _, table := range []string{"document_document", "document_version", "document_share", "document_review"} {
			var n int
			if err := tx.QueryRow("select count(*) from " + table).Scan(&n); err != nil {
				return err
			}
			total += n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func TestUpdateRefuses(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", func(in *ssm.CreateDocumentInput) { in.VersionName = new("first") })
		create(t, s, "Old", func(in *ssm.CreateDocumentInput) {
			in.Content = new(`{"schemaVersion": "1.2", "runtimeConfig": {"aws:runShellScript": {"properties": [{"runCommand": ["ls"]}]}}}`)
			in.DocumentFormat = ssm.DocumentFormatJson
		})
		update(t, s, "Say", "two", nil)
		try := func(change func(*ssm.UpdateDocumentInput)) error {
			in := &ssm.UpdateDocumentInput{Name: new("Say"), Content: new(script("three")), DocumentVersion: new("$LATEST")}
			change(in)
			_, err := s.UpdateDocument(inScope(), in)
			return err
		}
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.Name = new("None") }), "InvalidDocument", "None does not exist")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.Name = new("AWS-RunShellScript") }), "InvalidDocumentOperation", "belongs to Amazon")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.DocumentVersion = new("1") }), "InvalidDocumentVersion", "latest")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.Content = new(script("two")) }), "DuplicateDocumentContent", "")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.VersionName = new("first") }), "DuplicateDocumentVersionName", "version 1")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.Content = new("schemaVersion: '2.2'\n") }), "InvalidDocumentContent", "no mainSteps")
		wantCode(t, try(func(in *ssm.UpdateDocumentInput) { in.Name = new("Old") }), "InvalidDocumentSchemaVersion", "1.2")
		_, err := s.UpdateDocumentDefaultVersion(inScope(), &ssm.UpdateDocumentDefaultVersionInput{Name: new("Say"), DocumentVersion: new("9")})
		wantCode(t, err, "InvalidDocumentVersion", "does not exist")
		_, err = s.UpdateDocumentDefaultVersion(inScope(), &ssm.UpdateDocumentDefaultVersionInput{Name: new("AWS-RunShellScript"), DocumentVersion: new("1")})
		wantCode(t, err, "InvalidDocument", "belongs to Amazon")
		_, err = s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Say"), DocumentVersion: new("7")})
		wantCode(t, err, "InvalidDocumentVersion", "")
		_, err = s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Say"), DocumentVersion: new("2"), VersionName: new("first")})
		wantCode(t, err, "InvalidDocumentVersion", "")
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Say", func(in *ssm.CreateDocumentInput) { in.Tags = []ssm.Tag{{Key: new("a"), Value: new("b")}} })
		remove := func(change func(*ssm.DeleteDocumentInput)) error {
			in := &ssm.DeleteDocumentInput{Name: new("Say")}
			change(in)
			_, err := s.DeleteDocument(inScope(), in)
			return err
		}
		wantCode(t, remove(func(in *ssm.DeleteDocumentInput) { in.Name = new("None") }), "InvalidDocument", "None")
		wantCode(t, remove(func(in *ssm.DeleteDocumentInput) { in.Name = new("AWS-RunShellScript") }), "InvalidDocumentOperation", "Amazon")
		wantCode(t, remove(func(in *ssm.DeleteDocumentInput) { in.DocumentVersion = new("1") }), "InvalidDocumentOperation", "default version")
		wantCode(t, remove(func(in *ssm.DeleteDocumentInput) { in.DocumentVersion = new("2") }), "InvalidDocument", "")
		shareWith(t, s, "Say", "", other)
		wantCode(t, remove(func(*ssm.DeleteDocumentInput) {}), "InvalidDocumentOperation", "shared")
		stopSharing(t, s, "Say", other)
		s.InUse = append(s.InUse, func(*db.Tx, string) error { return &ssm.AssociatedInstances{} })
		wantCode(t, remove(func(*ssm.DeleteDocumentInput) {}), "AssociatedInstances", "")
		s.InUse = nil
		if err := remove(func(*ssm.DeleteDocumentInput) {}); err != nil {
			t.Fatal(err)
		}
		if n := rows(t, s); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		create(t, s, "Say", nil)
		got, err := s.DescribeDocument(inScope(), &ssm.DescribeDocumentInput{Name: new("Say")})
		if err != nil || len(got.Document.Tags) != 0 {
			t.Errorf("tags of the deleted document came back: %v, %v", got, err)
		}
	})
}

// A runbook hands on no role that its author may not pass, in any notation.
func TestContentNeedsPassRole(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/ops"
	step := "mainSteps:\n- {name: a, action: 'aws:pause'}\n"
	json := `{"schemaVersion": "0.3", "assumeRole": "` + role + `", "mainSteps": [{"name": "a", "action": "aws:pause"}]}`
	each(t, func(t *testing.T, s *Service) {
		create(t, s, "Book", func(in *ssm.CreateDocumentInput) {
			in.DocumentType, in.Content = "Automation", new("schemaVersion: '0.3'\n"+step)
		})
		s.Allow = func(_ context.Context, action string, resources ...string) error {
			return fault.AccessDenied("%s on %v", action, resources)
		}
		before := rows(t, s)
		for _, content := range []string{
			"schemaVersion: '0.3'\nassumeRole: " + role + "\n" + step,
			"schemaVersion: '0.3'\nassumeRole: '{{ Role }}'\nparameters: {Role: {type: String, default: '" + role + "'}}\n" + step,
			json,
		} {
			_, err := s.UpdateDocument(inScope(), &ssm.UpdateDocumentInput{Name: new("Book"), Content: new(content)})
			wantCode(t, err, "AccessDeniedException", "iam:PassRole on ["+role+"]")
			_, err = s.CreateDocument(inScope(), &ssm.CreateDocumentInput{Name: new("Other"), Content: new(content), DocumentType: "Automation", DocumentFormat: "YAML"})
			wantCode(t, err, "AccessDeniedException", "iam:PassRole on ["+role+"]")
		}
		_, err := s.CreateDocument(inScope(), &ssm.CreateDocumentInput{Name: new("Other"), Content: new(script("x")), DocumentFormat: "YAML", Attachments: []ssm.AttachmentsSource{
			{Key: ssm.AttachmentsSourceKeyAttachmentReference, Values: []string{"Say/1/tool.zip"}},
		}})
		wantCode(t, err, "AccessDeniedException", "ssm:GetDocument on [arn:aws:ssm:us-east-1:123456789012:document/Say]")
		if after := rows(t, s); after != before {
			t.Errorf("refused calls left %d rows, %d before", after, before)
		}
	})
}
