package replica

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/server"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// shared are the files that the second hub gets from the first, as
// docs/operations.md says.
var shared = []string{"seal.key", "link.key", "journal.key", "journal.pub", "ca.pem", "ca.key", "credentials"}

const (
	patience = 40 * time.Second
	runs     = 20
)

var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = hubtest.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(filepath.Dir(bin))
	os.Exit(code)
}

// pair is hub a, a process that can be killed, and hub b, in the test's own.
type pair struct {
	process *hubtest.Process
	a, b    *hubtest.Hub
	files   map[string]string // that both have
}

func newPair(t *testing.T) *pair {
	t.Helper()
	if os.Getenv(dbtest.PostgresVariable) == "" {
		t.Skipf("%s is not set: two hubs need one PostgreSQL", dbtest.PostgresVariable)
	}
	store, data, address, log := dbtest.PostgresURL(t), t.TempDir(), hubtest.FreePort(t), &hubtest.Log{}
	process := hubtest.StartProcess(t, log, bin, "server", "--data", data, "--listen", address, "--db", store, "--region", hubtest.Region+",eu-west-1",
		"--admin-key", hubtest.Admin.AccessKeyID+":"+hubtest.Admin.SecretAccessKey, "--stage-minute", "100ms")
	if _, ok := <-process.Ready; !ok {
		t.Fatalf("the first hub did not start:\n%s", log)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the first hub's log:\n%s", log)
		}
	})
	files := map[string]string{}
	for _, name := range shared {
		text, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return &pair{process, hubtest.Attach(t, data, store, "https://"+address), hubtest.Start(t, store, files), files}
}

// node is a node of hub a, in a process of its own.
func (p *pair) node(t *testing.T) string {
	t.Helper()
	id, code := p.a.Activate(t, 1)
	state := filepath.Join(t.TempDir(), "node")
	out, err := exec.Command(bin, "agent", "register", "--hub", p.a.URL, "--ca", filepath.Join(p.a.Data, "ca.pem"),
		"--activation-id", id, "--activation-code", code, "--state", state).CombinedOutput()
	if err != nil {
		t.Fatalf("register: %v\n%s", err, out)
	}
	hubtest.StartProcess(t, &hubtest.Log{}, bin, "agent", "run", "--state", state)
	node := strings.TrimSpace(string(out))
	await(t, "the node at hub b", func() (bool, error) {
		var info ssm.DescribeInstanceInformationOutput
		err := p.b.Call(t)("ssm", "DescribeInstanceInformation", nil, &info)
		return len(info.InstanceInformationList) == 1 && info.InstanceInformationList[0].PingStatus == ssm.PingStatusOnline, err
	})
	return node
}

func await(t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	if err := hubtest.Await(patience, what, done); err != nil {
		t.Fatal(err)
	}
}

// Two hubs on one store are one hub.
func TestTwoHubs(t *testing.T) {
	p := newPair(t)
	t.Run("a parameter put on a is read on b", p.parameter)
	t.Run("a session made by a is known to b", p.session)
	t.Run("a command through b reaches the node of a", p.command)
	t.Run("what a starts runs once", p.once)
	t.Run("a call repeated at the other hub is carried out once", p.retry)
	t.Run("b goes on when a is killed", p.killed)
	t.Run("the journal is one chain", p.journal)
}

func (p *pair) parameter(t *testing.T) {
	for _, kind := range []ssm.ParameterType{ssm.ParameterTypeString, ssm.ParameterTypeSecureString} {
		name := "/replica/" + string(kind)
		p.a.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: &name, Type: kind, Value: new("from a")}, nil)
		var out ssm.GetParameterOutput
		p.b.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: &name, WithDecryption: new(true)}, &out)
		if *out.Parameter.Value != "from a" {
			t.Errorf("%s is %q on b", kind, *out.Parameter.Value)
		}
		p.b.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: &name, Value: new("from b"), Overwrite: new(true)}, nil)
		p.a.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: &name, WithDecryption: new(true)}, &out)
		if *out.Parameter.Value != "from b" {
			t.Errorf("%s is %q on a", kind, *out.Parameter.Value)
		}
	}
}

func (p *pair) session(t *testing.T) {
	var out sts.GetSessionTokenOutput
	p.a.Must(t, "sts", "GetSessionToken", nil, &out)
	c := sigv4.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}
	if err := p.b.Client(t, c).Call(t.Context(), "ssm", "DescribeParameters", nil, nil); err != nil {
		t.Error(err)
	}
}

func (p *pair) command(t *testing.T) {
	node := p.node(t)
	began := time.Now()
	var sent ssm.SendCommandOutput
	p.b.Must(t, "ssm", "SendCommand", &ssm.SendCommandInput{
		DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{node}, Parameters: map[string][]string{"commands": {"echo through b"}},
	}, &sent)
	var out ssm.GetCommandInvocationOutput
	await(t, "the command's end at hub b", func() (bool, error) {
		err := p.b.Call(t)("ssm", "GetCommandInvocation", &ssm.GetCommandInvocationInput{CommandId: sent.Command.CommandId, InstanceId: &node}, &out)
		return out.Status == ssm.CommandInvocationStatusSuccess, err
	})
	if *out.StandardOutputContent != "through b\n" {
		t.Errorf("output %q", *out.StandardOutputContent)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the command took %v", took)
	}
}

const making = `{"schemaVersion":"0.3","parameters":{"Title":{"type":"String"},"Source":{"type":"String"}},"mainSteps":[
	{"name":"make","action":"aws:executeAwsApi","inputs":{"Service":"ssm","Api":"CreateOpsItem","Title":"{{ Title }}","Source":"{{ Source }}","Description":"d"}}]}`

// start begins runbooks on a, each of which makes one item with a title of its own.
func (p *pair) start(t *testing.T, runs int, source string) (titles []string) {
	t.Helper()
	for i := range runs {
		title := fmt.Sprintf("item %02d", i)
		titles = append(titles, title)
		p.a.Must(t, "ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{
			DocumentName: new("Making"), Parameters: map[string][]string{"Title": {title}, "Source": {source}},
		}, nil)
	}
	return titles
}

// executions counts the runbooks by status, as b tells.
func (p *pair) executions(t *testing.T) (map[ssm.AutomationExecutionStatus]int, error) {
	count := map[ssm.AutomationExecutionStatus]int{}
	var out ssm.DescribeAutomationExecutionsOutput
	err := p.b.Call(t)("ssm", "DescribeAutomationExecutions", &ssm.DescribeAutomationExecutionsInput{}, &out)
	for _, e := range out.AutomationExecutionMetadataList {
		count[e.AutomationExecutionStatus]++
	}
	return count, err
}

// items are the titles of what the runbooks made, sorted.
func (p *pair) items(t *testing.T, source string) (titles []string) {
	t.Helper()
	var items ssm.DescribeOpsItemsOutput
	p.b.Must(t, "ssm", "DescribeOpsItems", &ssm.DescribeOpsItemsInput{OpsItemFilters: []ssm.OpsItemFilter{
		{Key: ssm.OpsItemFilterKeySource, Operator: ssm.OpsItemFilterOperatorEqual, Values: []string{source}},
	}, MaxResults: new(int32(50))}, &items)
	for _, i := range items.OpsItemSummaries {
		titles = append(titles, *i.Title)
	}
	slices.Sort(titles)
	return titles
}

// Runbooks started on a make one item each, whichever hub runs them.
func (p *pair) once(t *testing.T) {
	p.a.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Making"), Content: new(making), DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatJson}, nil)
	want := p.start(t, runs, "once")
	await(t, "the end of all runbooks", func() (bool, error) {
		count, err := p.executions(t)
		return count[ssm.AutomationExecutionStatusSuccess] == runs, err
	})
	if got := p.items(t, "once"); !slices.Equal(got, want) {
		t.Errorf("items %v, want each once", got)
	}
}

// retry is what an SDK does behind a balancer: the repetition of a call goes to the
// other hub, which gives the answer of the first.
func (p *pair) retry(t *testing.T) {
	in := &ssm.PutParameterInput{Name: new("/replica/retry"), Type: ssm.ParameterTypeString, Value: new("v"), Overwrite: new(true)}
	q := hubtest.Encode(t, ssm.Model, ssm.Model.Operation("PutParameter"), in)
	q.Credentials = hubtest.Admin
	for version := 1; version <= 3; version++ {
		q.Header.Set("Amz-Sdk-Invocation-Id", rand.Text())
		want := fmt.Sprintf(`"Version":%d`, version)
		for _, h := range []*hubtest.Hub{p.a, p.b, p.a} {
			if got := h.Send(t, q); !strings.Contains(got.Body, want) {
				t.Errorf("%s, want %s", got.Body, want)
			}
		}
	}
}

// An engagement and runbooks go on when the hub that took them dies.
func (p *pair) killed(t *testing.T) {
	p.engage(t)
	started := p.start(t, runs, "killed")
	p.process.Kill()
	began := time.Now()
	p.escalated(t, began)
	p.ended(t, started, began)
}

// engage engages ana, and bo a second later.
func (p *pair) engage(t *testing.T) {
	plan := contacts.Plan{}
	for _, alias := range []string{"ana", "bo"} {
		person, _, err := hubtest.Person(p.a.Call(t), p.a.Inbox(t), alias)
		if err != nil {
			t.Fatal(err)
		}
		plan.Stages = append(plan.Stages, contacts.Stage{DurationInMinutes: new(int32(10)), Targets: []contacts.Target{
			{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: &person, IsEssential: new(true)}},
		}})
	}
	var escalation contacts.CreateContactOutput
	p.a.Must(t, "ssm-contacts", "CreateContact", &contacts.CreateContactInput{Alias: new("both"), Type: contacts.ContactTypeEscalation, Plan: &plan}, &escalation)
	p.a.Must(t, "ssm-contacts", "StartEngagement", &contacts.StartEngagementInput{ContactId: escalation.ContactArn, Sender: new("tests"), Subject: new("It burns"), Content: new("Come at once")}, nil)
}

func (p *pair) escalated(t *testing.T, began time.Time) {
	await(t, "the page to bo from hub b", func() (bool, error) {
		messages, err := p.b.Inbox(t)("bo@inbox.local")
		return len(messages) > 1, err // the first is the activation code
	})
	if took := time.Since(began); took > 16*time.Second {
		t.Errorf("the page to bo came after %v, want a second for the stage and 15 s at most", took)
	} else {
		t.Logf("bo was paged %v after the death of a", took.Round(10*time.Millisecond))
	}
	for _, alias := range []string{"ana", "bo"} {
		await(t, "the page to "+alias, func() (bool, error) {
			messages, err := p.b.Inbox(t)(alias + "@inbox.local")
			if len(messages) > 2 {
				t.Fatalf("%s was paged %d times", alias, len(messages)-1)
			}
			return len(messages) == 2, err
		})
	}
}

// ended waits for the runbooks: each made its item once, or waits for a person because
// nobody knows whether it did.
func (p *pair) ended(t *testing.T, started []string, began time.Time) {
	var count map[ssm.AutomationExecutionStatus]int
	await(t, "the end of all runbooks", func() (_ bool, err error) {
		count, err = p.executions(t)
		return count[ssm.AutomationExecutionStatusSuccess]+count[ssm.AutomationExecutionStatusWaiting] == 2*runs, err
	})
	unknown := count[ssm.AutomationExecutionStatusWaiting]
	t.Logf("%v after the death of a: %d runbooks wait for a person", time.Since(began).Round(10*time.Millisecond), unknown)
	got := p.items(t, "killed")
	if len(slices.Compact(slices.Clone(got))) != len(got) || len(got) < len(started)-unknown {
		t.Errorf("items %v, want each once", got)
	}
}

// The journal that both wrote verifies with the files of either.
func (p *pair) journal(t *testing.T) {
	p.b.End(t)
	for name, h := range map[string]*hubtest.Hub{"a": p.a, "b": p.b} {
		var report strings.Builder
		if err := server.VerifyAudit(t.Context(), h.Data, h.Store, &report); err != nil {
			t.Errorf("with the files of %s: %v\n%s", name, err, &report)
		}
		t.Logf("%s: %s", name, strings.TrimSpace(report.String()))
	}
}

// A hub with keys of its own is kept away from the store of others.
func TestOtherKeysAreRefused(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"seal.key", "link.key", "journal.key"} {
		files := maps.Clone(p.files)
		delete(files, name)
		cfg := server.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", DB: p.a.Store, Account: hubtest.Account, Regions: []string{hubtest.Region}}
		hubtest.WriteFiles(t, cfg.Data, files)
		err := server.Run(t.Context(), cfg, slog.New(slog.DiscardHandler), func(string) { t.Errorf("a hub runs with another %s", name) })
		if err == nil || !strings.Contains(err.Error(), name+" is not the key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
