package ssmdoc

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func runbook(lines ...string) string {
	return "schemaVersion: '0.3'\n" + strings.Join(lines, "\n") + "\n"
}

func command(lines ...string) string {
	return "schemaVersion: '2.2'\n" + strings.Join(lines, "\n") + "\n"
}

const sleepStep = "- {name: rest, action: 'aws:sleep', inputs: {Duration: PT1S}}"

type invalidCase struct {
	name, kind, content string
	line                int
	step, want          string
}

func checkInvalid(t *testing.T, tests []invalidCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			format := YAML
			if tt.kind == "ChangeCalendar" {
				format = TEXT
			}
			d, err := Parse([]byte(tt.content), format)
			if err == nil {
				err = d.Validate(tt.kind)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error with %q", err, tt.want)
			}
			if e.Line != tt.line || e.Step != tt.step || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got line %d, step %q: %q\nwant line %d, step %q: %q", e.Line, e.Step, err, tt.line, tt.step, tt.want)
			}
		})
	}
}

func TestInvalidAutomation(t *testing.T) {
	t.Parallel()
	a := "Automation"
	checkInvalid(t, []invalidCase{
		{"no schema", a, "mainSteps: []\n", 1, "", "schemaVersion is missing"},
		{"wrong schema", a, "schemaVersion: '2.2'\nmainSteps: []\n", 1, "", "schema version 2.2"},
		{"no steps", a, runbook("description: x"), 1, "", "no mainSteps"},
		{"empty steps", a, runbook("mainSteps: []"), 1, "", "no mainSteps"},
		{"unknown property", a, runbook("mainstep: []"), 2, "", `unknown property "mainstep"`},
		{"wrong case property", a, runbook("MainSteps: []"), 2, "", `did you mean "mainSteps"?`},
		{"unknown action", a, runbook("mainSteps:", sleepStep, "- name: bad", "  action: aws:runCommands"), 5, "bad", `mainSteps[1].action: unknown action "aws:runCommands"`},
		{"action in wrong case", a, runbook("mainSteps:", "- {name: b, action: 'aws:Sleep'}"), 3, "b", `did you mean "aws:sleep"?`},
		{"no action", a, runbook("mainSteps:", "- name: b"), 3, "b", "the step has no action"},
		{"no name", a, runbook("mainSteps:", "- action: aws:pause"), 3, "", "the step has no name"},
		{"bad name", a, runbook("mainSteps:", "- {name: a-b, action: 'aws:pause'}"), 3, "a-b", "letters, digits and _ only"},
		{"duplicate step", a, runbook("mainSteps:", sleepStep, sleepStep), 4, "rest", "used twice, first in line 3"},
		{"next to unknown", a, runbook("mainSteps:", "- name: a", "  action: aws:pause", "  nextStep: gone"), 5, "a", `nextStep: step "gone" does not exist`},
		{"onFailure word", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', onFailure: Stop}"), 3, "a", `"Stop" is not one of Abort, Continue`},
		{"onFailure unknown step", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', onFailure: 'step:b'}"), 3, "a", `step "b" does not exist`},
		{"onCancel to sleep", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', onCancel: 'step:rest'}", sleepStep), 3, "a", "may not follow a cancel"},
		{"step property", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', retries: 3}"), 3, "a", `unknown property "retries"`},
		{"isEnd text", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', isEnd: later}"), 3, "a", "must be true or false"},
		{"attempts", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', maxAttempts: 0}"), 3, "a", "whole number from 1"},
		{"cycle of one", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause', nextStep: a}"), 3, "a", "cycle that never ends: a -> a"},
		{"cycle of two", a, runbook("mainSteps:", sleepStep, "- name: a", "  action: aws:pause", "- name: b", "  action: aws:pause", "  nextStep: a"), 8, "b", "a -> b -> a"},
		{"cycle by branch", a, runbook("mainSteps:", "- {name: a, action: 'aws:pause'}", "- {name: b, action: 'aws:branch', inputs: {Choices: [{NextStep: a, Variable: x, StringEquals: y}], Default: a}}"), 4, "b", "a -> b -> a"},
		{"choice to unknown", a, runbook("mainSteps:", "- name: b", "  action: aws:branch", "  inputs:", "    Choices:", "    - {NextStep: gone, Variable: x, StringEquals: y}"), 7, "b", `step "gone" does not exist`},
		{"default to unknown", a, runbook("mainSteps:", "- name: b", "  action: aws:branch", "  inputs:", "    Default: gone", "    Choices:", "    - {NextStep: b, Variable: x, StringEquals: y}"), 6, "b", `step "gone" does not exist`},
		{"undefined parameter", a, runbook("mainSteps:", "- name: a", "  action: aws:sleep", "  inputs:", "    Duration: '{{ Wait }}'"), 6, "a", `inputs.Duration: reference to undefined parameter "Wait"`},
		{"undefined output", a, runbook("mainSteps:", sleepStep, "- {name: a, action: 'aws:sleep', inputs: {Duration: '{{ rest.Out }}'}}"), 4, "a", `undefined output "rest.Out": step "rest" has no output "Out"`},
		{"output of unknown step", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: '{{ no.Out }}'}}"), 3, "a", `step "no" does not exist`},
		{"undefined variable", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: '{{ variable:v }}'}}"), 3, "a", `undefined variable "v"`},
		{"unknown global", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: '{{ global:MOON }}'}}"), 3, "a", `unknown reference "global:MOON"`},
		{"ssm in step", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: '{{ssm:/x}}'}}"), 3, "a", "default of a parameter only"},
		{"ssm in role", a, runbook("assumeRole: '{{ssm:role}}'", "mainSteps:", sleepStep), 2, "", "not supported here"},
		{"role parameter", a, runbook("assumeRole: '{{ Role }}'", "mainSteps:", sleepStep), 2, "", `undefined parameter "Role"`},
		{"document output", a, runbook("mainSteps:", sleepStep, "outputs:", "- rest.Out"), 5, "", `outputs[0]: step "rest" has no output "Out"`},
		{"document output form", a, runbook("mainSteps:", sleepStep, "outputs: [rest]"), 4, "", "not of the form step.Output"},
		{"missing input", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeAwsApi', inputs: {Service: ssm}}"), 3, "a", "needs the input Api"},
		{"input in wrong case", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeAwsApi', inputs: {Service: ssm, API: X}}"), 3, "a", "needs the input Api, not API"},
		{"unknown input", a, runbook("mainSteps:", "- name: a", "  action: aws:sleep", "  inputs:", "    Duration: PT1S", "    Until: x"), 7, "a", `unknown property "Until"`},
		{"sleep both", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: PT1S, Timestamp: '2026-01-01T00:00:00Z'}}"), 3, "a", "one of Duration and Timestamp"},
		{"sleep form", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: 10m}}"), 3, "a", "ISO 8601"},
		{"sleep long", a, runbook("mainSteps:", "- {name: a, action: 'aws:sleep', inputs: {Duration: P8D}}"), 3, "a", "longer than 604799"},
		{"approvals", a, runbook("mainSteps:", "- {name: a, action: 'aws:approve', inputs: {Approvers: [me], MinRequiredApprovals: 2}}"), 3, "a", "2 approvals of 1 approvers"},
		{"no approvers", a, runbook("mainSteps:", "- {name: a, action: 'aws:approve', inputs: {Message: x}}"), 3, "a", "needs the input Approvers"},
		{"script runtime", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeScript', inputs: {Runtime: ruby, Script: x}}"), 3, "a", "runtime"},
		{"script handler", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeScript', inputs: {Runtime: python3.11, Script: x}}"), 3, "a", "Handler"},
		{"run command targets", a, runbook("mainSteps:", "- {name: a, action: 'aws:runCommand', inputs: {DocumentName: D}}"), 3, "a", "one of InstanceIds and Targets"},
		{"selector", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeAwsApi', inputs: {Service: ssm, Api: X}, outputs: [{Name: O, Selector: 'x['}]}"), 3, "a", "must start with $"},
		{"output type", a, runbook("mainSteps:", "- {name: a, action: 'aws:executeAwsApi', inputs: {Service: ssm, Api: X}, outputs: [{Name: O, Selector: $.x, Type: Text}]}"), 3, "a", "output type"},
		{"update unknown variable", a, runbook("mainSteps:", "- {name: a, action: 'aws:updateVariable', inputs: {Name: 'variable:v', Value: 1}}"), 3, "a", "undefined variable"},
		{"loop mode", a, runbook("mainSteps:", "- {name: a, action: 'aws:loop', inputs: {Steps: ["+sleepStep[2:]+"]}}"), 3, "a", "one of Iterators and LoopCondition"},
		{"loop inner", a, runbook("mainSteps:", "- name: a", "  action: aws:loop", "  inputs:", "    Iterators: [x]", "    Steps:", "    - {name: i, action: 'aws:none'}"), 8, "i", "inputs.Steps[0].action: unknown action"},
		{"jump out of loop", a, runbook("mainSteps:", "- name: a", "  action: aws:loop", "  inputs:", "    Iterators: [x]", "    Steps:", "    - {name: i, action: 'aws:pause', nextStep: rest}", sleepStep), 8, "i", "not in the same list"},
		{"tag", a, runbook("description: !Ref x", "mainSteps:", sleepStep), 2, "", "YAML tag !Ref"},
		{"variable type", a, runbook("variables:", "  v: {type: Text}", "mainSteps:", sleepStep), 3, "", "variables.v: type"},
	})
}

func TestInvalidParameters(t *testing.T) {
	t.Parallel()
	with := func(p string) string {
		return runbook("parameters:", "  P: {"+p+"}", "mainSteps:", sleepStep)
	}
	a := "Automation"
	checkInvalid(t, []invalidCase{
		{"no type", a, with("default: x"), 3, "", "needs a type"},
		{"type", a, with("type: Text"), 3, "", `parameter type "Text"`},
		{"type in wrong case", a, with("type: string"), 3, "", `did you mean "String"?`},
		{"property", a, with("type: String, defaultValue: x"), 3, "", `unknown property "defaultValue"`},
		{"pattern", a, with("type: String, allowedPattern: '(['"), 3, "", "not a regular expression"},
		{"default kind", a, with("type: Integer, default: many"), 3, "", "not a Integer"},
		{"default pattern", a, with("type: String, default: x, allowedPattern: '^y$'"), 3, "", "not matching"},
		{"default value", a, with("type: String, default: x, allowedValues: [a, b]"), 3, "", "allowedValues"},
		{"default reference", a, with("type: String, default: '{{ Q }}'"), 3, "", "may refer to a Parameter Store parameter"},
		{"default ssm type", a, with("type: Integer, default: '{{ssm:x}}'"), 3, "", "may not refer"},
	})
}

func TestInvalidCommand(t *testing.T) {
	t.Parallel()
	c := "Command"
	step := func(extra string) string {
		return command("mainSteps:", "- name: a", "  action: aws:runShellScript", "  inputs: {runCommand: [ls]"+extra)
	}
	checkInvalid(t, []invalidCase{
		{"schema", c, "schemaVersion: '0.3'\n", 1, "", "schema version 0.3"},
		{"no steps", c, command("description: x"), 1, "", "no mainSteps"},
		{"plugin", c, command("mainSteps:", sleepStep), 3, "rest", `unknown plugin "aws:sleep"`},
		{"no run", c, command("mainSteps:", "- {name: a, action: 'aws:runShellScript', inputs: {}}"), 3, "a", "needs the input runCommand"},
		{"duplicate", c, command("mainSteps:", "- {name: a, action: 'aws:softwareInventory'}", "- {name: a, action: 'aws:softwareInventory'}"), 4, "a", "used twice"},
		{"path in name", c, command("mainSteps:", "- {name: ../../x, action: 'aws:softwareInventory'}"), 3, "../../x", "letters, digits"},
		{"dots as name", c, command("mainSteps:", "- {name: .., action: 'aws:softwareInventory'}"), 3, "..", "letters, digits"},
		{"path in id", c, step(", id: a/../../../../x}"), 5, "a", "an id has"},
		{"dots as id", c, step(", id: '..'}"), 5, "a", "an id has"},
		{"reference in id", c, step(", id: 'a{{ssm:x}}'}"), 5, "a", "an id has"},
		{"list as id", c, step(", id: [a]}"), 5, "a", "an id has"},
		{"1.2 path in id", c, "schemaVersion: '1.2'\nruntimeConfig:\n  aws:runShellScript: {properties: [{id: a/../../../../x, runCommand: [ls]}]}\n", 3, "aws:runShellScript", "an id has"},
		{"on failure", c, step(", onFailure: Abort}"), 5, "a", "exit, successAndExit"},
		{"finally", c, step(", finallyStep: last}"), 5, "a", "true or false"},
		{"precondition operator", c, step("}\n  precondition: {StringLike: [platformType, Linux]}"), 6, "a", "exactly one operator"},
		{"precondition platform", c, step("}\n  precondition: {StringEquals: [platformType, BeOS]}"), 6, "a", `platform "BeOS"`},
		{"precondition same", c, step("}\n  precondition: {StringEquals: [platformType, platformType]}"), 6, "a", "with itself"},
		{"precondition constant", c, step("}\n  precondition: {StringEquals: [a, b]}"), 6, "a", "one of the two"},
		{"precondition ssm", c, step("}\n  precondition: {StringEquals: [platformType, '{{ssm:x}}']}"), 6, "a", "Parameter Store"},
		{"precondition schema", c, strings.Replace(step("}\n  precondition: {StringEquals: [platformType, Linux]}"), "2.2", "2.0", 1), 6, "a", "no preconditions"},
		{"1.2 empty", c, "schemaVersion: '1.2'\nruntimeConfig: {}\n", 1, "", "no runtimeConfig"},
		{"1.2 plugin", c, "schemaVersion: '1.2'\nruntimeConfig:\n  aws:none: {properties: []}\n", 1, "", "no runtimeConfig"},
		{"1.2 unknown plugin", c, "schemaVersion: '1.2'\nruntimeConfig:\n  aws:none: {properties: [{}]}\n", 3, "aws:none", "unknown plugin"},
	})
}

func TestInvalidSessionAndTemplate(t *testing.T) {
	t.Parallel()
	s := "Session"
	session := func(lines ...string) string { return "schemaVersion: '1.0'\n" + strings.Join(lines, "\n") + "\n" }
	book := "executableRunBooks: [{name: B, version: '1'}]"
	checkInvalid(t, []invalidCase{
		{"no type", s, session("inputs: {}"), 1, "", "sessionType"},
		{"type", s, session("sessionType: Shell"), 2, "", `"Shell" is not one of`},
		{"input", s, session("sessionType: Standard_Stream", "inputs:", "  bucket: x"), 4, "", `unknown property "bucket"`},
		{"idle", s, session("sessionType: Standard_Stream", "inputs: {idleSessionTimeout: '90'}"), 3, "", "from 1 to 60"},
		{"duration", s, session("sessionType: Standard_Stream", "inputs: {maxSessionDuration: x}"), 3, "", "from 1 to 1440"},
		{"flag", s, session("sessionType: Standard_Stream", "inputs: {runAsEnabled: sure}"), 3, "", "true or false"},
		{"port", s, session("sessionType: Port"), 1, "", "needs portNumber"},
		{"port number", s, session("sessionType: Port", "properties: {portNumber: '99999'}"), 3, "", "not a port"},
		{"commands", s, session("sessionType: InteractiveCommands", "properties: {linux: {command: ls}}"), 3, "", "unknown property"},
		{"parameter", s, session("sessionType: InteractiveCommands", "properties: {linux: {commands: '{{ c }}'}}"), 3, "", "undefined parameter"},
		{"template books", "Automation.ChangeTemplate", runbook("mainSteps:", sleepStep), 1, "", "executableRunBooks"},
		{"template action", "Automation.ChangeTemplate", runbook(book, "mainSteps:", sleepStep), 4, "rest", "aws:approve steps only"},
		{"template level", "Automation.ChangeTemplate", runbook(book, "mainSteps:", "- {name: a, action: 'aws:approve', inputs: {Approvers: [x]}}"), 4, "a", "needs EnhancedApprovals"},
		{"template approver", "Automation.ChangeTemplate", runbook(book, "mainSteps:", "- {name: a, action: 'aws:approve', inputs: {EnhancedApprovals: {Approvers: [{approver: x, type: User}]}}}"), 4, "a", `type "User"`},
		{"package", "Package", "schemaVersion: '2.0'\nversion: '1'\n", 1, "", "needs packages"},
	})
}

func TestInvalidCalendar(t *testing.T) {
	t.Parallel()
	c := "ChangeCalendar"
	cal := func(lines ...string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-CALENDAR-TYPE:DEFAULT_OPEN\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	}
	checkInvalid(t, []invalidCase{
		{"no calendar", c, "hello", 1, "", "NAME:VALUE"},
		{"outside", c, "VERSION:2.0\n", 1, "", "starts with BEGIN:VCALENDAR"},
		{"not closed", c, cal("BEGIN:VEVENT"), 4, "", "BEGIN:VEVENT is not closed"},
		{"crossed", c, cal("BEGIN:VEVENT", "DTSTART:20260101T000000Z", "END:VCALENDAR"), 6, "", "does not close BEGIN:VEVENT of line 4"},
		{"no start", c, cal("BEGIN:VEVENT", "SUMMARY:x", "END:VEVENT", "END:VCALENDAR"), 4, "", "no DTSTART"},
		{"type", c, "BEGIN:VCALENDAR\nVERSION:2.0\nX-CALENDAR-TYPE:OPEN\nEND:VCALENDAR\n", 3, "", "DEFAULT_OPEN or DEFAULT_CLOSED"},
		{"type missing", c, "BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n", 1, "", "X-CALENDAR-TYPE is missing"},
		{"version", c, "BEGIN:VCALENDAR\nVERSION:1.0\n", 2, "", "is not 2.0"},
		{"two", c, cal("END:VCALENDAR", "BEGIN:VCALENDAR"), 5, "", "holds one calendar"},
	})
}

func TestValid(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, kind, format, content string }{
		{"command", "Command", JSON, both},
		{"calendar", "ChangeCalendar", TEXT, "BEGIN:VCALENDAR\nVERSION:2.0\nX-CALENDAR-TYPE:DEFAULT_CLOSED\nBEGIN:VEVENT\nDTSTART;TZID=UTC:20260101T000000\nDESCRIPTION:long\n  and longer\nEND:VEVENT\nEND:VCALENDAR\n"},
		{"configuration", "ApplicationConfiguration", JSON, `{"anything": [1]}`},
		{"template of another service", "CloudFormation", YAML, "Resources:\n  a: !Ref b\n"},
		{"port", "Session", YAML, "schemaVersion: '1.0'\nsessionType: Port\nparameters:\n  p: {type: String, default: '80'}\nproperties: {portNumber: '{{ p }}', type: LocalPortForwarding}\n"},
		{"preferences", "Session", YAML, "schemaVersion: '1.0'\nsessionType: Standard_Stream\ninputs: {idleSessionTimeout: '20', maxSessionDuration: '', runAsEnabled: false, shellProfile: {linux: ls}}\n"},
		{"template", "Automation.ChangeTemplate", YAML, runbook("templateInformation: x", "emergencyChange: false", "executableRunBooks: [{name: B, version: '1'}]", "mainSteps:",
			"- {name: a, action: 'aws:approve', timeoutSeconds: 3600, inputs: {EnhancedApprovals: {Approvers: [{approver: x, type: IamUser, minRequiredApprovals: 1}]}}}")},
		{"runbook", "Automation", YAML, fullRunbook},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := Parse([]byte(tt.content), tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Validate(tt.kind); err != nil {
				t.Error(err)
			}
		})
	}
}

const fullRunbook = `
schemaVersion: "0.3"
description: Diagnose a service, ask, restart it.
assumeRole: "{{ AutomationAssumeRole }}"
parameters:
  AutomationAssumeRole: {type: "AWS::IAM::Role::Arn", default: "", allowedPattern: '^arn:.*$'}
  Nodes: {type: StringList}
  Approver: {type: String, default: "{{ssm:/ops/approver}}"}
  Tries: {type: Integer, default: 3}
  Later: {type: Boolean, default: false}
  Token: {type: String, allowedPattern: '^(?!root).*$'}
variables:
  count: {type: Integer, default: 0}
mainSteps:
- name: look
  action: aws:runCommand
  timeoutSeconds: 60
  maxAttempts: "{{ Tries }}"
  inputs: {DocumentName: AWS-RunShellScript, InstanceIds: "{{ Nodes }}", Parameters: {commands: ["ls {{ global:DATE_TIME }} {{ automation:EXECUTION_ID }}"]}}
  onFailure: step:ask
- name: read
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: GetCommandInvocation, CommandId: "{{ look.CommandId }}", InstanceId: x}
  outputs: [{Name: Out, Selector: $.StandardOutputContent, Type: String}]
- name: shape
  action: aws:executeScript
  inputs: {Runtime: python3.11, Handler: h, InputPayload: {a: "{{ read.Out }}"}, Script: "def h(events, context): return '{{ jinja }}'"}
- name: each
  action: aws:loop
  inputs:
    Iterators: "{{ Nodes }}"
    IteratorDataType: String
    Steps:
    - {name: note, action: "aws:updateVariable", inputs: {Name: "variable:count", Value: 1}}
    - {name: wait, action: "aws:sleep", inputs: {Duration: "PT5S"}, onFailure: Continue}
    - {name: use, action: "aws:executeAwsApi", inputs: {Service: ssm, Api: X, A: "{{ each.CurrentIteratorValue }}", B: "{{ loop.CurrentIteratorValue }}"}}
- name: pick
  action: aws:branch
  inputs:
    Choices:
    - {NextStep: look, Variable: "{{ shape.Payload }}", StringEquals: again}
    - And:
      - {Variable: "{{ variable:count }}", NumericGreater: 2}
      - Not: {Variable: "{{ Later }}", BooleanEquals: true}
      NextStep: ask
    Default: done
- name: ask
  action: aws:approve
  inputs: {Approvers: ["{{ Approver }}"], Message: "Restart?", MinRequiredApprovals: 1}
  onCancel: step:done
- name: done
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: X}
  isEnd: true
outputs: [read.Out, look.Output, shape.*]
`

// A retry loop that a failure leaves is no endless cycle.
func TestFlowLeavesByFailure(t *testing.T) {
	t.Parallel()
	text := runbook("mainSteps:", "- {name: a, action: 'aws:pause', nextStep: a, onFailure: 'step:b'}", "- {name: b, action: 'aws:pause', isEnd: true}")
	d, err := Parse([]byte(text), YAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate("Automation"); err != nil {
		t.Error(err)
	}
}

func TestSchemaErrorIsTold(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(`{"schemaVersion": "9.9"}`), JSON)
	if err != nil {
		t.Fatal(err)
	}
	var schema *SchemaError
	if err := d.Validate("Command"); !errors.As(err, &schema) {
		t.Errorf("got %v, want a *SchemaError", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	if !slices.Contains(Actions(), "aws:approve") || !slices.Contains(Plugins(), "aws:runShellScript") {
		t.Errorf("actions %v, plugins %v", Actions(), Plugins())
	}
	if !NeedsLookaround(`^(?!x)`) || NeedsLookaround(`^x`) || NeedsLookaround(`([`) {
		t.Error("look-ahead is not told apart")
	}
}
