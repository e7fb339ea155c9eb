package automation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

var (
	schema = []db.Migrations{task.Migrations, journal.Migrations, tagging.Migrations, document.Migrations, automation.Migrations}
	scope  = db.Scope{Account: "123456789012", Region: "us-east-1"}

	errCrash = errors.New("the process died")
)

// bubble runs f in a bubble of its own time. The clock of a regular expression
// package would outlive it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer regexp2.StopTimeoutClock()
		f(t)
	})
}

// world is a hub with the automation capability on a database, and the far side
// that its runbooks act on, which outlives the hub.
type world struct {
	t       *testing.T
	d       *db.DB
	sealer  *seal.Sealer
	docs    *document.Service
	far     *farSide
	tasks   *task.Engine
	journal *journal.Journal
	svc     *automation.Service
	router  *wire.Router

	mu      sync.Mutex
	commits int // so far, of the hub
	crashAt int // the commit that the process dies before, 0 for never
	dead    bool
}

func newWorld(t *testing.T, d *db.DB, books map[string]string) *world {
	t.Helper()
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, d: d, sealer: sealer, far: newFarSide()}
	w.restart()
	for name, text := range books {
		w.book(name, text)
	}
	return w
}

// count counts commits and lets the hub die before the one of crashAt.
func (w *world) count(*db.Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commits++
	if w.dead || w.commits == w.crashAt {
		w.dead = true
		return errCrash
	}
	return nil
}

func (w *world) died() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// restart makes a new process on the same database.
func (w *world) restart() {
	w.mu.Lock()
	w.dead = false
	w.mu.Unlock()
	w.tasks, w.journal = tasktest.New(w.t, w.d), journaltest.New(w.t, w.d)
	w.docs = document.New(document.Service{
		DB: w.d, Journal: w.journal,
		Allow: func(ctx context.Context, _ string, resources ...string) error { return passRole(ctx, resources[0]) },
	})
	w.svc = automation.New(automation.Service{
		DB: w.d, Tasks: w.tasks, Journal: w.journal, Sealer: w.sealer, Documents: w.docs, Roles: w, Caller: w,
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
		PassRole: passRole,
	})
	w.router = wire.NewRouter(wire.Config{
		Bindings:     append(w.svc.Operations(), w.far.bindings()...),
		Authenticate: func(r *http.Request, _ []byte) (context.Context, string, error) { return r.Context(), "ssm", nil },
		Around:       w.far.once,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func passRole(_ context.Context, role string) error {
	if strings.HasSuffix(role, "/forbidden") {
		return &ssm.AccessDeniedException{Message: "iam:PassRole"}
	}
	return nil
}

// Call is the front door; each of its calls is seen by the far side.
func (w *world) Call(ctx context.Context, service, operation string, input []byte) ([]byte, error) {
	return w.router.Call(ctx, service, operation, input)
}

// book creates a document of type Automation.
func (w *world) book(name, text string) {
	w.t.Helper()
	_, err := w.docs.CreateDocument(as("ada"), &ssm.CreateDocumentInput{
		Name: &name, Content: &text, DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatYaml,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// AssumeRole gives a session of the role.
func (w *world) AssumeRole(ctx context.Context, role, session string) (context.Context, error) {
	name := role[strings.LastIndexByte(role, '/')+1:]
	if name == "gone" {
		return nil, fault.AccessDenied("role %s does not exist", role)
	}
	return identity.With(ctx, identity.Caller{
		ARN: "arn:aws:sts::123456789012:assumed-role/" + name + "/" + session, Account: scope.Account, Kind: identity.Role,
	}), nil
}

// Resume gives the principal.
func (w *world) Resume(ctx context.Context, arn, _ string) (context.Context, error) {
	return identity.With(ctx, identity.Caller{ARN: arn, Account: scope.Account, Kind: identity.User}), nil
}

// as is a context of a user.
func as(user string) context.Context {
	ctx := db.WithScope(context.Background(), scope)
	return identity.With(ctx, identity.Caller{
		ARN: "arn:aws:iam::123456789012:user/" + user, Account: scope.Account, Kind: identity.User, Human: "human-" + user,
	})
}

// start starts a runbook as ada.
func (w *world) start(in *ssm.StartAutomationExecutionInput) string {
	w.t.Helper()
	out, err := w.svc.StartAutomationExecution(as("ada"), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.AutomationExecutionId
}

// settle runs all that is due and hands on what the journal holds, until nothing
// is left or the process dies.
func (w *world) settle() {
	w.t.Helper()
	ctx := context.Background()
	for range 50 {
		before := w.far.seen() + w.facts()
		err := errors.Join(w.tasks.RunDue(ctx), w.journal.Dispatch(ctx))
		if w.died() {
			return
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if w.far.seen()+w.facts() == before {
			return
		}
	}
}

func (w *world) facts() (n int) {
	w.t.Helper()
	err := w.d.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow("select count(*) from journal_row").Scan(&n)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// kinds are the kinds of all facts in the order of their recording.
func (w *world) kinds() (out []string) {
	w.t.Helper()
	err := w.d.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query("select kind from journal_row where kind not like 'document.%' order by position, at, id")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var k string
			if err := rows.Scan(&k); err != nil {
				return err
			}
			out = append(out, k)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) get(id string) *ssm.AutomationExecution {
	w.t.Helper()
	out, err := w.svc.GetAutomationExecution(as("ada"), &ssm.GetAutomationExecutionInput{AutomationExecutionId: &id})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.AutomationExecution
}

// steps writes the steps as "name:Status", in order.
func steps(e *ssm.AutomationExecution) string {
	var out []string
	for _, s := range e.StepExecutions {
		out = append(out, *s.StepName+":"+string(s.StepStatus))
	}
	return strings.Join(out, " ")
}

func (w *world) signal(user, id string, kind ssm.SignalType, payload map[string][]string) error {
	_, err := w.svc.SendAutomationSignal(as(user), &ssm.SendAutomationSignalInput{AutomationExecutionId: &id, SignalType: kind, Payload: payload})
	return err
}

// farSide stands for the rest of the hub and its nodes: real bindings over a
// little state.
type farSide struct {
	mu       sync.Mutex
	answers  map[string]any // by invocation id: the front door's memory
	commands map[string]*command
	order    []string
	calls    []string // operation and caller
	params   map[string]string
	fail     map[string]error // by operation
	opsItems int
	outcome  func(c *command) // what a command comes to at once
	after    func()           // runs after each call that is answered
}

func (f *farSide) set(parameter, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.params[parameter] = value
}

func (f *farSide) heal(operation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.fail, operation)
}

func failing(c *command) { c.status, c.code, c.output = ssm.CommandInvocationStatusFailed, 3, "no" }

type command struct {
	id     string
	in     *ssm.SendCommandInput
	status ssm.CommandInvocationStatus
	output string
	code   int32
	ran    int
}

func newFarSide() *farSide {
	return &farSide{answers: map[string]any{}, commands: map[string]*command{}, params: map[string]string{}, fail: map[string]error{}}
}

func (f *farSide) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// once answers a repetition of a call as the first time, like the front door.
func (f *farSide) once(ctx context.Context, b wire.Binding, in any, next func(context.Context) (any, error)) (any, error) {
	f.mu.Lock()
	f.calls = append(f.calls, b.Operation.Name+" "+identity.From(ctx).ARN)
	err := f.fail[b.Operation.Name]
	id := wire.InvocationID(ctx)
	old, again := f.answers[id]
	f.mu.Unlock()
	if err != nil || again {
		return old, err
	}
	out, err := next(ctx)
	if err == nil && id != "" {
		f.mu.Lock()
		f.answers[id] = out
		f.mu.Unlock()
	}
	if f.after != nil {
		f.after()
	}
	return out, err
}

func (f *farSide) bindings() []wire.Binding {
	return []wire.Binding{
		ssm.BindSendCommand(f.sendCommand), ssm.BindListCommandInvocations(f.invocations), ssm.BindCancelCommand(f.cancel), ssm.BindListCommands(f.list),
		ssm.BindGetParameter(f.parameter), ssm.BindCreateOpsItem(f.opsItem), incidents.BindListIncidentRecords(f.incidents),
		incidents.BindCreateTimelineEvent(f.timelineEvent),
	}
}

func (f *farSide) sendCommand(_ context.Context, in *ssm.SendCommandInput) (*ssm.SendCommandOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &command{id: fmt.Sprintf("00000000-0000-0000-0000-%012d", len(f.commands)+1), in: in, status: ssm.CommandInvocationStatusInProgress, ran: 1}
	if f.outcome != nil {
		f.outcome(c)
	}
	f.commands[c.id] = c
	f.order = append(f.order, c.id)
	return &ssm.SendCommandOutput{Command: &ssm.Command{CommandId: &c.id}}, nil
}

func (f *farSide) list(_ context.Context, in *ssm.ListCommandsInput) (*ssm.ListCommandsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &ssm.ListCommandsOutput{}
	for _, id := range f.order {
		c := f.commands[id]
		if *in.Filters[1].Value == *c.in.DocumentName {
			out.Commands = append(out.Commands, ssm.Command{
				CommandId: &c.id, DocumentName: c.in.DocumentName, InstanceIds: c.in.InstanceIds, Parameters: c.in.Parameters, Comment: c.in.Comment,
			})
		}
	}
	return out, nil
}

func (f *farSide) invocations(_ context.Context, in *ssm.ListCommandInvocationsInput) (*ssm.ListCommandInvocationsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.commands[*in.CommandId]
	if c == nil {
		return nil, &ssm.InvalidCommandId{Message: *in.CommandId}
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []ssm.CommandInvocation{{
		CommandId: &c.id, InstanceId: new("mi-00000000000000001"), Status: c.status, StatusDetails: new(string(c.status)),
		CommandPlugins: []ssm.CommandPlugin{{Name: new("run"), Output: &c.output, ResponseCode: &c.code}},
	}}}, nil
}

func (f *farSide) cancel(_ context.Context, in *ssm.CancelCommandInput) (*ssm.CancelCommandOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.commands[*in.CommandId]; c != nil && c.status == ssm.CommandInvocationStatusInProgress {
		c.status = ssm.CommandInvocationStatusCancelled
	}
	return &ssm.CancelCommandOutput{}, nil
}

func (f *farSide) parameter(_ context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.params[*in.Name]
	if !ok {
		return nil, &ssm.ParameterNotFound{Message: *in.Name}
	}
	return &ssm.GetParameterOutput{Parameter: &ssm.Parameter{Name: in.Name, Value: &v, Type: ssm.ParameterTypeString, Version: new(int64(3))}}, nil
}

func (f *farSide) opsItem(context.Context, *ssm.CreateOpsItemInput) (*ssm.CreateOpsItemOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opsItems++
	return &ssm.CreateOpsItemOutput{OpsItemId: new(fmt.Sprintf("oi-%012d", f.opsItems))}, nil
}

func (f *farSide) timelineEvent(_ context.Context, in *incidents.CreateTimelineEventInput) (*incidents.CreateTimelineEventOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.params["/event"] = in.EventTime.UTC().Format(time.RFC3339) + " " + *in.EventType
	return &incidents.CreateTimelineEventOutput{EventId: new("e"), IncidentRecordArn: in.IncidentRecordArn}, nil
}

func (f *farSide) incidents(context.Context, *incidents.ListIncidentRecordsInput) (*incidents.ListIncidentRecordsOutput, error) {
	return &incidents.ListIncidentRecordsOutput{IncidentRecordSummaries: []incidents.IncidentRecordSummary{{
		Arn: new("arn:aws:ssm-incidents::123456789012:incident-record/p/1"), Title: new("high"), Impact: new(int32(2)),
		Status: incidents.IncidentRecordStatusOpen, CreationTime: new(time.Unix(1e9, 0)),
		IncidentRecordSource: &incidents.IncidentRecordSource{CreatedBy: new("arn:aws:iam::123456789012:root"), Source: new("aws.ssm-incidents.custom")},
	}}}, nil
}

// end ends a command and tells the journal, as the command capability does.
func (w *world) end(n int, status ssm.CommandInvocationStatus, code int32, output string) {
	w.t.Helper()
	w.far.mu.Lock()
	c := w.far.commands[w.far.order[n]]
	c.status, c.code, c.output = status, code, output
	w.far.mu.Unlock()
	w.tell(c.id)
}

func (w *world) tell(commandID string) {
	w.t.Helper()
	err := w.d.Update(db.WithScope(context.Background(), scope), func(tx *db.Tx) error {
		return w.journal.Record(tx, journal.Fact{Kind: "command.finished", Subject: commandID})
	})
	if err != nil && !w.died() {
		w.t.Fatal(err)
	}
}
