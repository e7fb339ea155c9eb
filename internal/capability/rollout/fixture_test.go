package rollout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/node/nodetest"
	"github.com/watchbill/watchbill/internal/capability/rollout"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
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
	migrations = []db.Migrations{task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, node.Migrations, command.Migrations, rollout.Migrations}
)

// Run is the document of these tests.
var runContent = []byte(`{"schemaVersion":"2.2","parameters":{"commands":{"type":"StringList"}},
	"mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":"{{ commands }}"}}]}`)

func findDocument(_ *db.Tx, name, _ string) (*command.Document, error) {
	if name != "Run" {
		return nil, &ssm.InvalidDocument{Message: "no such document"}
	}
	return &command.Document{Name: name, Version: "3", Type: "Command", Format: "JSON", Hash: ssmdoc.Hash(runContent), Content: runContent}, nil
}

type fixture struct {
	*rollout.Service
	nodes   *node.Service
	mailbox *mailbox.Mailbox
	t       *testing.T
	ctx     context.Context
}

func newFixture(t *testing.T, d *db.DB) fixture {
	j, e, m := journaltest.New(t, d), tasktest.New(t, d), &mailbox.Mailbox{DB: d}
	nodes := node.New(node.Service{DB: d, Tasks: e, Journal: j, Mailbox: m})
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	commands := command.New(command.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: nodes, Documents: findDocument, Sealer: sealer})
	s := rollout.New(rollout.Service{DB: d, Tasks: e, Journal: j, Commands: commands, Sealer: sealer})
	return fixture{s, nodes, m, t, db.WithScope(t.Context(), scope)}
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

// register makes n nodes; the last one is connected.
func (x fixture) register(n int) (ids []string) {
	x.t.Helper()
	a, err := x.nodes.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole"), RegistrationLimit: new(int32(n))})
	x.must(err)
	for i := range n {
		id, err := x.nodes.Register(x.ctx, node.Registration{ActivationID: *a.ActivationId, ActivationCode: *a.ActivationCode, Fingerprint: fmt.Sprint(i), PublicKey: nodetest.PublicKey()})
		x.must(err)
		x.must(x.nodes.Report(x.ctx, id, node.Report{PlatformType: "Linux", AgentName: mgs.OwnAgent}))
		ids = append(ids, id)
	}
	x.must(x.nodes.Connected(x.ctx, ids[n-1], "connection"))
	slices.Sort(ids)
	return ids
}

// settle lets everything that is due happen.
func (x fixture) settle() {
	x.t.Helper()
	for range 4 {
		x.must(x.Tasks.RunDue(x.ctx))
		x.must(x.Journal.Dispatch(x.ctx))
	}
}

// serve lets the nodes take their jobs and answer with a status each, and
// answers how many took one and what the jobs were to run.
func (x fixture) serve(ids []string, status func(id string) string) (n int, scripts []string) {
	x.t.Helper()
	x.settle()
	jobs := map[string][]mailbox.Message{}
	for _, id := range ids {
		list, _, err := x.mailbox.Take(x.ctx, id, 0)
		x.must(err)
		jobs[id] = list
	}
	for _, id := range ids {
		for _, m := range jobs[id] {
			scripts = append(scripts, x.answer(id, m.ID, status(id)))
			n++
		}
	}
	x.settle()
	return n, scripts
}

// answer reports the end of a job and tells what it was to run.
func (x fixture) answer(id, jobID, status string) string {
	x.t.Helper()
	payload, err := x.Commands.Job(x.ctx, id, jobID)
	x.must(err)
	var job mgs.AgentJob
	x.must(mgs.Decode(payload, &job))
	var about mgs.SendCommand
	x.must(mgs.Decode([]byte(job.Content), &about))
	content, err := json.Marshal(mgs.ReplyContent{DocumentStatus: status, RuntimeStatus: map[string]mgs.StepStatus{"run": {Status: status}}})
	x.must(err)
	x.must(x.Commands.Replied(x.ctx, id, mgs.AgentJobReply{JobID: jobID, Content: string(content)}))
	return string(about.Parameters["commands"])
}

// drain serves until no node has a job any more.
func (x fixture) drain(ids []string, status func(id string) string) (n int, scripts []string) {
	x.t.Helper()
	for {
		k, more := x.serve(ids, status)
		if k == 0 {
			return n, scripts
		}
		n, scripts = n+k, append(scripts, more...)
	}
}

func well(string) string  { return "Success" }
func badly(string) string { return "Failed" }
func (x fixture) get(id string) *api.Rollout {
	x.t.Helper()
	out, err := x.GetRollout(x.ctx, &api.GetRolloutInput{RolloutId: &id})
	x.must(err)
	return out.Rollout
}

func (x fixture) want(id string, status api.RolloutStatus) *api.Rollout {
	x.t.Helper()
	got := x.get(id)
	if got.Status != status {
		x.t.Fatalf("the rollout is %s (%s), want %s", got.Status, *got.StatusDetails, status)
	}
	return got
}

func run(script string) *api.RolloutCommand {
	return &api.RolloutCommand{DocumentName: new("Run"), Parameters: map[string][]string{"commands": {script}}}
}

var all = []api.Target{{Key: new("InstanceIds"), Values: []string{"*"}}}

func (x fixture) start(in *api.StartRolloutInput) string {
	x.t.Helper()
	if in.Command == nil {
		in.Command = run("change")
	}
	if in.InstanceIds == nil {
		in.Targets = all
	}
	out, err := x.StartRollout(x.ctx, in)
	x.must(err)
	return *out.RolloutId
}
