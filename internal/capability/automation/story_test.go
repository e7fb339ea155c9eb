package automation_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

// restartRunbook is the shape of the runbook that an incident runs: diagnose on
// the node, ask a person, restart, verify.
const restartRunbook = `
schemaVersion: "0.3"
description: Diagnose and restart
assumeRole: "{{ AutomationAssumeRole }}"
parameters:
  AutomationAssumeRole: {type: String, default: "arn:aws:iam::123456789012:role/runbook"}
  InstanceId: {type: String}
  Service: {type: String, default: "{{ssm:/demo/service}}"}
outputs:
  - diagnose.Output
mainSteps:
  - name: diagnose
    action: aws:runCommand
    inputs:
      DocumentName: AWS-RunShellScript
      InstanceIds: ["{{ InstanceId }}"]
      Parameters: {commands: ["systemctl status {{ Service }}"]}
  - name: isItDown
    action: aws:branch
    inputs:
      Choices:
        - {NextStep: ask, Variable: "{{ diagnose.Output }}", Contains: "dead"}
      Default: report
  - name: ask
    action: aws:approve
    onFailure: step:report
    inputs:
      Approvers: [grace, "arn:aws:iam::123456789012:user/linus"]
      MinRequiredApprovals: 1
      Message: "Restart {{ Service }}?"
  - name: restart
    action: aws:runCommand
    maxAttempts: 2
    inputs:
      DocumentName: AWS-RunShellScript
      InstanceIds: ["{{ InstanceId }}"]
      Parameters: {commands: ["systemctl restart {{ Service }}"]}
  - name: settle
    action: aws:sleep
    inputs: {Duration: PT30S}
  - name: report
    action: aws:executeAwsApi
    inputs:
      Service: ssm
      Api: CreateOpsItem
      Title: "{{ Service }} was handled by {{ automation:EXECUTION_ID }}"
      Description: "{{ diagnose.Output }}"
      Source: runbook
    outputs:
      - {Name: Item, Selector: "$.OpsItemId", Type: String}
    isEnd: true
`

func restartInput() *ssm.StartAutomationExecutionInput {
	return &ssm.StartAutomationExecutionInput{
		DocumentName: new("Restart"), Parameters: map[string][]string{"InstanceId": {"mi-00000000000000001"}},
		ClientToken: new("11111111-1111-1111-1111-111111111111"),
	}
}

// play acts for the people and the nodes of the restart story until it ends.
// Whenever the process dies it is started again.
func (w *world) play(id string) *ssm.AutomationExecution {
	w.t.Helper()
	for range 200 {
		w.settle()
		if w.died() {
			w.restart()
		}
		e := w.get(id)
		switch e.AutomationExecutionStatus {
		case ssm.AutomationExecutionStatusSuccess, ssm.AutomationExecutionStatusFailed, ssm.AutomationExecutionStatusTimedOut, ssm.AutomationExecutionStatusCancelled:
			return e
		}
		w.act(id)
		<-time.After(time.Second)
	}
	w.t.Fatalf("the story does not end: %s", steps(w.get(id)))
	return nil
}

// act ends running commands and approves what waits.
func (w *world) act(id string) {
	w.t.Helper()
	w.far.mu.Lock()
	order := append([]string{}, w.far.order...)
	w.far.mu.Unlock()
	for i, c := range order {
		w.far.mu.Lock()
		running := w.far.commands[c].status == ssm.CommandInvocationStatusInProgress
		w.far.mu.Unlock()
		if running {
			w.end(i, ssm.CommandInvocationStatusSuccess, 0, "the service is dead")
		}
	}
	if e := w.get(id); e.CurrentAction != nil && *e.CurrentAction == "aws:approve" && e.AutomationExecutionStatus == ssm.AutomationExecutionStatusWaiting {
		if err := w.signal("grace", id, ssm.SignalTypeApprove, map[string][]string{"Comment": {"go"}}); err != nil && !w.died() {
			w.t.Fatal(err)
		}
	}
}

const restartStory = "diagnose:Success isItDown:Success ask:Success restart:Success settle:Success report:Success"

func checkRestartStory(t *testing.T, w *world, e *ssm.AutomationExecution) {
	t.Helper()
	if e.AutomationExecutionStatus != ssm.AutomationExecutionStatusSuccess || steps(e) != restartStory {
		t.Fatalf("%s: %s %v", e.AutomationExecutionStatus, steps(e), e.FailureMessage)
	}
	if len(w.far.commands) != 2 || w.far.opsItems != 1 {
		t.Errorf("%d commands and %d OpsItems, want 2 and 1", len(w.far.commands), w.far.opsItems)
	}
	got := map[string]string{
		"diagnose": e.StepExecutions[0].Inputs["Parameters"], "status": strings.Join(e.StepExecutions[0].Outputs["Status"], ""),
		"approval": strings.Join(e.StepExecutions[2].Outputs["ApprovalStatus"], ""), "item": strings.Join(e.StepExecutions[5].Outputs["Item"], ""),
		"output": strings.Join(e.Outputs["diagnose.Output"], ""), "service": strings.Join(e.Parameters["Service"], ""),
	}
	want := map[string]string{
		"diagnose": `{"commands":["systemctl status shop"]}`, "status": "Success", "approval": "Approved", "item": "oi-000000000001",
		"output": "the service is dead", "service": "shop",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range w.far.calls {
		if !strings.Contains(c, ":assumed-role/runbook/Automation-") {
			t.Errorf("a step called as %s", c)
		}
	}
}

func TestRestartStory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{"Restart": restartRunbook})
		w.far.params["/demo/service"] = "shop"
		began := time.Now()
		e := w.play(w.start(restartInput()))
		checkRestartStory(t, w, e)
		if d := e.ExecutionEndTime.Sub(began); d < 30*time.Second || d > 40*time.Second {
			t.Errorf("it took %s", d)
		}
		want := strings.Fields(`automation.started
			automation.step.started command.finished automation.step.finished
			automation.step.started automation.step.finished
			automation.step.started automation.approval.requested automation.approved automation.step.finished
			automation.step.started command.finished automation.step.finished
			automation.step.started automation.step.finished
			automation.step.started automation.step.finished automation.finished`)
		if diff := cmp.Diff(want, w.kinds()); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
	})
}

// The hub dies before each commit of the story in turn, loses what was not
// committed, and is started again: the story ends the same, nothing runs twice.
func TestDiesBeforeEachCommit(t *testing.T) {
	stride := 6
	if os.Getenv("WATCHBILL_TEST_LONG") != "" {
		stride = 1
	} else {
		t.Logf("WATCHBILL_TEST_LONG is not set: it dies before every %dth commit only", stride)
	}
	for n := 1; ; n += stride {
		over := false
		bubble(t, func(t *testing.T) {
			d := dbtest.SQLite(t, schema...)
			var hook func(*db.Tx) error
			d.BeforeCommit(func(tx *db.Tx) error {
				if hook == nil {
					return nil
				}
				return hook(tx)
			})
			w := newWorld(t, d, map[string]string{"Restart": restartRunbook})
			w.far.params["/demo/service"] = "shop"
			hook = w.count
			w.crashAt = n
			out, err := w.svc.StartAutomationExecution(as("ada"), restartInput())
			if err != nil { // it died in the start: the client tries again
				w.restart()
				if out, err = w.svc.StartAutomationExecution(as("ada"), restartInput()); err != nil {
					t.Fatal(err)
				}
			}
			e := w.play(*out.AutomationExecutionId)
			over = w.commits < n
			hook = nil
			checkRestartStory(t, w, e)
		})
		if over || t.Failed() {
			t.Logf("the story has %d commits", n-1)
			return
		}
	}
}

// Each task of the story runs in a process of its own.
func TestRestartsAtEachStep(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) {
		stop := func() {}
		d.BeforeCommit(func(*db.Tx) error { stop(); return nil })
		w := newWorld(t, d, map[string]string{"Restart": strings.Replace(restartRunbook, "PT30S", "PT0S", 1)})
		w.far.params["/demo/service"] = "shop"
		id, processes := w.start(restartInput()), 0
		for range 100 {
			before := w.facts() + w.far.seen()
			var ctx context.Context
			ctx, stop = context.WithCancel(t.Context())
			if err := errors.Join(w.tasks.RunDue(ctx), w.journal.Dispatch(t.Context())); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			w.restart()
			processes++
			if w.get(id).ExecutionEndTime != nil {
				break
			}
			if w.facts()+w.far.seen() == before {
				w.act(id)
			}
		}
		stop()
		checkRestartStory(t, w, w.get(id))
		if processes < 12 {
			t.Errorf("only %d processes", processes)
		}
	})
}
