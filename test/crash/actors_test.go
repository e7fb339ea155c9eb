package crash

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/hubtest"
)

// puts overwrites a parameter: each put is one version.
type puts struct {
	*lab
	name  string
	count int64
}

func (p *puts) act() {
	p.count++
	var out ssm.PutParameterOutput
	known := p.call("ssm", "PutParameter", &ssm.PutParameterInput{
		Name: &p.name, Type: ssm.ParameterTypeString, Value: new(fmt.Sprint(p.count)), Overwrite: new(true),
	}, &out)
	if known && *out.Version != p.count {
		p.t.Errorf("%s: put %d made version %d", p.name, p.count, *out.Version)
		p.stop.Store(true)
	}
}

func (p *puts) check() string {
	var out ssm.GetParameterOutput
	p.call("ssm", "GetParameter", &ssm.GetParameterInput{Name: &p.name}, &out)
	if out.Parameter == nil || *out.Parameter.Version != p.count || *out.Parameter.Value != fmt.Sprint(p.count) {
		p.t.Errorf("%s: %d puts, and then there is %+v", p.name, p.count, out.Parameter)
	}
	return fmt.Sprintf("%d versions", p.count)
}

func (p *puts) audit(s *hubtest.Store) {
	rows := s.Rows("select id from journal_row where kind = 'api.called' and subject = 'PutParameter' and body like '%" + p.name + `"%' and body like '%"status":200%'`)
	if int64(len(rows)) != p.count {
		p.t.Errorf("%s: %d puts and %d facts of them", p.name, p.count, len(rows))
	}
}

// lines is a file that scripts on the node append to.
type lines struct{ path string }

func (f lines) script(line string) []string {
	return []string{"echo " + line + " >>" + f.path, "echo " + line}
}

// counts is how often each line is in the file.
func (f lines) counts() map[string]int {
	text, _ := os.ReadFile(f.path)
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		out[strings.TrimSpace(line)]++
	}
	return out
}

// commands sends scripts to the node, each with a line of its own.
type commands struct {
	*lab
	file  lines
	sent  map[string]string // line -> command id
	safe  map[string]bool   // lines of commands during which the node was not killed
	count int
}

func newCommands(l *lab) *commands {
	return &commands{lab: l, file: lines{l.path("command.txt")}, sent: map[string]string{}, safe: map[string]bool{}}
}

func (c *commands) act() {
	c.count++
	line, died := fmt.Sprintf("command-%d", c.count), c.nodeDied.Load()
	var out ssm.SendCommandOutput
	id := ""
	if c.call("ssm", "SendCommand", &ssm.SendCommandInput{
		DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{c.node}, Comment: &line, Parameters: map[string][]string{"commands": c.file.script(line)},
	}, &out) {
		id = *out.Command.CommandId
	} else if id = c.find(line); id == "" {
		c.t.Errorf("%s was carried out, as the hub says, and there is no such command", line)
		return
	}
	c.sent[line] = id
	c.await(id)
	c.safe[line] = died == c.nodeDied.Load()
}

// find looks for a command by its comment.
func (c *commands) find(line string) string {
	var out ssm.ListCommandsOutput
	c.call("ssm", "ListCommands", &ssm.ListCommandsInput{MaxResults: new(int32(50))}, &out)
	for _, k := range out.Commands {
		if *k.Comment == line {
			return *k.CommandId
		}
	}
	return ""
}

func (c *commands) status(id string) *ssm.GetCommandInvocationOutput {
	out := &ssm.GetCommandInvocationOutput{}
	if !c.call("ssm", "GetCommandInvocation", &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: &c.node}, out) {
		return nil
	}
	return out
}

func (c *commands) await(id string) {
	var last ssm.CommandInvocationStatus
	err := hubtest.Await(time.Minute, "the end of command "+id, func() (bool, error) {
		out := c.status(id)
		if out == nil {
			return true, nil
		}
		last = out.Status
		return last != ssm.CommandInvocationStatusPending && last != ssm.CommandInvocationStatusInProgress && last != ssm.CommandInvocationStatusDelayed, nil
	})
	if err != nil {
		c.t.Errorf("%v; it is %s", err, last)
	}
}

func (c *commands) check() string {
	counts, clean := c.file.counts(), 0
	for line, id := range c.sent {
		out := c.status(id)
		if out == nil {
			continue
		}
		if counts[line] > 1 {
			c.t.Errorf("%s ran %d times", line, counts[line])
		}
		if out.Status == ssm.CommandInvocationStatusSuccess && (counts[line] != 1 || strings.TrimSpace(*out.StandardOutputContent) != line) {
			c.t.Errorf("%s is a success, ran %d times and printed %q", line, counts[line], *out.StandardOutputContent)
		}
		if c.safe[line] {
			clean++
			if out.Status != ssm.CommandInvocationStatusSuccess {
				c.t.Errorf("%s is %s, and the node did not die", line, out.Status)
			}
		}
		delete(counts, line)
	}
	for line := range counts {
		c.t.Errorf("%s ran and nobody sent it", line)
	}
	return fmt.Sprintf("%d commands, %d while the node lived", len(c.sent), clean)
}

func (c *commands) audit(*hubtest.Store) {}

// runbooks runs a document with a command, a pause, an approval and a call.
type runbooks struct {
	*lab
	file  lines
	ids   map[string]string // line -> execution
	safe  map[string]bool
	count int
}

const runbook = `{"schemaVersion":"0.3","parameters":{"Node":{"type":"String"},"Line":{"type":"String"},"File":{"type":"String"}},"mainSteps":[
	{"name":"run","action":"aws:runCommand","inputs":{"DocumentName":"AWS-RunShellScript","InstanceIds":["{{ Node }}"],"Parameters":{"commands":["echo {{ Line }} >>{{ File }}"]}}},
	{"name":"rest","action":"aws:sleep","inputs":{"Duration":"PT1S"}},
	{"name":"ask","action":"aws:approve","inputs":{"Approvers":["grace"],"Message":"Go on?"}},
	{"name":"mark","action":"aws:executeAwsApi","inputs":{"Service":"ssm","Api":"PutParameter","Name":"/crash/{{ Line }}","Type":"String","Value":"done","Overwrite":true}}]}`

func newRunbooks(l *lab) *runbooks {
	l.must(l.client.Call(l.t.Context(), "ssm", "CreateDocument", &ssm.CreateDocumentInput{
		Name: new("Story"), Content: new(runbook), DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatJson,
	}, nil))
	return &runbooks{lab: l, file: lines{l.path("runbook.txt")}, ids: map[string]string{}, safe: map[string]bool{}}
}

func (r *runbooks) act() {
	r.count++
	line, died := fmt.Sprintf("runbook-%d", r.count), r.nodeDied.Load()
	in := &ssm.StartAutomationExecutionInput{
		DocumentName: new("Story"), ClientToken: new(fmt.Sprintf("00000000-0000-4000-8000-%012d", r.count)),
		Parameters: map[string][]string{"Node": {r.node}, "Line": {line}, "File": {r.file.path}},
	}
	var out ssm.StartAutomationExecutionOutput
	for !r.call("ssm", "StartAutomationExecution", in, &out) { // the token makes it the same one
		if r.t.Failed() {
			return
		}
	}
	r.ids[line] = *out.AutomationExecutionId
	r.accompany(line)
	r.safe[line] = died == r.nodeDied.Load()
}

func (r *runbooks) get(id string) *ssm.AutomationExecution {
	var out ssm.GetAutomationExecutionOutput
	if !r.call("ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: &id}, &out) {
		return nil
	}
	return out.AutomationExecution
}

// accompany gives a run the approval it asks for, and decides where it must.
func (r *runbooks) accompany(line string) {
	id, approved := r.ids[line], false
	var last *ssm.AutomationExecution
	err := hubtest.Await(time.Minute, "the end of "+line, func() (bool, error) {
		if last = r.get(id); last == nil {
			return true, nil
		}
		switch last.AutomationExecutionStatus {
		case ssm.AutomationExecutionStatusPending, ssm.AutomationExecutionStatusInProgress:
			return false, nil
		case ssm.AutomationExecutionStatusWaiting:
			approved = r.decide(id, last, approved)
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		r.t.Errorf("%v; it is %s", err, story(last))
	}
}

func (r *runbooks) decide(id string, e *ssm.AutomationExecution, approved bool) bool {
	for _, s := range e.StepExecutions {
		switch {
		case s.StepStatus != ssm.AutomationExecutionStatusWaiting:
		case *s.Action == "aws:approve" && !approved:
			return r.signal(id, ssm.SignalTypeApprove, nil)
		case s.FailureDetails != nil && s.FailureDetails.FailureType != nil && *s.FailureDetails.FailureType == "Unknown":
			r.unknown.Add(1)
			r.t.Logf("%s: the outcome of %s is unknown", id, *s.StepName)
			r.signal(id, ssm.SignalTypeResume, map[string][]string{"StepName": {*s.StepName}})
		}
	}
	return approved
}

// signal sends a signal, which may have arrived although its answer did not.
func (r *runbooks) signal(id string, kind ssm.SignalType, payload map[string][]string) bool {
	r.callAs(r.grace, "ssm", "SendAutomationSignal", &ssm.SendAutomationSignalInput{AutomationExecutionId: &id, SignalType: kind, Payload: payload}, nil)
	return true
}

// story is how a run went.
func story(e *ssm.AutomationExecution) string {
	if e == nil {
		return "unknown"
	}
	out := string(e.AutomationExecutionStatus)
	for _, s := range e.StepExecutions {
		out += fmt.Sprintf(" %s:%s", *s.StepName, s.StepStatus)
	}
	return out
}

func (r *runbooks) check() string {
	counts, clean := r.file.counts(), 0
	for line, id := range r.ids {
		got := story(r.get(id))
		if counts[line] > 1 {
			r.t.Errorf("%s ran its command %d times", line, counts[line])
		}
		if !r.safe[line] {
			continue
		}
		clean++
		if want := "Success run:Success rest:Success ask:Success mark:Success"; got != want || counts[line] != 1 {
			r.t.Errorf("%s: %s, and its command ran %d times", line, got, counts[line])
		}
		var p ssm.GetParameterOutput
		if r.call("ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/crash/" + line)}, &p) && *p.Parameter.Version != 1 && r.unknown.Load() == 0 {
			r.t.Errorf("%s put its mark %d times", line, *p.Parameter.Version)
		}
	}
	return fmt.Sprintf("%d runs, %d while the node lived", len(r.ids), clean)
}

func (r *runbooks) audit(s *hubtest.Store) {
	if rows := s.Rows("select id from automation_execution"); len(rows) != len(r.ids) {
		r.t.Errorf("%d runs were started and there are %d", len(r.ids), len(rows))
	}
}
