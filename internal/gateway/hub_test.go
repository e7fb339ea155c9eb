package gateway

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/agent"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/platform/authz"
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
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

var (
	scope      = db.Scope{Account: "123456789012", Region: "us-east-1"}
	migrations = []db.Migrations{
		task.Migrations, journal.Migrations, identity.Migrations, mailbox.Migrations, tagging.Migrations, node.Migrations, command.Migrations, session.Migrations,
	}
)

const script = `{"schemaVersion":"2.2","parameters":{"commands":{"type":"StringList"},"executionTimeout":{"type":"String","default":"60"}},
	"mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":"{{ commands }}","timeoutSeconds":"{{ executionTimeout }}"}}]}`

// hub is everything a node meets, over real HTTP.
type hub struct {
	t        *testing.T
	ctx      context.Context
	gateway  *Gateway
	relay    *relay.Relay
	nodes    *node.Service
	commands *command.Service
	sessions *session.Service
	url      string
	facts    chan journal.Row
	refused  chan refusedCall
}

func newHub(t *testing.T) *hub {
	return newHubOn(t, dbtest.SQLite(t, migrations...), filepath.Join(t.TempDir(), "seal.key"))
}

func newHubOn(t *testing.T, d *db.DB, sealKey string) *hub {
	j, e, m := journaltest.New(t, d), tasktest.New(t, d), mailbox.New(d)
	sealer, err := seal.OpenFile(sealKey)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	who, err := identity.Open(t.Context(), identity.Config{DB: d, Journal: j, Sealer: sealer, Account: scope.Account, Regions: []string{scope.Region}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{t: t, ctx: db.WithScope(t.Context(), scope), facts: make(chan journal.Row, 1000), refused: make(chan refusedCall, 1000)}
	h.nodes = node.New(node.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Mint: mint(who)})
	h.commands = command.New(command.Service{DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: h.nodes, Documents: findDocument, Sealer: sealer})
	h.sessions = newSessions(t, d, e, j, m, h.nodes, sealer)
	h.relay = relay.New(relay.Config{Sessions: h.sessions, Logger: quiet})
	h.gateway = New(Config{Nodes: h.nodes, Commands: h.commands, Sessions: h.sessions, Relay: h.relay, Mailbox: m, Authenticate: who.Authenticate, Authorize: authz.New(nil).Authorize, Observe: h.observe, Logger: quiet})
	j.Subscribe(journal.Subscription{
		Name:   "test",
		Kinds:  []string{"node.online", "node.offline", "node.channel.replaced", "node.channel.contested", "command.delivered", "command.finished", "command.report.refused", "node.package"},
		Handle: func(_ context.Context, _ *db.Tx, row journal.Row) error { h.facts <- row; return nil },
	})
	journaltest.Start(t, j)
	tasktest.Start(t, e)
	h.serve(wire.NewRouter(wire.Config{
		Models: []*shape.Model{ssm.Model, watchbill.Model}, Bindings: slices.Concat(h.nodes.Operations(), h.commands.Operations(), h.sessions.Operations()),
		Raw: h.gateway.Raw(), Authenticate: who.Authenticate, AuthorizeRaw: authorizeRaw, Large: who.HoldsNodeToken, Observe: h.observe, Logger: quiet,
	}))
	return h
}

func authorizeRaw(ctx context.Context, service, operation string, input map[string]any) (context.Context, error) {
	return authz.New(nil).Authorize(ctx, service, operation, input)
}

// observe keeps the calls that were refused.
func (h *hub) observe(ctx context.Context, c wire.Call) {
	if c.Err != nil {
		h.refused <- refusedCall{c, identity.From(ctx).ARN}
	}
}

type refusedCall struct {
	wire.Call
	actor string
}

func mint(who *identity.Service) node.Minter {
	return func(ctx context.Context, id string, ttl time.Duration) (node.Credentials, error) {
		c, err := who.MintNode(ctx, id, ttl)
		return node.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.SessionToken.Reveal(), Expires: c.Expiration}, err
	}
}

func findDocument(_ *db.Tx, name, _ string) (*command.Document, error) {
	return &command.Document{Name: name, Version: "1", Type: "Command", Format: "JSON", Content: []byte(script)}, nil
}

func (h *hub) serve(router http.Handler) {
	channels := h.gateway.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			channels.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.gateway.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		server.Close()
	})
	h.url = server.URL
}

func (h *hub) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// wait returns the next fact of a kind, those before it are dropped.
func (h *hub) wait(kind string) journal.Row {
	h.t.Helper()
	deadline := time.After(30 * time.Second)
	var before []string
	for {
		select {
		case row := <-h.facts:
			if row.Kind == kind {
				return row
			}
			before = append(before, row.Kind)
		case <-deadline:
			h.t.Fatalf("no fact %s; there were %v", kind, before)
		}
	}
}

func (h *hub) activate() (id, code string) {
	h.t.Helper()
	out, err := h.nodes.CreateActivation(h.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole"), RegistrationLimit: new(int32(10))})
	h.must(err)
	return *out.ActivationId, *out.ActivationCode
}

// startAgent registers our agent and runs it until the test ends.
func (h *hub) startAgent() (id string) {
	h.t.Helper()
	activation, code := h.activate()
	dir := h.t.TempDir()
	id, err := agent.Register(h.t.Context(), agent.Config{Hub: h.url, ActivationID: activation, ActivationCode: code, StateDir: dir})
	h.must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx, dir, slog.New(slog.DiscardHandler)) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	if row := h.wait("node.online"); row.Subject != id {
		h.t.Fatalf("%s is online, want %s", row.Subject, id)
	}
	return id
}

func (h *hub) send(id string, commands ...string) string {
	h.t.Helper()
	out, err := h.commands.SendCommand(h.ctx, &ssm.SendCommandInput{
		DocumentName: new("Run"), InstanceIds: []string{id}, Parameters: map[string][]string{"commands": commands},
	})
	h.must(err)
	return *out.Command.CommandId
}

func (h *hub) get(commandID, id string) *ssm.GetCommandInvocationOutput {
	h.t.Helper()
	out, err := h.commands.GetCommandInvocation(h.ctx, &ssm.GetCommandInvocationInput{CommandId: &commandID, InstanceId: &id})
	h.must(err)
	return out
}

func (h *hub) describe(id string) ssm.InstanceInformation {
	h.t.Helper()
	out, err := h.nodes.DescribeInstanceInformation(h.ctx, &ssm.DescribeInstanceInformationInput{
		Filters: []ssm.InstanceInformationStringFilter{{Key: new("InstanceIds"), Values: []string{id}}},
	})
	h.must(err)
	if len(out.InstanceInformationList) != 1 {
		h.t.Fatalf("%d nodes %s", len(out.InstanceInformationList), id)
	}
	return out.InstanceInformationList[0]
}

// machine is a node played by the test, to send what a good agent would not.
type machine struct {
	*hub
	id    string
	key   *rsa.PrivateKey
	creds sigv4.Credentials
}

func (h *hub) newMachine() *machine {
	h.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	h.must(err)
	m := &machine{hub: h, key: key}
	activation, code := h.activate()
	status, out := m.call("RegisterManagedInstance", map[string]string{
		"ActivationId": activation, "ActivationCode": code, "Fingerprint": "print", "PublicKey": m.public(key), "PublicKeyType": "Rsa",
	}, nil)
	if status != http.StatusOK || out["Region"] != scope.Region {
		h.t.Fatalf("RegisterManagedInstance: %d %v", status, out)
	}
	m.id = out["InstanceId"].(string)
	status, out = m.call("RequestManagedInstanceRoleToken", map[string]string{"Fingerprint": "print"}, m.byKey)
	if status != http.StatusOK || len(out) != 5 {
		h.t.Fatalf("RequestManagedInstanceRoleToken: %d %v", status, out)
	}
	m.creds = sigv4.Credentials{AccessKeyID: out["AccessKeyId"].(string), SecretAccessKey: out["SecretAccessKey"].(string), SessionToken: out["SessionToken"].(string)}
	return m
}

func (m *machine) public(key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	m.must(err)
	return base64.StdEncoding.EncodeToString(der)
}

type signer func(r *http.Request, body []byte)

// byKey signs as the stock agent does, with the payload hash in a header that
// is added after signing.
func (m *machine) byKey(r *http.Request, body []byte) {
	now := time.Now().UTC()
	r.Header.Set("X-Amz-Date", now.Format(sigv4.TimeFormat))
	headers := []string{"content-type", "host", "x-amz-date", "x-amz-target"}
	s := &sigv4.Signature{Scope: sigv4.Scope{AccessKeyID: m.id, Date: now.Format("20060102"), Region: scope.Region, Service: "ssm"}, Time: now, Headers: headers}
	text, err := s.StringToSign(r, body)
	m.must(err)
	digest := sha256.Sum256([]byte(text))
	value, err := rsa.SignPSS(rand.Reader, m.key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	m.must(err)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/ssm/aws4_request, SignedHeaders=%s, Signature=%s",
		m.id, s.Scope.Date, scope.Region, strings.Join(headers, ";"), base64.StdEncoding.EncodeToString(value)))
	sum := sha256.Sum256(body)
	r.Header.Set("X-Amz-Content-Sha256", fmt.Sprintf("%x", sum))
}

func (m *machine) bySession(service string) signer {
	return func(r *http.Request, body []byte) {
		m.must(sigv4.Sign(r, body, m.creds, service, scope.Region, time.Now()))
	}
}

// call calls an operation; a name with a dot is a whole target.
func (m *machine) call(operation string, in any, sign signer) (int, map[string]any) {
	m.t.Helper()
	if !strings.Contains(operation, ".") {
		operation = "AmazonSSM." + operation
	}
	body, err := json.Marshal(in)
	m.must(err)
	status, answer := m.post("/", string(body), http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {operation}}, sign)
	out := map[string]any{}
	m.must(json.Unmarshal(answer, &out))
	return status, out
}

func (m *machine) post(path, body string, header http.Header, sign signer) (int, []byte) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.url+path, strings.NewReader(body))
	m.must(err)
	r.Header = header
	if sign != nil {
		sign(r, []byte(body))
	}
	res, err := http.DefaultClient.Do(r)
	m.must(err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	m.must(err)
	return res.StatusCode, answer
}

func (m *machine) token() string {
	m.t.Helper()
	status, body := m.post("/v1/control-channel/"+m.id, `{"MessageSchemaVersion":"1.0","RequestId":"r"}`,
		http.Header{"Content-Type": {"application/json"}}, m.bySession("ssmmessages"))
	if status != http.StatusCreated {
		m.t.Fatalf("CreateControlChannel: %d %s", status, body)
	}
	token, err := mgs.UnmarshalToken(body)
	m.must(err)
	return token
}

// link is a control channel from the node's end.
type link struct {
	*machine
	conn *websocket.Conn
}

func (m *machine) open(token string) link {
	m.t.Helper()
	path := "/v1/control-channel/" + m.id + "?role=subscribe&stream=input"
	r, err := http.NewRequest(http.MethodGet, m.url+path, nil)
	m.must(err)
	m.bySession("ssmmessages")(r, nil)
	conn, _, err := websocket.DefaultDialer.DialContext(m.t.Context(), "ws"+strings.TrimPrefix(m.url, "http")+path, r.Header)
	m.must(err)
	m.t.Cleanup(func() { _ = conn.Close() })
	m.must(conn.WriteJSON(mgs.OpenControlChannel{MessageSchemaVersion: "1.0", RequestID: "r", TokenValue: token, AgentVersion: "3.3.0.0", PlatformType: "linux"}))
	return link{m, conn}
}

func (l link) write(messageType string, payload any) {
	l.t.Helper()
	m, err := mgs.Encode(messageType, payload)
	l.must(err)
	b, err := m.Marshal()
	l.must(err)
	l.must(l.conn.WriteMessage(websocket.BinaryMessage, b))
}

// read waits for a frame of a type and reads its payload.
func (l link) read(messageType string, v any) {
	l.t.Helper()
	l.must(l.conn.SetReadDeadline(time.Now().Add(20 * time.Second)))
	for {
		_, b, err := l.conn.ReadMessage()
		l.must(err)
		m, err := mgs.Unmarshal(b)
		l.must(err)
		if m.Type == messageType {
			l.must(mgs.Decode(m.Payload, v))
			return
		}
	}
}
