package automation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const head = "schemaVersion: \"0.3\"\nmainSteps:\n"

// runFor plays one runbook for a while and answers how it stands.
func runFor(w *world, yaml string, d time.Duration) *ssm.AutomationExecution {
	w.t.Helper()
	w.book("Book", yaml)
	id := w.start(&ssm.StartAutomationExecutionInput{DocumentName: new("Book")})
	for until := time.Now().Add(d); ; <-time.After(time.Second) {
		w.settle()
		if e := w.get(id); e.ExecutionEndTime != nil || !time.Now().Before(until) {
			return e
		}
	}
}

// story is a runbook and how it ends.
type story struct {
	name, book    string
	setup         func(w *world)
	wait          time.Duration
	status, steps string
	message       string            // in the execution's FailureMessage
	outputs       map[string]string // "step.Output" to text
}

// runbooks are played in TestActions.
var runbooks = []story{
	{
		name: "api with nested and camelCase members", status: "Success", steps: "a:Success",
		book: head + `
  - name: a
    action: aws:executeAwsApi
    inputs: {Service: ssm-incidents, Api: ListIncidentRecords, MaxResults: 5}
    outputs:
      - {Name: Title, Selector: "$.IncidentRecordSummaries[0].Title", Type: String}
      - {Name: Same, Selector: "$.incidentRecordSummaries[0].title", Type: String}
      - {Name: Impact, Selector: "$.IncidentRecordSummaries[0].Impact", Type: Integer}
      - {Name: All, Selector: "$.incidentRecordSummaries[*].arn", Type: StringList}`,
		outputs: map[string]string{"a.Title": "high", "a.Same": "high", "a.Impact": "2", "a.All": "arn:aws:ssm-incidents::123456789012:incident-record/p/1"},
	},
	{
		name: "api with a time and a token of its own", status: "Success", steps: "a:Success b:Success",
		book: head + `
  - name: a
    action: aws:executeAwsApi
    inputs:
      Service: ssm-incidents
      Api: CreateTimelineEvent
      IncidentRecordArn: arn:aws:ssm-incidents::123456789012:incident-record/p/1
      EventTime: "{{ global:DATE_TIME }}"
      EventType: Custom Event
      EventData: '"restarted"'
  - name: b
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: /event}
    outputs: [{Name: V, Selector: $.Parameter.Value, Type: String}]`,
		outputs: map[string]string{"b.V": "2000-01-01T00:00:00Z Custom Event"},
	},
	{
		name: "api that refuses", status: "Failed", steps: "a:Failed b:Pending", message: "ParameterNotFound",
		book: head + `
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: GetParameter, Name: /none}}
  - {name: b, action: "aws:pause"}`,
	},
	{
		name: "api input that breaks the model", status: "Failed", steps: "a:Failed", message: "ValidationException",
		book: head + `
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: GetParameter}}`,
	},
	{
		name: "service of AWS that is not ours", status: "Failed", steps: "a:Failed", message: `service "ec2" cannot be called`,
		book: head + `
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ec2, Api: DescribeInstances}}`,
	},
	{
		name: "output of the wrong type", status: "Failed", steps: "a:Failed", message: "output V",
		setup: func(w *world) { w.far.params["/p"] = "x" },
		book: head + `
  - name: a
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: /p}
    outputs: [{Name: V, Selector: $.Parameter.Value, Type: Integer}]`,
	},
	{
		name: "unknown action", status: "Failed", steps: "a:Failed", message: "aws:invokeWebhook is not supported",
		book: head + `
  - {name: a, action: "aws:invokeWebhook", maxAttempts: 3, inputs: {IntegrationName: x}}`,
	},
	{
		name: "output that no step gave", status: "Failed", steps: "a:Failed b:Pending", message: "b.CommandId",
		book: head + `
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: GetParameter, Name: "{{ b.CommandId }}"}}
  - {name: b, action: "aws:runCommand", inputs: {DocumentName: x, InstanceIds: [mi-00000000000000001]}}`,
	},
	{
		name: "assert", status: "Success", steps: "a:Success",
		setup: func(w *world) { w.far.params["/p"] = "green" },
		book: head + `
  - {name: a, action: "aws:assertAwsResourceProperty", inputs: {Service: ssm, Api: GetParameter, Name: /p, PropertySelector: $.Parameter.Value, DesiredValues: [red, green]}}`,
	},
	{
		name: "assert fails", status: "Failed", steps: "a:Failed", message: `not one of the desired values`,
		setup: func(w *world) { w.far.params["/p"] = "blue" },
		book: head + `
  - {name: a, action: "aws:assertAwsResourceProperty", inputs: {Service: ssm, Api: GetParameter, Name: /p, PropertySelector: $.Parameter.Value, DesiredValues: [red, green]}}`,
	},
	{
		name: "wait for a property", status: "Success", steps: "a:Success", wait: time.Minute,
		setup: func(w *world) {
			w.far.params["/p"] = "blue"
			time.AfterFunc(10*time.Second, func() { w.far.set("/p", "green") })
		},
		book: head + `
  - {name: a, action: "aws:waitForAwsResourceProperty", inputs: {Service: ssm, Api: GetParameter, Name: /p, PropertySelector: $.Parameter.Value, DesiredValues: [green]}}`,
	},
	{
		name: "wait for a property in vain", status: "TimedOut", steps: "a:TimedOut b:Pending", wait: 2 * time.Minute,
		setup: func(w *world) { w.far.params["/p"] = "blue" },
		book: head + `
  - {name: a, action: "aws:waitForAwsResourceProperty", timeoutSeconds: 60, inputs: {Service: ssm, Api: GetParameter, Name: /p, PropertySelector: $.Parameter.Value, DesiredValues: [green]}}
  - {name: b, action: "aws:pause"}`,
	},
	{
		name: "sleep until a time that is past", status: "Success", steps: "a:Success",
		book: head + `
  - {name: a, action: "aws:sleep", inputs: {Timestamp: "1999-01-01T00:00:00Z"}}`,
	},
	{
		name: "sleep too long", status: "Failed", steps: "a:Failed", message: "longer than",
		book: "parameters: {For: {type: String, default: P8D}}\n" + head + `
  - {name: a, action: "aws:sleep", inputs: {Duration: "{{ For }}"}}`,
	},
	{
		name: "variables and loops", status: "Success", steps: "a:Success b:Success add:Success add:Success add:Success", wait: 5 * time.Second,
		book: `
schemaVersion: "0.3"
variables:
  Last: {type: String, default: none}
mainSteps:
  - name: a
    action: aws:loop
    inputs:
      Iterators: [x, y, z]
      IteratorDataType: String
      Steps:
        - {name: add, action: "aws:updateVariable", inputs: {Name: "variable:Last", Value: "{{ variable:Last }}{{ loop.CurrentIteratorValue }}"}}
  - {name: b, action: "aws:assertAwsResourceProperty", inputs: {Service: ssm, Api: GetParameter, Name: "/{{ variable:Last }}", PropertySelector: $.Parameter.Value, DesiredValues: ["1"]}}`,
		setup: func(w *world) { w.far.params["/nonexyz"] = "1" },
	},
	{
		name: "loop while a condition holds", status: "Success", steps: "a:Success b:Success b:Success b:Success",
		book: `
schemaVersion: "0.3"
variables:
  N: {type: String, default: ""}
mainSteps:
  - name: a
    action: aws:loop
    inputs:
      MaxIterations: 10
      LoopCondition: {Not: {Variable: "{{ variable:N }}", StringEquals: "***"}}
      Steps:
        - {name: b, action: "aws:updateVariable", inputs: {Name: "variable:N", Value: "{{ variable:N }}*"}}`,
	},
	{
		name: "another runbook", status: "Success", steps: "a:Success", wait: 10 * time.Second,
		setup: func(w *world) {
			w.book("Child", `
schemaVersion: "0.3"
parameters: {Name: {type: String}}
outputs: [look.V]
mainSteps:
  - name: look
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: "{{ Name }}"}
    outputs: [{Name: V, Selector: $.Parameter.Value, Type: String}]`)
			w.far.params["/p"] = "green"
		},
		book: head + `
  - {name: a, action: "aws:executeAutomation", inputs: {DocumentName: Child, RuntimeParameters: {Name: [/p]}}}`,
		outputs: map[string]string{"a.Status": "Success", "a.Output": "green"},
	},
	{
		name: "another runbook that fails", status: "Failed", steps: "a:Failed", message: "ParameterNotFound", wait: 10 * time.Second,
		setup: func(w *world) {
			w.book("Child", head+`
  - {name: look, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: GetParameter, Name: /none}}`)
		},
		book: head + `
  - {name: a, action: "aws:executeAutomation", inputs: {DocumentName: Child}}`,
	},
	{
		name: "command that fails is tried again", status: "Failed", steps: "a:Failed", message: "response code 3", wait: 20 * time.Second,
		setup: func(w *world) { w.far.outcome = failing },
		book: head + `
  - {name: a, action: "aws:runCommand", maxAttempts: 2, inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [mi-00000000000000001]}}`,
		outputs: map[string]string{"a.ResponseCode": "3", "a.Status": "Failed", "a.Output": "no", "a.CommandId": "00000000-0000-0000-0000-000000000002"},
	},
	{
		name: "command that takes too long is cancelled", status: "TimedOut", steps: "a:TimedOut", wait: 20 * time.Second,
		book: head + `
  - {name: a, action: "aws:runCommand", timeoutSeconds: 5, inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [mi-00000000000000001]}}`,
	},
	{
		name: "failure that goes on", status: "Failed", steps: "a:Failed b:Pending c:Success", message: "Step a",
		book: "parameters: {For: {type: String, default: nonsense}}\n" + head + `
  - {name: a, action: "aws:sleep", onFailure: "step:c", inputs: {Duration: "{{ For }}"}}
  - {name: b, action: "aws:pause"}
  - {name: c, action: "aws:sleep", inputs: {Duration: PT0S}}`,
	},
}

func TestActions(t *testing.T) {
	for _, tc := range runbooks {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{})
				if tc.setup != nil {
					tc.setup(w)
				}
				tc.check(t, w, runFor(w, tc.book, max(tc.wait, time.Second)))
			})
		})
	}
}

func (tc *story) check(t *testing.T, w *world, e *ssm.AutomationExecution) {
	t.Helper()
	message := ""
	if e.FailureMessage != nil {
		message = *e.FailureMessage
	}
	if string(e.AutomationExecutionStatus) != tc.status || steps(e) != tc.steps || !strings.Contains(message, tc.message) {
		t.Errorf("%s: %s: %s", e.AutomationExecutionStatus, steps(e), message)
	}
	got := map[string]string{}
	for _, s := range e.StepExecutions {
		for k, v := range s.Outputs {
			if _, ok := tc.outputs[*s.StepName+"."+k]; ok {
				got[*s.StepName+"."+k] = strings.Join(v, ",")
			}
		}
	}
	if tc.outputs != nil {
		if diff := cmp.Diff(tc.outputs, got); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
	}
	for id, c := range w.far.commands {
		if tc.status == "TimedOut" && c.status != ssm.CommandInvocationStatusCancelled {
			t.Errorf("command %s was left %s", id, c.status)
		}
	}
}

// A front door that is out of order for a while delays a step; one that stays so
// leaves it unknown.
func TestPassingFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, dbtest.SQLite(t, schema...), map[string]string{})
		w.far.fail["CreateOpsItem"] = fault.Unavailable("later")
		time.AfterFunc(300*time.Millisecond, func() { w.far.heal("CreateOpsItem") })
		e := runFor(w, head+`
  - {name: a, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: CreateOpsItem, Title: t, Description: d, Source: s}}`, 10*time.Second)
		if e.AutomationExecutionStatus != ssm.AutomationExecutionStatusSuccess || w.far.opsItems != 1 {
			t.Errorf("%s: %s, %d OpsItems", e.AutomationExecutionStatus, steps(e), w.far.opsItems)
		}
	})
}

var errNoCode = errors.New("no code")

func code(err error) string {
	if err == nil {
		return ""
	}
	if c, ok := errors.AsType[fault.Coded](err); ok {
		return c.ErrorCode()
	}
	return errNoCode.Error() + ": " + err.Error()
}
