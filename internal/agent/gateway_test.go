//go:build unix

package agent

import (
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	hubcommand "github.com/watchbill/watchbill/internal/capability/command"
	hubnode "github.com/watchbill/watchbill/internal/capability/node"
	hubsession "github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
	"github.com/watchbill/watchbill/internal/wire"
)

// realHub is the hub's own node plane: identity, gateway, nodes and commands.
type realHub struct {
	t        *testing.T
	ctx      context.Context
	nodes    *hubnode.Service
	commands *hubcommand.Service
	server   *httptest.Server
	ca       string
}

func newRealHub(t *testing.T) *realHub {
	t.Helper()
	d := dbtest.SQLite(t, task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, identity.Migrations, hubnode.Migrations, hubcommand.Migrations, hubsession.Migrations)
	sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ids, err := identity.Open(t.Context(), identity.Config{DB: d, Sealer: sealer, Account: "123456789012", Regions: []string{"us-east-1", "eu-west-1"}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	j, e, m := journaltest.New(t, d), tasktest.New(t, d), &mailbox.Mailbox{DB: d}
	h := &realHub{t: t, ctx: db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "eu-west-1"})}
	h.nodes = hubnode.New(hubnode.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Mint: func(ctx context.Context, n string, d time.Duration) (hubnode.Credentials, error) {
		c, err := ids.MintNode(ctx, n, d)
		return hubnode.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.SessionToken.Reveal(), Expires: c.Expiration}, err
	}})
	h.commands = hubcommand.New(hubcommand.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: h.nodes, Documents: shellDocument, Sealer: sealer})
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	sessions := hubsession.New(hubsession.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: h.nodes, Sealer: sealer, Blobs: blobs})
	g := gateway.New(gateway.Config{Nodes: h.nodes, Commands: h.commands, Sessions: sessions, Mailbox: m, Authenticate: ids.Authenticate, Authorize: authz.New(nil).Authorize, Logger: log})
	router := wire.NewRouter(wire.Config{Raw: g.Raw(), Authenticate: ids.Authenticate, Logger: log})
	mux := http.NewServeMux()
	mux.Handle("/v1/", g.Handler())
	mux.Handle("/", router)
	h.server = httptest.NewTLSServer(mux)
	running, stop := context.WithCancel(h.ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.server.Close()
	})
	h.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	if err := os.WriteFile(h.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func shellDocument(_ *db.Tx, name, _ string) (*hubcommand.Document, error) {
	return &hubcommand.Document{Name: name, Version: "1", Type: "Command", Format: "JSON", Content: []byte(`{"schemaVersion":"2.2",
	 "parameters":{"commands":{"type":"StringList"},"executionTimeout":{"type":"String","default":"600"}},
	 "mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":"{{ commands }}","timeoutSeconds":"{{ executionTimeout }}"}}]}`)}, nil
}

// node registers and runs a node of the hub, and waits until it is there.
func (h *realHub) node() string {
	h.t.Helper()
	a, err := h.nodes.CreateActivation(h.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole")})
	if err != nil {
		h.t.Fatal(err)
	}
	dir := filepath.Join(h.t.TempDir(), "state")
	c := Config{Hub: h.server.URL, ActivationID: *a.ActivationId, ActivationCode: *a.ActivationCode, StateDir: dir, CAFile: h.ca}
	id, err := Register(h.t.Context(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	run(h.t, dir)
	h.eventually("node online", func() bool {
		out, err := h.nodes.DescribeInstanceInformation(h.ctx, &ssm.DescribeInstanceInformationInput{})
		if err != nil {
			h.t.Fatal(err)
		}
		return len(out.InstanceInformationList) == 1 && *out.InstanceInformationList[0].InstanceId == id &&
			out.InstanceInformationList[0].PingStatus == ssm.PingStatusOnline
	})
	return id
}

// eventually asks again at short intervals until f is true.
func (h *realHub) eventually(what string, f func() bool) {
	h.t.Helper()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for end := time.After(patience); !f(); {
		select {
		case <-ticks.C:
		case <-end:
			h.t.Fatalf("%s did not come", what)
		}
	}
}

func (h *realHub) send(node string, lines ...string) string {
	h.t.Helper()
	out, err := h.commands.SendCommand(h.ctx, &ssm.SendCommandInput{
		DocumentName: new("Run"), InstanceIds: []string{node}, Parameters: map[string][]string{"commands": lines},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return *out.Command.CommandId
}

// end waits for the end of a command.
func (h *realHub) end(command, node string, status ssm.CommandInvocationStatus) *ssm.GetCommandInvocationOutput {
	h.t.Helper()
	var out *ssm.GetCommandInvocationOutput
	h.eventually(string(status)+" command", func() (done bool) {
		var err error
		out, err = h.commands.GetCommandInvocation(h.ctx, &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &node})
		if err != nil {
			h.t.Fatal(err)
		}
		return out.Status == status
	})
	return out
}

func TestAgainstTheGateway(t *testing.T) {
	h := newRealHub(t)
	id := h.node()
	ok := h.end(h.send(id, "echo out", "echo err >&2"), id, ssm.CommandInvocationStatusSuccess)
	if *ok.StandardOutputContent != "out\n" || *ok.StandardErrorContent != "err\n" || *ok.ResponseCode != 0 {
		t.Errorf("%+v", ok)
	}
	if bad := h.end(h.send(id, "exit 7"), id, ssm.CommandInvocationStatusFailed); *bad.ResponseCode != 7 {
		t.Errorf("%+v", bad)
	}
}

func TestCancelThroughTheGateway(t *testing.T) {
	h := newRealHub(t)
	id := h.node()
	c := h.send(id, "sleep 600")
	h.end(c, id, ssm.CommandInvocationStatusInProgress)
	if _, err := h.commands.CancelCommand(h.ctx, &ssm.CancelCommandInput{CommandId: &c}); err != nil {
		t.Fatal(err)
	}
	h.end(c, id, ssm.CommandInvocationStatusCancelled)
}

func TestLongOutputReachesTheHub(t *testing.T) {
	h := newRealHub(t)
	id := h.node()
	c := h.send(id, "head -c 200000 /dev/zero | tr '\\0' x")
	h.end(c, id, ssm.CommandInvocationStatusSuccess)
	var got strings.Builder
	h.eventually("whole output", func() bool {
		out, err := h.commands.GetCommandOutput(h.ctx, &watchbill.GetCommandOutputInput{CommandId: &c, InstanceId: &id, Offset: new(int64(got.Len()))})
		if err != nil {
			t.Fatal(err)
		}
		got.Write(out.Content)
		return *out.Complete
	})
	if got.String() != strings.Repeat("x", 200_000) {
		t.Errorf("%d characters, or others than were written", got.Len())
	}
}
