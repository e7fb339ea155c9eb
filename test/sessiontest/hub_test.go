//go:build unix

package sessiontest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/agent"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/hubtest"
	"github.com/watchbill/watchbill/test/sessiontest"

	"github.com/gorilla/websocket"
)

const patience = 60 * time.Second

// node registers and runs our own node program, and waits until the hub has it.
func node(t *testing.T, h *hubtest.Hub) string {
	t.Helper()
	id, code := h.Activate(t, 1)
	dir := filepath.Join(t.TempDir(), "state")
	name, err := agent.Register(t.Context(), agent.Config{Hub: h.URL, ActivationID: id, ActivationCode: code, StateDir: dir, CAFile: filepath.Join(h.Data, "ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx, dir, slog.New(slog.NewTextHandler(io.Discard, nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	deadline := time.Now().Add(patience)
	for {
		var out ssm.GetConnectionStatusOutput
		h.Must(t, "ssm", "GetConnectionStatus", &ssm.GetConnectionStatusInput{Target: &name}, &out)
		if out.Status == ssm.ConnectionStatusConnected {
			return name
		}
		if time.Now().After(deadline) {
			t.Fatal("the node did not connect")
		}
		<-time.After(20 * time.Millisecond)
	}
}

// document makes a session document; sessions of a root node are nobody's.
func document(t *testing.T, h *hubtest.Hub, name, kind, commands string, inputs map[string]any) {
	t.Helper()
	if os.Geteuid() == 0 {
		inputs["runAsEnabled"], inputs["runAsDefaultUser"] = true, "nobody"
	}
	doc := map[string]any{"schemaVersion": "1.0", "description": "test", "sessionType": kind, "inputs": inputs}
	if commands != "" {
		one := map[string]any{"commands": commands, "runAsElevated": false}
		doc["properties"] = map[string]any{"linux": one, "macos": one}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	h.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: &name, Content: new(string(b)), DocumentType: ssm.DocumentTypeSession, DocumentFormat: ssm.DocumentFormatJson}, new(ssm.CreateDocumentOutput))
}

// dial opens a client's socket.
func dial(t *testing.T, h *hubtest.Hub, url string) *websocket.Conn {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(h.Data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, _, err := (&websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}).DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func start(t *testing.T, h *hubtest.Hub, target, name string, o sessiontest.Options) (string, *sessiontest.Client) {
	t.Helper()
	var out ssm.StartSessionOutput
	h.Must(t, "ssm", "StartSession", &ssm.StartSessionInput{Target: &target, DocumentName: &name}, &out)
	c := sessiontest.New(o)
	if err := c.Use(dial(t, h, *out.StreamUrl), *out.TokenValue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Drop)
	return *out.SessionId, c
}

func wants(t *testing.T, c *sessiontest.Client, payloadType uint32, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx, payloadType, text); err != nil {
		t.Fatal(err)
	}
}

func closed(t *testing.T, c *sessiontest.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text, err := c.Closed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A shell goes on after the client's socket and after the hub were away.
func TestShellResumes(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	target := node(t, h)
	document(t, h, "test-shell", "Standard_Stream", "", map[string]any{})
	id, c := start(t, h, target, "test-shell", sessiontest.Options{})
	c.Type("X=kept; echo $((40+2))\r")
	wants(t, c, mgs.PayloadOutput, "42")
	c.Drop()
	var again ssm.ResumeSessionOutput
	h.Must(t, "ssm", "ResumeSession", &ssm.ResumeSessionInput{SessionId: &id}, &again)
	if err := c.Use(dial(t, h, *again.StreamUrl), *again.TokenValue); err != nil {
		t.Fatal(err)
	}
	c.Type("echo $X-again\r")
	wants(t, c, mgs.PayloadOutput, "kept-again")
	h.Must(t, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &id}, new(ssm.TerminateSessionOutput))
	closed(t, c)
}

// An encrypted session: the client makes the data key at the hub's key
// service, the node decrypts it there with its role.
func TestEncrypted(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	target := node(t, h)
	q := hubtest.JSON("TrentService.CreateKey", `{}`)
	q.Service = "kms"
	var key struct{ KeyMetadata struct{ Arn string } }
	if a := h.Send(t, q); json.Unmarshal([]byte(a.Body), &key) != nil || key.KeyMetadata.Arn == "" {
		t.Fatalf("CreateKey: %+v", a)
	}
	document(t, h, "test-secret", "InteractiveCommands", "echo secret-$((40+2)); read x; echo got $x", map[string]any{"kmsKeyId": key.KeyMetadata.Arn})
	id := ""
	known := make(chan struct{})
	o := sessiontest.Options{DataKey: func(keyID string) ([]byte, []byte, error) {
		<-known
		body, err := json.Marshal(map[string]any{"KeyId": keyID, "NumberOfBytes": 64, "EncryptionContext": map[string]string{"aws:ssm:SessionId": id, "aws:ssm:TargetId": target}})
		if err != nil {
			return nil, nil, err
		}
		q := hubtest.JSON("TrentService.GenerateDataKey", string(body))
		q.Service = "kms"
		var out struct{ Plaintext, CiphertextBlob []byte }
		err = json.Unmarshal([]byte(h.Send(t, q).Body), &out)
		return out.Plaintext, out.CiphertextBlob, err
	}}
	session, c := start(t, h, target, "test-secret", o)
	id = session
	close(known)
	wants(t, c, mgs.PayloadOutput, "secret-42")
	c.Type("answer\r")
	wants(t, c, mgs.PayloadOutput, "got answer")
	if text := closed(t, c); strings.Contains(text, "key") {
		t.Errorf("closed with %q", text)
	}
}
