//go:build unix

package agent

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/sigv4"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

const (
	testCode = "code-12345678901234567890"
	testNode = "mi-0123456789abcdef0"
)

// testHub is a hub as small as a node can need: it checks every signature and
// hands the frames that a node sends to the test.
type testHub struct {
	t      *testing.T
	server *httptest.Server
	ca     string // file
	calls  chan string
	links  chan *link

	mu      sync.Mutex
	public  *rsa.PublicKey
	secrets map[string]string
	token   string
	refuse  map[string]int // operation: how many times it is still refused
	rotate  bool
	wait    string // Retry-After of refusals
}

// link is the hub's end of a control channel.
type link struct {
	t      *testing.T
	conn   *websocket.Conn
	open   mgs.OpenControlChannel
	frames chan *mgs.Message
	passed []*mgs.Message // frames that until went past
	closed chan struct{}
}

func newTestHub(t *testing.T) *testHub {
	t.Helper()
	h := &testHub{t: t, calls: make(chan string, 1000), links: make(chan *link, 10), secrets: map[string]string{}, refuse: map[string]int{}}
	h.server = httptest.NewTLSServer(h)
	t.Cleanup(h.server.Close)
	h.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	if err := os.WriteFile(h.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *testHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	if strings.HasPrefix(r.URL.Path, "/v1/control-channel/") {
		h.control(w, r, body)
		return
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	h.calls <- operation
	if h.refused(operation) {
		fail(w, h.wait, "ThrottlingException", "later")
		return
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		h.t.Error(err)
	}
	out, err := h.answer(operation, r, body, in)
	if err != nil {
		fail(w, "", "AccessDeniedException", err.Error())
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (h *testHub) refused(operation string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse[operation]--
	return h.refuse[operation] >= 0
}

func fail(w http.ResponseWriter, after, code, message string) {
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
}

func (h *testHub) answer(operation string, r *http.Request, body []byte, in map[string]any) (any, error) {
	switch operation {
	case "RegisterManagedInstance":
		if in["ActivationCode"] != testCode || r.Header.Get("Authorization") != "" {
			return nil, fmt.Errorf("the activation is not valid")
		}
		return map[string]string{"InstanceId": testNode, "Region": "eu-west-1"}, h.take(in["PublicKey"])
	case "RequestManagedInstanceRoleToken":
		return h.newToken(), h.checkKey(r, body)
	case "UpdateManagedInstancePublicKey":
		if err := h.checkKey(r, body); err != nil {
			return nil, err
		}
		return struct{}{}, h.take(in["NewPublicKey"])
	case "GetParameters":
		parameters := []map[string]string{{"Name": "/app/name", "Selector": ":3", "Type": "String", "Value": "web"}}
		if in["WithDecryption"] == true {
			parameters = []map[string]string{{"Name": "/app/key", "Type": "SecureString", "Value": "s3cret"}}
		}
		return map[string]any{"Parameters": parameters, "InvalidParameters": []string{}}, h.checkToken(r, body)
	case "UpdateInstanceInformation":
		return struct{}{}, h.checkToken(r, body)
	}
	return nil, fmt.Errorf("unknown operation %s", operation)
}

func (h *testHub) take(public any) error {
	der, err := base64.StdEncoding.DecodeString(public.(string))
	if err != nil {
		return err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.public = key.(*rsa.PublicKey)
	return nil
}

func (h *testHub) newToken() any {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := fmt.Sprintf("ASIA%d", len(h.secrets))
	h.secrets[id] = "secret" + id
	rotate := h.rotate
	h.rotate = false
	return map[string]any{
		"AccessKeyId": id, "SecretAccessKey": "secret" + id, "SessionToken": "token", "UpdateKeyPair": rotate,
		"TokenExpirationDate": float64(time.Now().Add(time.Hour).Unix()),
	}
}

// forget makes every token given so far unknown.
func (h *testHub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.secrets {
		h.secrets[id] = ""
	}
}

func (h *testHub) checkKey(r *http.Request, body []byte) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	text, err := s.StringToSign(r, body)
	if err != nil {
		return err
	}
	value, err := base64.StdEncoding.DecodeString(s.Value)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Scope.AccessKeyID != testNode || s.Scope.Region != "eu-west-1" {
		return fmt.Errorf("scope %+v", s.Scope)
	}
	digest := sha256.Sum256([]byte(text))
	return rsa.VerifyPSS(h.public, crypto.SHA256, digest[:], value, &rsa.PSSOptions{SaltLength: 32})
}

func (h *testHub) checkToken(r *http.Request, body []byte) error {
	_, err := new(sigv4.Verifier).Verify(r, body, time.Now(), func(id, token string) (string, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.secrets[id] == "" || token != "token" {
			return "", sigv4.ErrUnknownKey
		}
		return h.secrets[id], nil
	})
	return err
}

func (h *testHub) control(w http.ResponseWriter, r *http.Request, body []byte) {
	if err := h.checkToken(r, body); err != nil {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<AccessDeniedException><Message>%v</Message></AccessDeniedException>", err)
		return
	}
	if r.Method == http.MethodPost {
		h.mu.Lock()
		h.token = uuid.NewString()
		h.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(mgs.MarshalToken("CreateControlChannel", h.token))
		return
	}
	conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		h.t.Error(err)
		return
	}
	l := &link{t: h.t, conn: conn, frames: make(chan *mgs.Message, 1000), closed: make(chan struct{})}
	if err := conn.ReadJSON(&l.open); err != nil || l.open.TokenValue != h.token {
		h.t.Errorf("first message %+v: %v", l.open, err)
	}
	h.links <- l
	l.read()
}

func (l *link) read() {
	defer close(l.closed)
	for {
		_, b, err := l.conn.ReadMessage()
		if err != nil {
			return
		}
		m, err := mgs.Unmarshal(b)
		if err != nil {
			l.t.Error(err)
			return
		}
		l.frames <- m
	}
}

const patience = 20 * time.Second

// next is the next element of a channel; without one in time the test fails.
func next[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s came", what)
	}
	panic("unreachable")
}

func (l *link) send(messageType string, payload any) *mgs.Message {
	l.t.Helper()
	m, err := mgs.Encode(messageType, payload)
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := m.Marshal()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.conn.WriteMessage(websocket.BinaryMessage, b); err != nil {
		l.t.Fatal(err)
	}
	return m
}

// job sends a command and gives the status code of its acknowledgement.
func (l *link) job(command, topic string, content any) string {
	l.t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		l.t.Fatal(err)
	}
	m := l.send(mgs.TypeAgentJob, mgs.AgentJob{Content: string(text), JobID: mgs.JobID(command, testNode), Topic: topic, SchemaVersion: 1})
	var ack mgs.AgentJobAck
	l.until(mgs.TypeAgentJobAck, &ack)
	if ack.AcknowledgedMessageID != m.ID.String() {
		l.t.Errorf("acknowledged %s, want %s", ack.AcknowledgedMessageID, m.ID)
	}
	return ack.StatusCode
}

func (l *link) command(id string, lines ...string) string {
	l.t.Helper()
	return l.job(id, mgs.TopicSendCommand, command(id, lines...))
}

func command(id string, lines ...string) map[string]any {
	return map[string]any{
		"CommandId": id, "DocumentName": "AWS-RunShellScript", "Parameters": map[string]any{"commands": lines},
		"DocumentContent": json.RawMessage(`{"schemaVersion":"2.2","parameters":{"commands":{"type":"StringList"}},
		 "mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":"{{ commands }}"}}]}`),
	}
}

// until is the next frame of a type; those of other types are kept.
func (l *link) until(messageType string, payload any) *mgs.Message {
	l.t.Helper()
	for i := 0; ; i++ {
		if i == len(l.passed) {
			l.passed = append(l.passed, next(l.t, messageType, l.frames))
		}
		m := l.passed[i]
		if m.Type != messageType {
			continue
		}
		l.passed = slices.Delete(l.passed, i, i+1)
		if err := mgs.Decode(m.Payload, payload); err != nil {
			l.t.Fatal(err)
		}
		return m
	}
}

// reply is the next reply about a command.
func (l *link) reply(command string) (mgs.ReplyContent, *mgs.Message) {
	l.t.Helper()
	for {
		var r mgs.AgentJobReply
		m := l.until(mgs.TypeAgentJobReply, &r)
		if r.JobID != mgs.JobID(command, testNode) {
			continue
		}
		var c mgs.ReplyContent
		if err := mgs.Decode([]byte(r.Content), &c); err != nil {
			l.t.Fatal(err)
		}
		return c, m
	}
}

// end acknowledges the replies about a command up to its last one.
func (l *link) end(command string) mgs.ReplyContent {
	l.t.Helper()
	for {
		c, m := l.reply(command)
		l.ack(command, m)
		if c.DocumentStatus != mgs.StatusInProgress {
			return c
		}
	}
}

func (l *link) ack(command string, m *mgs.Message) {
	l.t.Helper()
	l.send(mgs.TypeAgentJobReplyAck, mgs.AgentJobReplyAck{JobID: mgs.JobID(command, testNode), AcknowledgedMessageID: m.ID.String()})
}

// register registers a node in a new state directory.
func (h *testHub) register() string {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "state")
	c := Config{Hub: h.server.URL, ActivationID: uuid.NewString(), ActivationCode: testCode, StateDir: dir, CAFile: h.ca}
	if _, err := Register(h.t.Context(), c); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

// run runs the node of a state directory until stop is called.
func run(t *testing.T, dir string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() { done <- Run(ctx, dir, log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := next(t, "end of the node", done); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (h *testHub) link() *link {
	h.t.Helper()
	return next(h.t, "control channel", h.links)
}
