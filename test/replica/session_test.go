package replica

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	cli "github.com/watchbill/watchbill/internal/cli/plane"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
	"github.com/watchbill/watchbill/test/hubtest"
	"github.com/watchbill/watchbill/test/sessiontest"
)

// balancer leads a node to one hub.
type balancer struct {
	address string
	to      atomic.Pointer[string]
}

func newBalancer(t *testing.T, to string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b := &balancer{address: "https://" + l.Addr().String()}
	b.lead(to)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.carry(c)
		}
	}()
	return b
}

func (b *balancer) lead(to string) { b.to.Store(new(strings.TrimPrefix(to, "https://"))) }

func (b *balancer) carry(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", *b.to.Load())
	if err != nil {
		return
	}
	defer d.Close()
	go func() {
		_, _ = io.Copy(d, c)
		_ = d.Close()
	}()
	_, _ = io.Copy(c, d)
}

// agentAt runs a node that reaches hubs through the balancer, and waits until hub b
// knows it.
func (p *pair) agentAt(t *testing.T, balancer *balancer) string {
	t.Helper()
	id, code := p.a.Activate(t, 1)
	state := filepath.Join(t.TempDir(), "node")
	out, err := exec.Command(bin, "agent", "register", "--hub", balancer.address, "--ca", filepath.Join(p.a.Data, "ca.pem"),
		"--activation-id", id, "--activation-code", code, "--state", state).CombinedOutput()
	if err != nil {
		t.Fatalf("register: %v\n%s", err, out)
	}
	hubtest.StartProcess(t, &hubtest.Log{}, bin, "agent", "run", "--state", state)
	node := strings.TrimSpace(string(out))
	p.connected(t, node)
	return node
}

func (p *pair) connected(t *testing.T, node string) {
	t.Helper()
	await(t, "the node at hub b", func() (bool, error) {
		var out ssm.GetConnectionStatusOutput
		err := p.b.Call(t)("ssm", "GetConnectionStatus", &ssm.GetConnectionStatusInput{Target: &node}, &out)
		return out.Status == ssm.ConnectionStatusConnected, err
	})
}

// document makes a document whose sessions are a shell of this user, or of nobody for root.
func (p *pair) document(t *testing.T, inputs map[string]any) string {
	t.Helper()
	if os.Geteuid() == 0 {
		inputs["runAsEnabled"], inputs["runAsDefaultUser"] = true, "nobody"
	}
	b, err := json.Marshal(map[string]any{
		"schemaVersion": "1.0", "sessionType": "InteractiveCommands", "inputs": inputs,
		"properties": map[string]any{"linux": map[string]any{"commands": "exec sh", "runAsElevated": false}},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := "Replica-" + rand.Text()
	p.b.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{
		Name: &name, Content: new(string(b)), DocumentType: ssm.DocumentTypeSession, DocumentFormat: ssm.DocumentFormatJson,
	}, nil)
	return name
}

// screen is what a terminal shows.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) wants(t *testing.T, text string) {
	t.Helper()
	await(t, text, func() (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.text.String(), text), nil
	})
}

// shell opens a shell through hub b over our own data plane.
func (p *pair) shell(t *testing.T, node, document string) (*plane.Stream, *screen) {
	t.Helper()
	s, err := cli.Open(t.Context(), p.b.Client(t, hubtest.Admin), cli.Request{Target: node, Document: document})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	st, _, err := s.Open(t.Context(), plane.Open{Kind: plane.Shell, Term: "dumb", Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	shown := &screen{}
	go func() { _, _ = st.Receive(shown, shown) }()
	return st, shown
}

// stock opens a session through hub b as the stock client does. The address is the
// first one's for ever.
type stock struct {
	*sessiontest.Client
	id, url string
}

func (p *pair) stock(t *testing.T, node, document string) *stock {
	t.Helper()
	var out ssm.StartSessionOutput
	p.b.Must(t, "ssm", "StartSession", &ssm.StartSessionInput{Target: &node, DocumentName: &document}, &out)
	s := &stock{sessiontest.New(sessiontest.Options{}), *out.SessionId, *out.StreamUrl}
	if err := s.Use(p.dial(t, s.url), *out.TokenValue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Drop)
	return s
}

func (p *pair) dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	var conn *websocket.Conn
	await(t, "the socket", func() (_ bool, err error) {
		trust := hubtest.HTTP(t, filepath.Join(p.b.Data, "ca.pem")).Transport.(*http.Transport).TLSClientConfig
		conn, _, err = (&websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: trust.RootCAs}}).DialContext(t.Context(), url, nil)
		return err == nil, nil
	})
	return conn
}

// resume comes back as the stock client does.
func (s *stock) resume(t *testing.T, p *pair) {
	t.Helper()
	s.Drop()
	conn := p.dial(t, s.url) // first: a token is good once
	var out ssm.ResumeSessionOutput
	p.b.Must(t, "ssm", "ResumeSession", &ssm.ResumeSessionInput{SessionId: &s.id}, &out)
	if out.TokenValue == nil {
		t.Fatal("the session has ended")
	}
	if err := s.Use(conn, *out.TokenValue); err != nil {
		t.Fatal(err)
	}
}

func (s *stock) wants(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Wait(ctx, mgs.PayloadOutput, text); err != nil {
		t.Fatalf("%s: %v; shown: %q", text, err, s.Got(mgs.PayloadOutput))
	}
}

func typed(t *testing.T, st *plane.Stream, text string) {
	t.Helper()
	if _, err := st.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// The node is at hub a and the people at hub b; a dies, and the node goes to b.
func TestSessionsOverHubs(t *testing.T) {
	p := newPair(t)
	balancer := newBalancer(t, p.a.URL)
	node := p.agentAt(t, balancer)
	document := p.document(t, map[string]any{})
	own, shown := p.shell(t, node, document)
	other := p.stock(t, node, document)
	typed(t, own, "X=own; echo $((40+2))\r")
	shown.wants(t, "42")
	other.Type("X=stock; echo $((50+3))\r")
	other.wants(t, "53")

	began := time.Now()
	balancer.lead(p.b.URL)
	p.process.Kill()
	typed(t, own, "echo $X-goes-on\r")
	shown.wants(t, "own-goes-on")
	t.Logf("our own session went on %v after the death of a", time.Since(began).Round(10*time.Millisecond))
	p.connected(t, node)
	other.resume(t, p)
	other.Type("echo $X-goes-on\r")
	other.wants(t, "stock-goes-on")
	took := time.Since(began)
	t.Logf("the stock session went on %v after the death of a", took.Round(10*time.Millisecond))
	if took > 30*time.Second {
		t.Errorf("it took %v, want 30 s at most", took)
	}
}
