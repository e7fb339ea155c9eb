package session_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

var (
	scope      = db.Scope{Account: "123456789012", Region: "us-east-1"}
	migrations = []db.Migrations{
		task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, lock.Migrations, node.Migrations, session.Migrations,
	}
	ada = identity.Caller{
		ARN: "arn:aws:iam::123456789012:user/ada", Account: scope.Account, UserID: "AIDAADA", Kind: identity.User, Human: "ada@example.com", AccessKeyID: "AKIAADA",
	}
	bob = identity.Caller{
		ARN: "arn:aws:iam::123456789012:user/bob", Account: scope.Account, UserID: "AIDABOB", Kind: identity.User, Human: "bob@example.com", AccessKeyID: "AKIABOB",
	}
)

// The documents of these tests. Preferences are those of the account.
var documents = map[string]string{
	"SSM-SessionManagerRunShell": `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"idleSessionTimeout":"20","kmsKeyId":"key-1"}}`,
	"Short":                      `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"idleSessionTimeout":"1","maxSessionDuration":"5"}}`,
	"Two":                        `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"watchbill:requireSecondPerson":true,"watchbill:strictRecording":"true"}}`,
	"RunAs":                      `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"runAsEnabled":true,"runAsDefaultUser":"web"}}`,
	"RunAsTag":                   `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"runAsEnabled":true}}`,
	"Command": `{"schemaVersion":"1.0","sessionType":"InteractiveCommands",
		"parameters":{"file":{"type":"String","allowedPattern":"^[a-z/]+$"},"lines":{"type":"String","default":"10","allowedValues":["10","20"]}},
		"properties":{"linux":{"commands":"tail -n {{ lines }} {{ file }}","runAsElevated":false}}}`,
	"Port": `{"schemaVersion":"1.0","sessionType":"Port","parameters":{"host":{"type":"String","default":""},"portNumber":{"type":"String","default":"80"}},
		"properties":{"host":"{{ host }}","portNumber":"{{ portNumber }}","type":"LocalPortForwarding"}}`,
	"Bad": `{"schemaVersion":"1.0","sessionType":"Dance"}`,
}

func findDocument(_ *db.Tx, name string) (*session.Document, error) {
	text, ok := documents[name]
	if !ok {
		return nil, &ssm.InvalidDocument{Message: "no such document"}
	}
	kind := "Session"
	if name == "Auto" {
		kind = "Automation"
	}
	return &session.Document{Name: name, Version: "1", Type: kind, Format: "JSON", Content: []byte(text)}, nil
}

type fixture struct {
	*session.Service
	t     *testing.T
	ctx   context.Context // of ada
	node  string
	locks *lock.Service
	live  bool // tasks and the journal run by themselves
}

func eachStore(t *testing.T, f func(x *fixture)) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) { f(newFixture(t, d, false)) })
}

// newFixture has one node that is connected. Tasks and the journal run by
// themselves when live.
func newFixture(t *testing.T, d *db.DB, live bool) *fixture {
	j, e := journaltest.New(t, d), tasktest.New(t, d)
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	m := mailbox.New(d)
	x := &fixture{t: t, ctx: as(t.Context(), ada), locks: lock.New(d, e, j, slog.New(slog.DiscardHandler)), live: live}
	nodes := node.New(node.Service{DB: d, Tasks: e, Journal: j, Mailbox: m})
	x.Service = session.New(session.Service{
		DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: nodes, Documents: findDocument, Sealer: sealer, Blobs: blobs, Locks: x.locks,
	})
	x.SetStreamURL("wss://hub.example", "")
	if live {
		journaltest.Start(t, j)
		tasktest.Start(t, e)
	}
	x.node = x.register(nodes)
	return x
}

func as(ctx context.Context, c identity.Caller) context.Context {
	return identity.With(db.WithScope(ctx, scope), c)
}

func (x *fixture) asNode() context.Context {
	return as(x.ctx, identity.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/node/" + x.node, Account: scope.Account, Kind: identity.Node, SessionName: x.node})
}

var publicKey = func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}()

func (x *fixture) register(nodes *node.Service) string {
	x.t.Helper()
	a, err := nodes.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("r")})
	x.must(err)
	id, err := nodes.Register(x.ctx, node.Registration{
		ActivationID: *a.ActivationId, ActivationCode: *a.ActivationCode, Fingerprint: "f", PublicKey: publicKey, PublicKeyType: "Rsa",
	})
	x.must(err)
	x.must(nodes.Connected(x.ctx, id, "c1"))
	return id
}

func (x *fixture) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *fixture) start(document string, parameters map[string][]string) *ssm.StartSessionOutput {
	x.t.Helper()
	in := &ssm.StartSessionInput{Target: &x.node, Reason: new("look"), Parameters: parameters}
	if document != "" {
		in.DocumentName = &document
	}
	out, err := x.StartSession(x.ctx, in)
	x.must(err)
	return out
}

// connect opens both ends.
func (x *fixture) connect(out *ssm.StartSessionOutput) {
	x.t.Helper()
	x.nodeEnd(*out.SessionId)
	_, _, err := x.AttachClient(context.Background(), *out.SessionId, *out.TokenValue)
	x.must(err)
}

func (x *fixture) nodeEnd(id string) *session.Session {
	x.t.Helper()
	token, err := x.NodeToken(x.asNode(), id)
	x.must(err)
	s, err := x.AttachNode(x.asNode(), id, token)
	x.must(err)
	return s
}

func (x *fixture) complete(id, status, output string) {
	x.t.Helper()
	x.must(x.Completed(x.asNode(), x.node, session.Completion{SessionID: id, Status: status, Output: output}))
}

// shell is what the node is asked to open.
func (x *fixture) shell(id string) mgs.StartSession {
	x.t.Helper()
	b, err := x.Shell(x.asNode(), x.node, id)
	x.must(err)
	if b == nil {
		x.t.Fatal("the node is not asked")
	}
	var task mgs.InteractiveShell
	var content mgs.StartSession
	x.must(json.Unmarshal(b, &task))
	x.must(json.Unmarshal([]byte(task.Content), &content))
	return content
}

func (x *fixture) described(id string) ssm.Session {
	x.t.Helper()
	for _, state := range []ssm.SessionState{ssm.SessionStateActive, ssm.SessionStateHistory} {
		out, err := x.DescribeSessions(x.ctx, &ssm.DescribeSessionsInput{State: state, Filters: []ssm.SessionFilter{{Key: ssm.SessionFilterKeySessionId, Value: &id}}})
		x.must(err)
		if len(out.Sessions) == 1 {
			return out.Sessions[0]
		}
	}
	x.t.Fatalf("no session %s", id)
	return ssm.Session{}
}

func (x *fixture) want(id string, status ssm.SessionStatus) {
	x.t.Helper()
	if got := x.described(id).Status; got != status {
		x.t.Errorf("the session is %s, want %s", got, status)
	}
}

// mail is the kinds of messages that wait for the node.
func (x *fixture) mail() (kinds []string) {
	x.t.Helper()
	list, _, err := x.Mailbox.Take(x.asNode(), x.node, 0)
	x.must(err)
	for _, m := range list {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

// facts are the bodies of the facts of a kind about a session. Where the journal runs
// by itself it waits for the first one.
func (x *fixture) facts(id, kind string) (bodies []map[string]any) {
	x.t.Helper()
	if !x.live {
		x.must(x.Journal.Dispatch(x.ctx))
		return x.known(id, kind)
	}
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if bodies = x.known(id, kind); len(bodies) > 0 {
			return bodies
		}
		select {
		case <-tick.C:
		case <-deadline:
			return nil
		}
	}
}

func (x *fixture) known(id, kind string) (bodies []map[string]any) {
	x.t.Helper()
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		rows, err := x.Journal.About(tx, []string{id}, 0, 100)
		rows = slices.DeleteFunc(rows, func(r *journal.Row) bool { return r.Kind != kind })
		for _, r := range rows {
			body := map[string]any{}
			err = errors.Join(err, r.Decode(&body))
			bodies = append(bodies, body)
		}
		return err
	}))
	return bodies
}
