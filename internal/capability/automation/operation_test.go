package automation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

const waitBook = head + `
  - {name: hold, action: "aws:pause"}
  - {name: end, action: "aws:sleep", inputs: {Duration: PT0S}}`

// started is a world with one book and an execution of it that stands still.
func started(t *testing.T, d *db.DB, book string) (*world, string) {
	t.Helper()
	w := newWorld(t, d, map[string]string{"Book": book})
	id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
	w.settle()
	return w, id
}

func (w *world) stop(id string, kind ssm.StopType) error {
	_, err := w.svc.StopAutomationExecution(as("ada"), &ssm.StopAutomationExecutionInput{AutomationExecutionId: &id, Type: kind})
	return err
}

// outcome is the status of an execution and of its steps in one line.
func (w *world) outcome(id string) string {
	w.t.Helper()
	e := w.get(id)
	return string(e.AutomationExecutionStatus) + ": " + steps(e)
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStartRefuses(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": `
schemaVersion: "0.3"
assumeRole: "{{ Role }}"
parameters:
  Role: {type: String, default: ""}
  Name: {type: String, allowedPattern: "^[a-z]+$"}
mainSteps:
  - {name: hold, action: "aws:pause"}`})
		_, err := w.docs.CreateDocument(as("ada"), &ssm.CreateDocumentInput{
			Name: new("Shell"), DocumentType: ssm.DocumentTypeCommand, DocumentFormat: ssm.DocumentFormatJson,
			Content: new(`{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"a","inputs":{"runCommand":["true"]}}]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		good := map[string][]string{"Name": {"x"}}
		for _, tc := range []struct {
			name, document, version, code string
			params                        map[string][]string
			edit                          func(in *ssm.StartAutomationExecutionInput)
		}{
			{name: "no document", document: "None", code: "AutomationDefinitionNotFoundException"},
			{name: "no version", document: "Book", version: "7", params: good, code: "AutomationDefinitionVersionNotFoundException"},
			{name: "document of another type", document: "Shell", code: "AutomationDefinitionNotFoundException"},
			{name: "missing parameter", document: "Book", code: "InvalidAutomationExecutionParametersException"},
			{name: "undeclared parameter", document: "Book", params: map[string][]string{"Name": {"x"}, "Other": {"y"}}, code: "InvalidAutomationExecutionParametersException"},
			{name: "parameter against its pattern", document: "Book", params: map[string][]string{"Name": {"X1"}}, code: "InvalidAutomationExecutionParametersException"},
			{name: "role that is none", document: "Book", params: map[string][]string{"Name": {"x"}, "Role": {"admin"}}, code: "InvalidAutomationExecutionParametersException"},
			{name: "role that may not be passed", document: "Book", params: map[string][]string{"Name": {"x"}, "Role": {"arn:aws:iam::123456789012:role/forbidden"}}, code: "AccessDeniedException"},
			{name: "targets", document: "Book", params: good, code: "InvalidTarget", edit: func(in *ssm.StartAutomationExecutionInput) { in.TargetParameterName = new("Name") }},
			{name: "good", document: "Book", params: good},
			{name: "good, with a role and a version", document: "Book", version: "$LATEST", params: map[string][]string{"Name": {"x"}, "Role": {"arn:aws:iam::123456789012:role/ok"}}},
		} {
			in := &ssm.StartAutomationExecutionInput{DocumentName: &tc.document, Parameters: tc.params}
			if tc.version != "" {
				in.DocumentVersion = &tc.version
			}
			if tc.edit != nil {
				tc.edit(in)
			}
			before := w.facts()
			_, err := w.svc.StartAutomationExecution(as("ada"), in)
			if code(err) != tc.code {
				t.Errorf("%s: %v", tc.name, err)
			}
			if tc.code != "" && w.facts() != before {
				t.Errorf("%s: a refused start left a fact", tc.name)
			}
		}
	})
}

func TestClientToken(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": waitBook})
		token := "22222222-2222-2222-2222-222222222222"
		in := &ssm.StartAutomationExecutionInput{DocumentName: new("Book"), ClientToken: &token}
		first, second := w.start(in), w.start(in)
		if first != second {
			t.Errorf("the same token answered %s and %s", first, second)
		}
		_, err := w.svc.StartAutomationExecution(as("ada"), &ssm.StartAutomationExecutionInput{DocumentName: new("Book"), ClientToken: &token, Mode: ssm.ExecutionModeInteractive})
		want(t, code(err), "IdempotentParameterMismatch")
	})
}

// A runbook started by another capability acts as the role that was passed to
// that one, whatever its own text and its parameters say.
func TestRoleOfARunbookStartedForOthers(t *testing.T) {
	role := func(name string) string { return "arn:aws:iam::123456789012:role/" + name }
	w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{
		"Named": "assumeRole: " + role("admin") + "\n" + waitBook, "Given": "assumeRole: '{{ Role }}'\nparameters: {Role: {type: String}}\n" + waitBook,
	})
	for _, c := range []struct {
		name, given, passed string
		ok                  bool
	}{
		{"Named", "", role("incident"), false},
		{"Named", "", role("admin"), true},
		{"Named", "", "", false},
		{"Given", role("admin"), role("incident"), false},
		{"Given", role("incident"), role("incident"), true},
	} {
		r := automation.Start{DocumentName: c.name, StartedBy: "arn:aws:iam::123456789012:user/ada", RoleARN: c.passed}
		if c.given != "" {
			r.Parameters = map[string][]string{"Role": {c.given}}
		}
		err := w.svc.DB.Update(db.WithScope(t.Context(), scope), func(tx *db.Tx) error {
			_, err := w.svc.Start(t.Context(), tx, r)
			return err
		})
		if (err == nil) != c.ok || err != nil && code(err) != "AccessDeniedException" {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The capability above starts a runbook inside its own transaction.
func TestStartInATransaction(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": waitBook})
		incident := "arn:aws:ssm-incidents::123456789012:incident-record/p/1"
		var id string
		err := d.Update(db.WithScope(t.Context(), scope), func(tx *db.Tx) (err error) {
			id, err = w.svc.Start(t.Context(), tx, automation.Start{
				DocumentName: "Book", StartedBy: "arn:aws:ssm-incidents::123456789012:response-plan/p", RoleARN: "arn:aws:iam::123456789012:role/incident",
				IncidentARN: incident, Tags: map[string]string{"service": "shop"},
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Waiting: hold:Waiting end:Pending")
		err = d.View(db.WithScope(t.Context(), scope), func(tx *db.Tx) error {
			facts, err := w.journal.About(tx, []string{automation.ARN(scope, id)}, 0, 10)
			if err == nil && (len(facts) != 2 || facts[0].Related[0] != incident) {
				t.Errorf("facts: %+v", facts)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestStopAndSignals(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w, id := started(t, d, waitBook)
		want(t, w.outcome(id), "Waiting: hold:Waiting end:Pending")
		for _, tc := range []struct {
			kind    ssm.SignalType
			payload map[string][]string
			code    string
		}{
			{ssm.SignalTypeApprove, nil, "InvalidAutomationSignalException"},
			{ssm.SignalTypeRevoke, nil, "InvalidAutomationSignalException"},
			{ssm.SignalTypeStartStep, map[string][]string{"StepName": {"end"}}, "InvalidAutomationSignalException"},
			{ssm.SignalTypeResume, map[string][]string{"StepName": {"end"}}, "InvalidAutomationSignalException"},
			{ssm.SignalTypeResume, map[string][]string{"StepName": {"none"}}, "AutomationStepNotFoundException"},
			{ssm.SignalTypeStopStep, map[string][]string{"StepExecutionId": {"none"}}, "AutomationStepNotFoundException"},
		} {
			before := w.facts()
			if got := code(w.signal("ada", id, tc.kind, tc.payload)); got != tc.code || w.facts() != before {
				t.Errorf("%s %v: %s", tc.kind, tc.payload, got)
			}
		}
		if err := w.signal("ada", id, ssm.SignalTypeResume, map[string][]string{"StepName": {"hold"}}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Success: hold:Success end:Success")
		want(t, code(w.stop(id, ssm.StopTypeCancel)), "InvalidAutomationStatusUpdateException")
		want(t, code(w.signal("ada", id, ssm.SignalTypeResume, nil)), "InvalidAutomationSignalException")
		want(t, code(w.stop("00000000-0000-0000-0000-000000000000", "")), "AutomationExecutionNotFoundException")

		id = w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
		want(t, w.outcome(id), "Pending: hold:Pending end:Pending")
		w.settle()
		if err := w.stop(id, ssm.StopTypeCancel); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Cancelled: hold:Cancelled end:Pending")

		id = w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
		w.settle()
		if err := w.stop(id, ssm.StopTypeComplete); err != nil {
			t.Fatal(err)
		}
		if err := w.signal("ada", id, ssm.SignalTypeResume, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Success: hold:Success end:Pending")
	})
}

func TestInteractive(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": waitBook})
		id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book"), Mode: ssm.ExecutionModeInteractive})
		w.settle()
		want(t, w.outcome(id), "Waiting: hold:Pending end:Pending")
		step := func(name string) error {
			return w.signal("ada", id, ssm.SignalTypeStartStep, map[string][]string{"StepName": {name}})
		}
		want(t, code(step("end")), "InvalidAutomationSignalException")
		if err := step("hold"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		stepID := *w.get(id).StepExecutions[0].StepExecutionId
		if err := w.signal("ada", id, ssm.SignalTypeStopStep, map[string][]string{"StepExecutionId": {stepID}}); err != nil {
			t.Fatal(err)
		}
		want(t, w.outcome(id), "Cancelled: hold:Cancelled end:Pending")
	})
}

const cancelBook = head + `
  - {name: work, action: "aws:runCommand", onCancel: "step:clean", inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [mi-00000000000000001]}, isEnd: true}
  - {name: clean, action: "aws:runCommand", inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [mi-00000000000000001]}}`

func TestCancelPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := started(t, dbtest.SQLite(t, schema...), cancelBook)
		if err := w.stop(id, ssm.StopTypeCancel); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Cancelling: work:Cancelled clean:InProgress")
		want(t, string(w.far.commands[w.far.order[0]].status), "Cancelled")
		<-time.After(3 * time.Minute)
		w.settle()
		want(t, w.outcome(id), "Cancelled: work:Cancelled clean:Cancelled")
		want(t, string(w.far.commands[w.far.order[1]].status), "Cancelled")
	})
}

// A command that was on its way when its execution was stopped is cancelled too.
func TestStoppedWhileSending(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": strings.Replace(cancelBook, `onCancel: "step:clean", `, "", 1)})
		id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
		w.far.after = func() {
			w.far.after = nil
			if err := w.stop(id, ssm.StopTypeCancel); err != nil {
				t.Error(err)
			}
		}
		w.settle()
		want(t, string(w.far.commands[w.far.order[0]].status), "Cancelled")
	})
}

func TestApprovals(t *testing.T) {
	book := func(n int, list string) string {
		return fmt.Sprintf(head+`
  - {name: ask, action: "aws:approve", maxAttempts: 3, inputs: {Approvers: [%s], MinRequiredApprovals: %d, Message: please}}`, list, n)
	}
	const (
		role     = "arn:aws:iam::123456789012:role/ops"
		refused  = "InvalidAutomationSignalException"
		approve  = ssm.SignalTypeApprove
		reject   = ssm.SignalTypeReject
		waiting  = "Waiting: ask:Waiting"
		success  = "Success: ask:Success"
		rejected = "Failed: ask:Failed"
	)
	type answer struct {
		who  identity.Caller
		kind ssm.SignalType
		code string
	}
	user := func(name string) identity.Caller { return identity.From(as(name)) }
	session := func(roleName, session, human string) identity.Caller {
		return identity.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/" + roleName + "/" + session, Account: "123456789012", Kind: identity.Role, Human: human}
	}
	for _, tc := range []struct {
		name, list string
		required   int
		answers    []answer
		end        string
	}{
		{"one is enough", "grace, linus", 1, []answer{{user("grace"), approve, ""}}, success},
		{"one of two", "grace, linus", 2, []answer{{user("grace"), approve, ""}}, waiting},
		{"two of two", "grace, linus", 2, []answer{{user("grace"), approve, ""}, {user("linus"), approve, ""}}, success},
		{"twice the same", "grace, linus", 2, []answer{{user("grace"), approve, ""}, {user("grace"), approve, refused}}, waiting},
		{"any reject stops", "grace, linus", 2, []answer{{user("grace"), approve, ""}, {user("linus"), reject, ""}}, rejected},
		{"reject first", "grace, linus", 1, []answer{{user("grace"), reject, ""}, {user("linus"), approve, refused}}, rejected},
		{"a stranger", "grace", 1, []answer{{user("eve"), approve, refused}, {user("eve"), reject, refused}}, waiting},
		{"who started it", "ada, grace", 1, []answer{{user("ada"), approve, refused}}, waiting},
		{"who started it, through a role", role, 1, []answer{{session("ops", "s", "human-ada"), approve, refused}}, waiting},
		{"by user ARN", "arn:aws:iam::123456789012:user/grace", 1, []answer{{user("linus"), approve, refused}, {user("grace"), approve, ""}}, success},
		{"by role ARN", role, 1, []answer{{session("dev", "ops", "h1"), approve, refused}, {session("ops", "s", "h1"), approve, ""}}, success},
		{"by assumed-role ARN", "arn:aws:sts::123456789012:assumed-role/ops/s", 1, []answer{{session("ops", "t", "h1"), approve, refused}, {session("ops", "s", "h1"), approve, ""}}, success},
		{"one person in two roles", role + ", grace", 2, []answer{{user("grace"), approve, ""}, {session("ops", "s", "human-grace"), approve, refused}}, waiting},
		{"a machine", role, 1, []answer{{session("ops", "s", ""), approve, refused}}, waiting},
		{"a role named like a user", "grace", 1, []answer{{session("grace", "s", "h1"), approve, refused}}, waiting},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
				w, id := started(t, d, book(tc.required, tc.list))
				want(t, w.outcome(id), waiting)
				for _, a := range tc.answers {
					ctx := identity.With(db.WithScope(context.Background(), scope), a.who)
					_, err := w.svc.SendAutomationSignal(ctx, &ssm.SendAutomationSignalInput{AutomationExecutionId: &id, SignalType: a.kind})
					if code(err) != a.code {
						t.Errorf("%s by %s: %v", a.kind, a.who.ARN, err)
					}
				}
				w.settle()
				want(t, w.outcome(id), tc.end)
			})
		})
	}
}

func TestApprovalRunsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := started(t, dbtest.SQLite(t, schema...), head+`
  - {name: ask, action: "aws:approve", inputs: {Approvers: [grace]}}
  - {name: b, action: "aws:pause"}`)
		<-time.After(7*24*time.Hour - time.Minute)
		w.settle()
		want(t, w.outcome(id), "Waiting: ask:Waiting b:Pending")
		<-time.After(time.Minute)
		w.settle()
		want(t, w.outcome(id), "TimedOut: ask:TimedOut b:Pending")
	})
}

func TestDescribe(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Book": waitBook, "Other": waitBook})
		var ids []string
		for i := range 5 {
			in := &ssm.StartAutomationExecutionInput{DocumentName: new("Book")}
			if i == 3 {
				in.DocumentName, in.Tags = new("Other"), []ssm.Tag{{Key: new("service"), Value: new("shop")}}
			}
			ids = append(ids, w.start(in))
			w.settle()
		}
		if err := w.stop(ids[4], ""); err != nil {
			t.Fatal(err)
		}
		list := func(key ssm.AutomationExecutionFilterKey, values ...string) string {
			in := &ssm.DescribeAutomationExecutionsInput{MaxResults: new(int32(2))}
			if key != "" {
				in.Filters = []ssm.AutomationExecutionFilter{{Key: key, Values: values}}
			}
			var got []string
			for range 10 {
				out, err := w.svc.DescribeAutomationExecutions(as("ada"), in)
				if err != nil {
					return code(err)
				}
				for _, e := range out.AutomationExecutionMetadataList {
					for i, id := range ids {
						if id == *e.AutomationExecutionId {
							got = append(got, fmt.Sprint(i))
						}
					}
				}
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			return strings.Join(got, " ")
		}
		tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		for _, tc := range []struct {
			key    ssm.AutomationExecutionFilterKey
			values []string
			want   string
		}{
			{"", nil, "4 3 2 1 0"},
			{ssm.AutomationExecutionFilterKeyDocumentNamePrefix, []string{"Oth"}, "3"},
			{ssm.AutomationExecutionFilterKeyExecutionStatus, []string{"Cancelled"}, "4"},
			{ssm.AutomationExecutionFilterKeyExecutionStatus, []string{"Waiting", "Cancelled"}, "4 3 2 1 0"},
			{ssm.AutomationExecutionFilterKeyExecutionId, []string{ids[1]}, "1"},
			{ssm.AutomationExecutionFilterKeyCurrentAction, []string{"aws:pause"}, "3 2 1 0"},
			{ssm.AutomationExecutionFilterKeyStartTimeBefore, []string{tomorrow}, "4 3 2 1 0"},
			{ssm.AutomationExecutionFilterKeyStartTimeAfter, []string{tomorrow}, ""},
			{ssm.AutomationExecutionFilterKeyStartTimeAfter, []string{"soon"}, "InvalidFilterValue"},
			{ssm.AutomationExecutionFilterKeyAutomationType, []string{"Local"}, "4 3 2 1 0"},
			{ssm.AutomationExecutionFilterKeyAutomationType, []string{"CrossAccount"}, ""},
			{ssm.AutomationExecutionFilterKeyTagKey, []string{"service"}, "3"},
		} {
			if got := list(tc.key, tc.values...); got != tc.want {
				t.Errorf("%s %v: got %q, want %q", tc.key, tc.values, got, tc.want)
			}
		}
		_, err := w.svc.DescribeAutomationExecutions(as("ada"), &ssm.DescribeAutomationExecutionsInput{NextToken: new("x")})
		want(t, code(err), "InvalidNextToken")
		w.describeSteps(ids[0])
	})
}

func (w *world) describeSteps(id string) {
	w.t.Helper()
	list := func(in ssm.DescribeAutomationStepExecutionsInput) string {
		in.AutomationExecutionId = &id
		out, err := w.svc.DescribeAutomationStepExecutions(as("ada"), &in)
		if err != nil {
			return code(err)
		}
		var names []string
		for _, s := range out.StepExecutions {
			names = append(names, *s.StepName)
		}
		if out.NextToken != nil {
			in.NextToken = out.NextToken
			return strings.Join(names, " ") + "+"
		}
		return strings.Join(names, " ")
	}
	filter := func(key ssm.StepExecutionFilterKey, v string) ssm.DescribeAutomationStepExecutionsInput {
		return ssm.DescribeAutomationStepExecutionsInput{Filters: []ssm.StepExecutionFilter{{Key: key, Values: []string{v}}}}
	}
	got := []string{
		list(ssm.DescribeAutomationStepExecutionsInput{}), list(ssm.DescribeAutomationStepExecutionsInput{ReverseOrder: new(true)}),
		list(ssm.DescribeAutomationStepExecutionsInput{MaxResults: new(int32(1))}),
		list(filter(ssm.StepExecutionFilterKeyStepExecutionStatus, "Pending")), list(filter(ssm.StepExecutionFilterKeyAction, "aws:pause")),
		list(filter(ssm.StepExecutionFilterKeyStepName, "end")), list(filter(ssm.StepExecutionFilterKeyStartTimeAfter, "1999-01-01T00:00:00Z")),
	}
	if diff := cmp.Diff([]string{"hold end", "end hold", "hold+", "end", "hold", "end", "hold"}, got); diff != "" {
		w.t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestPreview(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, map[string]string{"Restart": restartRunbook})
		_, err := w.svc.StartExecutionPreview(as("ada"), &ssm.StartExecutionPreviewInput{DocumentName: new("None")})
		want(t, code(err), "AutomationDefinitionNotFoundException")
		out, err := w.svc.StartExecutionPreview(as("ada"), &ssm.StartExecutionPreviewInput{DocumentName: new("Restart")})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.svc.GetExecutionPreview(as("ada"), &ssm.GetExecutionPreviewInput{ExecutionPreviewId: out.ExecutionPreviewId})
		if err != nil {
			t.Fatal(err)
		}
		counts := map[ssm.ImpactType]int32{ssm.ImpactTypeMutating: 1, ssm.ImpactTypeNonMutating: 3, ssm.ImpactTypeUndetermined: 2}
		if diff := cmp.Diff(counts, got.ExecutionPreview.Automation.StepPreviews); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err = w.svc.GetExecutionPreview(as("ada"), &ssm.GetExecutionPreviewInput{ExecutionPreviewId: new("00000000-0000-0000-0000-000000000000")})
		want(t, code(err), "ResourceNotFoundException")
	})
}
