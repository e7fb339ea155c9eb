package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/node/nodetest"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

var (
	scope      = db.Scope{Account: "123456789012", Region: "us-east-1"}
	migrations = []db.Migrations{task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, node.Migrations, command.Migrations}
)

// The documents of these tests.
var documents = map[string]command.Document{
	"Run": {Type: "Command", PlatformTypes: []string{"Linux"}, Content: []byte(`{"schemaVersion":"2.2",
		"parameters":{"commands":{"type":"StringList"},"user":{"type":"String","default":"root"},"executionTimeout":{"type":"String","default":"60"}},
		"mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":"{{ commands }}","timeoutSeconds":"{{ executionTimeout }}"}}]}`)},
	"Two": {Type: "Command", Content: []byte(`{"schemaVersion":"2.2","mainSteps":[
		{"action":"aws:runShellScript","name":"one","inputs":{"runCommand":["true"]}},{"action":"aws:runShellScript","name":"two","inputs":{"runCommand":["true"]}}]}`)},
	"Safe": {Type: "Command", Content: []byte(`{"schemaVersion":"2.2","parameters":{
		"word":{"type":"String","allowedPattern":"[a-z0-9]+","default":"a"},"anchored":{"type":"String","allowedPattern":"^[a-z]+$","default":"a"},
		"loose":{"type":"String","allowedPattern":"[^;|&$]*","default":""},"lines":{"type":"String","allowedPattern":"[a-z\\n]*","default":""},
		"choice":{"type":"String","allowedValues":["on","off"],"default":"on"},"list":{"type":"StringList","maxItems":2,"default":[]},
		"short":{"type":"String","maxChars":3,"minChars":1,"default":"x"}},
		"mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":["echo {{ word }}"]}}]}`)},
	"Old": {Type: "Command", Content: []byte(`{"schemaVersion":"1.2","parameters":{"commands":{"type":"StringList"}},
		"runtimeConfig":{"aws:runShellScript":{"properties":[{"id":"0.aws:runShellScript","runCommand":"{{ commands }}","timeoutSeconds":"60"}]}}}`)},
	"Auto": {Type: "Automation", Content: []byte(`{}`)},
}

func findDocument(_ *db.Tx, name, _ string) (*command.Document, error) {
	d, ok := documents[name]
	if !ok {
		return nil, &ssm.InvalidDocument{Message: "no such document"}
	}
	d.Name, d.Version, d.Format, d.Hash = name, "1", "JSON", ssmdoc.Hash(d.Content)
	return &d, nil
}

type fixture struct {
	*command.Service
	t   *testing.T
	ctx context.Context
}

func newFixture(t *testing.T, d *db.DB) fixture {
	j, e, m := journaltest.New(t, d), tasktest.New(t, d), &mailbox.Mailbox{DB: d}
	nodes := node.New(node.Service{DB: d, Tasks: e, Journal: j, Mailbox: m})
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	s := command.New(command.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: nodes, Documents: findDocument, Sealer: sealer, Blobs: blobs})
	return fixture{s, t, db.WithScope(t.Context(), scope)}
}

func each(t *testing.T, f func(t *testing.T, x fixture)) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) { f(t, newFixture(t, d)) })
}

func inBubble(t *testing.T, f func(t *testing.T, x fixture)) {
	synctest.Test(t, func(t *testing.T) { f(t, newFixture(t, dbtest.SQLite(t, migrations...))) })
}

func (x fixture) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x fixture) wantCode(err error, code string) {
	x.t.Helper()
	c, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	if !ok || c.ErrorCode() != code {
		x.t.Errorf("error %v, want %s", err, code)
	}
}

// nodes registers Linux nodes with our agent.
func (x fixture) nodes(n int) (ids []string) {
	x.t.Helper()
	a, err := x.Nodes.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole"), RegistrationLimit: new(int32(n))})
	x.must(err)
	for i := range n {
		id, err := x.Nodes.Register(x.ctx, node.Registration{
			ActivationID: *a.ActivationId, ActivationCode: *a.ActivationCode, Fingerprint: fmt.Sprint(i), PublicKey: nodetest.PublicKey(),
		})
		x.must(err)
		x.must(x.Nodes.Report(x.ctx, id, node.Report{PlatformType: "Linux", AgentName: mgs.OwnAgent}))
		ids = append(ids, id)
	}
	return ids
}

func (x fixture) send(in *ssm.SendCommandInput) *ssm.Command {
	x.t.Helper()
	if in.DocumentName == nil {
		in.DocumentName = new("Run")
		in.Parameters = map[string][]string{"commands": {"id"}}
	}
	out, err := x.SendCommand(x.ctx, in)
	x.must(err)
	return out.Command
}

func (x fixture) take(nodeID string) (jobs []mgs.AgentJob) {
	x.t.Helper()
	list, _, err := x.Mailbox.Take(x.ctx, nodeID, 0)
	x.must(err)
	for _, m := range list {
		if len(m.Payload) == 0 {
			m.Payload, err = x.Job(x.ctx, nodeID, m.ID)
			x.must(err)
		}
		var job mgs.AgentJob
		x.must(mgs.Decode(m.Payload, &job))
		jobs = append(jobs, job)
	}
	return jobs
}

func (x fixture) ack(nodeID, commandID, code string) {
	x.t.Helper()
	x.must(x.Acked(x.ctx, nodeID, mgs.AgentJobAck{JobID: mgs.JobID(commandID, nodeID), StatusCode: code}))
}

func (x fixture) reply(nodeID, commandID, status string, steps map[string]mgs.StepStatus) {
	x.t.Helper()
	content, err := json.Marshal(mgs.ReplyContent{DocumentStatus: status, RuntimeStatus: steps})
	x.must(err)
	x.must(x.Replied(x.ctx, nodeID, mgs.AgentJobReply{SchemaVersion: 1, JobID: mgs.JobID(commandID, nodeID), Content: string(content)}))
}

func (x fixture) get(commandID, nodeID string, step *string) *ssm.GetCommandInvocationOutput {
	x.t.Helper()
	out, err := x.GetCommandInvocation(x.ctx, &ssm.GetCommandInvocationInput{CommandId: &commandID, InstanceId: &nodeID, PluginName: step})
	x.must(err)
	return out
}

func (x fixture) want(commandID, nodeID, details string) {
	x.t.Helper()
	if got := *x.get(commandID, nodeID, nil).StatusDetails; got != details {
		x.t.Errorf("invocation on %s is %s, want %s", nodeID, got, details)
	}
}

func (x fixture) command(id string) ssm.Command {
	x.t.Helper()
	out, err := x.ListCommands(x.ctx, &ssm.ListCommandsInput{CommandId: &id})
	x.must(err)
	return out.Commands[0]
}

func (x fixture) wantCommand(id, details string) {
	x.t.Helper()
	if got := *x.command(id).StatusDetails; got != details {
		x.t.Errorf("command is %s, want %s", got, details)
	}
}

func (x fixture) facts(subject string) (kinds []string) {
	x.t.Helper()
	x.must(x.Journal.Dispatch(x.ctx))
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		rows, err := x.Journal.About(tx, []string{subject}, 0, 100)
		for _, r := range rows {
			if r.Subject == subject {
				kinds = append(kinds, r.Kind)
			}
		}
		return err
	}))
	return kinds
}
