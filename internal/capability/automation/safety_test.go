package automation_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

func scanText(rows *sql.Rows) (string, error) {
	var b []byte
	err := rows.Scan(&b)
	return string(b), err
}

// crashing is a world that dies with the answer of its first call in hand.
func crashing(t *testing.T, book string, children ...string) (*world, string) {
	t.Helper()
	var w *world
	d := dbtest.SQLite(t, schema...)
	d.BeforeCommit(func(tx *db.Tx) error {
		if w == nil {
			return nil
		}
		return w.count(tx)
	})
	w = newWorld(t, d, map[string]string{"Book": book})
	for _, text := range children {
		w.book("Child", text)
	}
	id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
	w.far.after = func() {
		w.far.after = nil
		w.mu.Lock()
		defer w.mu.Unlock()
		w.crashAt = w.commits + 1
	}
	w.settle()
	if !w.died() {
		t.Fatal("it did not die")
	}
	return w, id
}

// wait lets time pass and works what falls due.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	for until := time.Now().Add(d); time.Now().Before(until); <-time.After(time.Second) {
		w.settle()
	}
}

const itemBook = head + `
  - {name: a, action: "aws:executeAwsApi", maxAttempts: 3, inputs: {Service: ssm, Api: CreateOpsItem, Title: t, Description: d, Source: s}}`

// A call whose answer was lost for longer than the front door remembers is not
// repeated: the step waits as Unknown, and goes on when a person says so.
func TestUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := crashing(t, itemBook)
		<-time.After(time.Hour)
		w.restart()
		w.settle()
		want(t, w.outcome(id), "Waiting: a:Waiting")
		if s := w.get(id).StepExecutions[0]; s.FailureDetails == nil || *s.FailureDetails.FailureType != "Unknown" || w.far.opsItems != 1 {
			t.Fatalf("%+v, %d OpsItems", s.FailureDetails, w.far.opsItems)
		}
		if err := w.signal("ada", id, ssm.SignalTypeResume, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want(t, w.outcome(id), "Success: a:Success")
		if w.far.opsItems != 2 {
			t.Errorf("%d OpsItems", w.far.opsItems)
		}
	})
}

// A call that was lost for a short time is repeated under its id, and the front
// door answers what it answered first.
func TestAnswerLostForAMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := crashing(t, itemBook)
		w.restart()
		w.wait(time.Minute)
		want(t, w.outcome(id), "Success: a:Success")
		if w.far.opsItems != 1 {
			t.Errorf("%d OpsItems", w.far.opsItems)
		}
	})
}

// The front door knows that the call took effect, but lost what it answered.
func TestAnswerLostByTheFrontDoor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := crashing(t, itemBook)
		w.far.fail["CreateOpsItem"] = fault.New(409, "ConflictException", "An earlier attempt was carried out.")
		w.restart()
		w.wait(time.Minute)
		want(t, w.outcome(id), "Waiting: a:Waiting")
		stepID := *w.get(id).StepExecutions[0].StepExecutionId
		if err := w.signal("ada", id, ssm.SignalTypeStopStep, map[string][]string{"StepExecutionId": {stepID}}); err != nil {
			t.Fatal(err)
		}
		want(t, w.outcome(id), "Cancelled: a:Cancelled")
	})
}

const sendBook = head + `
  - {name: a, action: "aws:runCommand", maxAttempts: 3, inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [mi-00000000000000001], Parameters: {commands: [id]}}}`

// A command whose answer the front door lost is found among the commands.
func TestCommandIsFoundAgain(t *testing.T) {
	for _, tc := range []struct {
		name   string
		others []*ssm.SendCommandInput
		want   string
	}{
		{name: "alone", want: "Success: a:Success"},
		{
			name: "among others", want: "Success: a:Success",
			others: []*ssm.SendCommandInput{
				{DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{"mi-00000000000000002"}, Parameters: map[string][]string{"commands": {"id"}}},
				{DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{"mi-00000000000000001"}, Parameters: map[string][]string{"commands": {"ls"}}},
			},
		},
		{
			name: "with one that is the same", want: "Waiting: a:Waiting",
			others: []*ssm.SendCommandInput{{DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{"mi-00000000000000001"}, Parameters: map[string][]string{"commands": {"id"}}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, id := crashing(t, sendBook)
				for _, in := range tc.others {
					if _, err := w.far.sendCommand(t.Context(), in); err != nil {
						t.Fatal(err)
					}
				}
				w.far.fail["SendCommand"] = fault.New(409, "ConflictException", "An earlier attempt was carried out.")
				w.restart()
				w.wait(30 * time.Second)
				if len(w.far.order) != 1+len(tc.others) {
					t.Errorf("%d commands", len(w.far.order))
				}
				w.end(0, ssm.CommandInvocationStatusSuccess, 0, "")
				w.wait(2 * time.Second)
				want(t, w.outcome(id), tc.want)
			})
		})
	}
}

// A refusal of the first call is an answer, whatever its status.
func TestConflictIsAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{})
		w.far.fail["CreateOpsItem"] = fault.New(409, "ConflictException", "there is one already")
		e := runFor(w, itemBook, 5*time.Second)
		want(t, string(e.AutomationExecutionStatus)+" "+steps(e), "Failed a:Failed")
	})
}

// A child is started once: its token is made of the step.
func TestChildStartedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, id := crashing(t, head+`
  - {name: a, action: "aws:executeAutomation", inputs: {DocumentName: Child}}`, waitBook)
		w.restart()
		w.wait(time.Minute)
		out, err := w.svc.DescribeAutomationExecutions(as("ada"), &ssm.DescribeAutomationExecutionsInput{})
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.outcome(id), "InProgress: a:InProgress")
		if n := len(out.AutomationExecutionMetadataList); n != 2 {
			t.Errorf("%d executions, want the parent and one child", n)
		}
		if err := w.stop(id, ssm.StopTypeCancel); err != nil {
			t.Fatal(err)
		}
		w.wait(5 * time.Second)
		want(t, w.outcome(id), "Cancelled: a:Cancelled")
		for _, e := range out.AutomationExecutionMetadataList {
			want(t, string(w.get(*e.AutomationExecutionId).AutomationExecutionStatus), "Cancelled")
		}
	})
}

// A runbook calls for the person who started it: it cannot approve for them.
func TestRunbookCannotApproveItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{"Ask": head + `
  - {name: ask, action: "aws:approve", inputs: {Approvers: ["arn:aws:iam::123456789012:role/robot"]}}`})
		asked := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Ask")})
		e := runFor(w, "assumeRole: arn:aws:iam::123456789012:role/robot\n"+head+`
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: SendAutomationSignal, AutomationExecutionId: "`+asked+`", SignalType: Approve}}`, 5*time.Second)
		want(t, string(e.AutomationExecutionStatus), "Failed")
		if !strings.Contains(*e.FailureMessage, "a runbook cannot approve") {
			t.Error(*e.FailureMessage)
		}
		want(t, w.outcome(asked), "Waiting: ask:Waiting")
	})
}

// What steps read and write lies sealed: no value of a parameter, an input or an
// output is in plain in any table.
func TestNothingInPlain(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		const canary = "canary-5f3a"
		w := newWorld(t, d, map[string]string{"Book": `
schemaVersion: "0.3"
parameters: {Secret: {type: String}}
variables: {Kept: {type: String, default: ""}}
outputs: [read.V]
mainSteps:
  - {name: keep, action: "aws:updateVariable", inputs: {Name: "variable:Kept", Value: "{{ Secret }}"}}
  - name: read
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: /p}
    outputs: [{Name: V, Selector: $.Parameter.Value, Type: String}]
  - {name: look, action: "aws:assertAwsResourceProperty", inputs: {Service: ssm, Api: GetParameter, Name: /p, PropertySelector: $.Parameter.Value, DesiredValues: ["{{ Secret }}x"]}}`})
		w.far.params["/p"] = canary
		id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book"), Parameters: map[string][]string{"Secret": {canary}}})
		w.settle()
		want(t, w.outcome(id), "Failed: keep:Success read:Success look:Failed")
		e := w.get(id)
		want(t, e.Outputs["read.V"][0]+e.Variables["Kept"][0]+e.Parameters["Secret"][0], canary+canary+canary)
		err := d.View(context.Background(), func(tx *db.Tx) error {
			for table, columns := range map[string]string{
				"automation_execution": "cast(state as text) || cast(spec as text) || request || document",
				"automation_step":      "cast(spec as text) || far || name", "journal_row": "subject || related || body", "task_task": "args || key",
			} {
				rows, err := db.Rows(tx, "select "+columns+" from "+table, nil, scanText)
				if err != nil {
					return err
				}
				for _, r := range rows {
					if strings.Contains(r, canary) {
						t.Errorf("%s: %s", table, r)
					}
				}
			}
			sealed, err := db.Rows(tx, "select sealed from automation_step", nil, scanText)
			for _, s := range sealed {
				if strings.Contains(s, canary) {
					t.Error("a step's values are not sealed")
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A role that cannot be assumed fails the step that needs it, with the reason.
func TestRoleIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{})
		e := runFor(w, "assumeRole: arn:aws:iam::123456789012:role/gone\n"+head+`
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: CreateOpsItem, Title: t, Description: d, Source: s}}`, 5*time.Second)
		want(t, string(e.AutomationExecutionStatus)+" "+steps(e), "Failed a:Failed")
		if s := e.StepExecutions[0]; *s.FailureDetails.FailureType != "AccessDeniedException" || w.far.opsItems != 0 {
			t.Errorf("%+v", s.FailureDetails)
		}
	})
}
