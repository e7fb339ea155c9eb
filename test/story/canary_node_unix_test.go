//go:build unix

package story

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/test/hubtest"
	"github.com/watchbill/watchbill/test/sessiontest"
)

const (
	canaryTopic = "arn:aws:sns:us-east-1:123456789012:canary"
	patience    = 60 * time.Second
)

// agent runs a node of our own, as nobody when the tests run as root, and gives its id
// and its log. Its files are its own: they are not the hub's to keep.
func agent(t *testing.T, h *hubtest.Hub) (id string, log *hubtest.Log) {
	t.Helper()
	bin, err := hubtest.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(bin)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pem, err := os.ReadFile(filepath.Join(h.Data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	hubtest.WriteFiles(t, dir, map[string]string{"ca.pem": string(pem)})
	program := func(args ...string) *exec.Cmd {
		c := exec.Command(bin, append(args, "--state", filepath.Join(dir, "state"))...)
		c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
		if os.Getuid() == 0 {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		return c
	}
	if os.Getuid() == 0 {
		for _, path := range []string{dir, filepath.Join(dir, "ca.pem")} {
			if err := os.Chown(path, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
	}
	activation, code := h.Activate(t, 1)
	out, err := program("agent", "register", "--hub", h.URL, "--ca", filepath.Join(dir, "ca.pem"), "--activation-id", activation, "--activation-code", code).Output()
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	run, log := program("agent", "run"), &hubtest.Log{}
	run.Stderr = log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		_ = run.Wait()
	})
	id = strings.TrimSpace(string(out))
	if err := hubtest.Await(patience, "the node", func() (bool, error) {
		var d ssm.GetConnectionStatusOutput
		h.Must(t, "ssm", "GetConnectionStatus", &ssm.GetConnectionStatusInput{Target: &id}, &d)
		return d.Status == ssm.ConnectionStatusConnected, nil
	}); err != nil {
		t.Fatal(err)
	}
	return id, log
}

// live brings secrets through a node: typed and printed in a session, in a command and
// its outputs, and in what is kept beside them.
func (c canaries) live(t *testing.T, h *hubtest.Hub) *hubtest.Log {
	node, log := agent(t, h)
	c.command(t, h, node)
	c.session(t, h, node)
	c.kept(t, h)
	return log
}

func (c canaries) command(t *testing.T, h *hubtest.Hub, node string) {
	word, half := c.fresh("word of a command"), c.fresh("small output")[len("canary-"):]
	c["large output"] = strings.Repeat("large-", 3) + half
	// The secret that is printed stands nowhere in the text that is sent.
	script := "echo " + word + "; echo canary''-" + half + "; for i in $(seq 3000); do echo large-''large-large-" + half + "; done; echo canary''-" + half + " >&2"
	var sent ssm.SendCommandOutput
	h.Must(t, "ssm", "SendCommand", &ssm.SendCommandInput{
		DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{node}, Parameters: map[string][]string{"commands": {script}}, ServiceRoleArn: new("arn:aws:iam::123456789012:role/auditor"),
		NotificationConfig: &ssm.NotificationConfig{NotificationArn: new(canaryTopic), NotificationEvents: []ssm.NotificationEvent{ssm.NotificationEventAll}, NotificationType: ssm.NotificationTypeInvocation},
	}, &sent)
	in := &watchbill.GetCommandOutputInput{CommandId: sent.Command.CommandId, InstanceId: &node, WaitSeconds: new(int32(5))}
	if err := hubtest.Await(patience, "the output", func() (bool, error) {
		var out watchbill.GetCommandOutputOutput
		h.Must(t, "watchbill", "GetCommandOutput", in, &out)
		text := string(out.Content)
		return *out.Complete && strings.Contains(text, c["small output"]) && strings.Count(text, c["large output"]) == 3000, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := hubtest.Await(patience, "the notification", func() (bool, error) {
		b, err := os.ReadFile(filepath.Join(h.Data, "notified.jsonl"))
		return strings.Contains(string(b), "Success"), err
	}); err != nil {
		t.Error(err)
	}
	var got ssm.GetCommandInvocationOutput
	h.Must(t, "ssm", "GetCommandInvocation", &ssm.GetCommandInvocationInput{CommandId: sent.Command.CommandId, InstanceId: &node}, &got)
	if !strings.Contains(*got.StandardOutputContent, c["small output"]) || !strings.Contains(*got.StandardErrorContent, c["small output"]) {
		t.Errorf("%q", *got.StandardOutputContent)
	}
}

func (c canaries) session(t *testing.T, h *hubtest.Hub, node string) {
	var s ssm.StartSessionOutput
	h.Must(t, "ssm", "StartSession", &ssm.StartSessionInput{Target: &node, Reason: new("look")}, &s)
	c["session's token"] = *s.TokenValue
	pem, err := os.ReadFile(filepath.Join(h.Data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, _, err := (&websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}).DialContext(t.Context(), *s.StreamUrl, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := sessiontest.New(sessiontest.Options{})
	if err := client.Use(conn, *s.TokenValue); err != nil {
		t.Fatal(err)
	}
	defer client.Drop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	typed, half := c.fresh("typed text"), c.fresh("text of a session")[len("canary-"):]
	client.Type(": " + typed + "\necho canary''-" + half + "\nexit 0\n")
	if err := client.Wait(ctx, mgs.PayloadOutput, "canary-"+half); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Closed(ctx); err != nil {
		t.Fatal(err)
	}
	if err := hubtest.Await(patience, "the recording", func() (bool, error) {
		var out watchbill.GetSessionRecordingOutput
		err := h.Client(t, hubtest.Admin).Call(t.Context(), "watchbill", "GetSessionRecording", &watchbill.GetSessionRecordingInput{SessionId: s.SessionId}, &out)
		return err == nil && strings.Contains(string(out.Content), "canary-"+half), nil
	}); err != nil {
		t.Error(err)
	}
}

// kept puts secrets into a log group, a bucket and the key service.
func (c canaries) kept(t *testing.T, h *hubtest.Hub) {
	group := new("canary")
	h.Must(t, "logs", "CreateLogGroup", &logs.CreateLogGroupInput{LogGroupName: group}, nil)
	h.Must(t, "logs", "CreateLogStream", &logs.CreateLogStreamInput{LogGroupName: group, LogStreamName: new("s")}, nil)
	h.Must(t, "logs", "PutLogEvents", &logs.PutLogEventsInput{
		LogGroupName: group, LogStreamName: new("s"), LogEvents: []logs.InputLogEvent{{Timestamp: new(time.Now().UnixMilli()), Message: new(c.fresh("log message"))}},
	}, nil)
	for _, path := range []string{"/canary", "/canary/object"} {
		body := ""
		if strings.Count(path, "/") == 2 {
			body = c.fresh("object")
		}
		sum := sha256.Sum256([]byte(body))
		q := hubtest.Request{Service: "s3", Credentials: hubtest.Admin, Request: shape.Request{
			Method: http.MethodPut, Path: path, Body: []byte(body), Header: http.Header{"X-Amz-Content-Sha256": {hex.EncodeToString(sum[:])}},
		}}
		if a := h.Send(t, q); a.Status != http.StatusOK {
			t.Errorf("%+v", a)
		}
	}
	var key kms.CreateKeyOutput
	h.Must(t, "kms", "CreateKey", nil, &key)
	var data kms.GenerateDataKeyOutput
	h.Must(t, "kms", "GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: key.KeyMetadata.KeyId, KeySpec: kms.DataKeySpecAes256}, &data)
	c["data key"] = string(data.Plaintext)
	h.Must(t, "kms", "Encrypt", &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte(c.fresh("text that is encrypted"))}, nil)
}

// Nothing of what goes through a node, or is kept for one, is found in plain: neither
// in the store, the blobs and the journal, nor in the logs of the hub and of the node.
func TestNothingOfANodeIsFound(t *testing.T) {
	hubtest.Each(t, map[string]string{}, func(t *testing.T, h *hubtest.Hub) {
		hubtest.WriteFiles(t, h.Data, map[string]string{"notify.yaml": "topics:\n  " + canaryTopic + ": file://" + filepath.Join(h.Data, "notified.jsonl") + "\n"})
		c := canaries{}
		log := c.live(t, h)
		c.search(t, h, map[string][]byte{"node's log": []byte(log.String())})
	})
}
