package gateway

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func TestCommandOnARealNode(t *testing.T) {
	h := newHub(t)
	id := h.startAgent()
	if got := h.describe(id); got.PingStatus != ssm.PingStatusOnline || got.PlatformType != ssm.PlatformTypeLinux {
		t.Errorf("node %+v", got)
	}
	c := h.send(id, "echo out", "echo err >&2", "exit 3")
	h.wait("command.finished")
	got := h.get(c, id)
	if *got.ResponseCode != 3 || got.Status != ssm.CommandInvocationStatusFailed || *got.StandardOutputContent != "out\n" ||
		!strings.HasPrefix(*got.StandardErrorContent, "err\n") {
		t.Errorf("invocation: %s, code %d, out %q, err %q", got.Status, *got.ResponseCode, *got.StandardOutputContent, *got.StandardErrorContent)
	}
}

func TestFullOutputArrives(t *testing.T) {
	h := newHub(t)
	id := h.startAgent()
	c := h.send(id, "seq 1 60000")
	h.wait("command.finished")
	if got := h.get(c, id); !strings.HasSuffix(*got.StandardOutputContent, "--output truncated--") {
		t.Errorf("%d characters that are not cut", len(*got.StandardOutputContent))
	}
	var want, got strings.Builder
	for i := range 60000 {
		fmt.Fprintln(&want, i+1)
	}
	in := &watchbill.GetCommandOutputInput{CommandId: &c, InstanceId: &id, Offset: new(int64(0)), WaitSeconds: new(int32(20))}
	for {
		out, err := h.commands.GetCommandOutput(h.ctx, in)
		h.must(err)
		got.Write(out.Content)
		if in.Offset = out.NextOffset; *out.Complete || len(out.Content) == 0 {
			break
		}
	}
	if got.String() != want.String() {
		t.Errorf("%d of %d bytes are here", got.Len(), want.Len())
	}
}

func TestConnectionLostInTheMiddle(t *testing.T) {
	h := newHub(t)
	id := h.startAgent()
	dir := t.TempDir()
	c := h.send(id, "cd "+dir, "echo x >> ran", "while [ ! -e go ]; do sleep 0.02; done", "echo done")
	h.wait("command.delivered")
	h.gateway.mu.Lock()
	_ = h.gateway.channels[id].conn.Close()
	h.gateway.mu.Unlock()
	h.wait("node.offline")
	if got := h.describe(id); got.PingStatus != ssm.PingStatusConnectionLost {
		t.Errorf("ping status %s", got.PingStatus)
	}
	h.must(os.WriteFile(filepath.Join(dir, "go"), nil, 0o600)) // it ends while nobody listens
	h.wait("command.finished")
	if got := h.get(c, id); *got.StandardOutputContent != "done\n" || got.Status != ssm.CommandInvocationStatusSuccess {
		t.Errorf("invocation: %s, out %q", got.Status, *got.StandardOutputContent)
	}
	if ran, err := os.ReadFile(filepath.Join(dir, "ran")); err != nil || string(ran) != "x\n" {
		t.Errorf("it ran %q times, %v", ran, err)
	}
}

func TestCancelOnARealNode(t *testing.T) {
	h := newHub(t)
	id := h.startAgent()
	c := h.send(id, "echo begun", "sleep 60")
	h.wait("command.delivered")
	_, err := h.commands.CancelCommand(h.ctx, &ssm.CancelCommandInput{CommandId: &c})
	h.must(err)
	h.wait("command.finished")
	if got := h.get(c, id); got.Status != ssm.CommandInvocationStatusCancelled {
		t.Errorf("invocation %s", got.Status)
	}
}

func TestNodeThatIsNotThere(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	out, err := h.commands.SendCommand(h.ctx, &ssm.SendCommandInput{
		DocumentName: new("Run"), InstanceIds: []string{m.id}, Parameters: map[string][]string{"commands": {"id"}}, TimeoutSeconds: new(int32(1)),
	})
	h.must(err)
	h.wait("command.finished")
	if got := h.get(*out.Command.CommandId, m.id); *got.StatusDetails != "DeliveryTimedOut" {
		t.Errorf("invocation %s", *got.StatusDetails)
	}
	l := m.open(m.token())
	h.wait("node.online")
	_ = l.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, b, err := l.conn.ReadMessage(); err == nil {
		t.Errorf("got %q after the delivery timeout", b)
	}
}

func TestForeignReplyIsRefused(t *testing.T) {
	h := newHub(t)
	victim, other := h.newMachine(), h.newMachine()
	v := victim.open(victim.token())
	h.wait("node.online")
	c := h.send(victim.id, "id")
	var job mgs.AgentJob
	v.read(mgs.TypeAgentJob, &job)
	if job.JobID != mgs.JobID(c, victim.id) {
		t.Errorf("job %+v", job)
	}
	o := other.open(other.token())
	h.wait("node.online")
	for _, jobID := range []string{job.JobID, mgs.JobID(c, other.id)} {
		o.write(mgs.TypeAgentJobReply, mgs.AgentJobReply{SchemaVersion: 1, JobID: jobID, Content: `{"documentStatus":"Success"}`})
		var ack mgs.AgentJobReplyAck
		o.read(mgs.TypeAgentJobReplyAck, &ack)
		if row := h.wait("command.report.refused"); row.Subject != other.id {
			t.Errorf("fact about %s", row.Subject)
		}
	}
	for name, in := range map[string]any{
		"EC2WindowsMessageDeliveryService.SendReply":          map[string]string{"MessageId": job.JobID, "Payload": `{"documentStatus":"Success"}`},
		"EC2WindowsMessageDeliveryService.AcknowledgeMessage": map[string]string{"MessageId": job.JobID},
	} {
		if status, out := other.call(name, in, other.bySession("ec2messages")); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	if got := h.get(c, victim.id); got.Status != ssm.CommandInvocationStatusPending {
		t.Errorf("invocation %s", got.Status)
	}
	v.write(mgs.TypeAgentJobAck, mgs.AgentJobAck{JobID: job.JobID, StatusCode: mgs.AckOK})
	h.wait("command.delivered")
}

func TestNewestChannelWins(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	first := m.open(m.token())
	h.wait("node.online")
	second := m.open(m.token())
	h.wait("node.channel.replaced")
	var closed mgs.ChannelClosed
	first.read(mgs.TypeChannelClosed, &closed)
	if _, _, err := first.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("the old channel ended with %v", err)
	}
	h.send(m.id, "id")
	var job mgs.AgentJob
	second.read(mgs.TypeAgentJob, &job)
	_ = second.conn.Close()
	h.wait("node.offline")
}

func TestChannelsAreRefused(t *testing.T) {
	h := newHub(t)
	m, other := h.newMachine(), h.newMachine()
	ask := `{"MessageSchemaVersion":"1.0","RequestId":"r"}`
	header := func() http.Header { return http.Header{"Content-Type": {"application/json"}} }
	for name, c := range map[string]struct {
		path, body string
		sign       signer
	}{
		"not signed":      {"/v1/control-channel/" + m.id, ask, nil},
		"other node":      {"/v1/control-channel/" + other.id, ask, m.bySession("ssmmessages")},
		"other service":   {"/v1/control-channel/" + m.id, ask, m.bySession("ssm")},
		"no JSON":         {"/v1/control-channel/" + m.id, `x`, m.bySession("ssmmessages")},
		"name twice":      {"/v1/control-channel/" + m.id, `{"RequestId":"a","requestid":"b"}`, m.bySession("ssmmessages")},
		"large":           {"/v1/control-channel/" + m.id, strings.Repeat(" ", maxOpenBody+1), m.bySession("ssmmessages")},
		"unknown session": {"/v1/data-channel/x", ask, m.bySession("ssmmessages")},
	} {
		if status, body := m.post(c.path, c.body, header(), c.sign); status < 400 || status > 499 || !strings.Contains(string(body), "<Message>") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	token := m.token()
	m.open(token)
	h.wait("node.online")
	for name, used := range map[string]string{"used": token, "foreign": other.token(), "none": ""} {
		l := m.open(used)
		_ = l.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, _, err := l.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%s token: %v", name, err)
		}
	}
	if h.gateway.Channels() != 1 {
		t.Errorf("%d channels", h.gateway.Channels())
	}
}

func TestKeyOperationsAreRefused(t *testing.T) {
	h := newHub(t)
	m, other := h.newMachine(), h.newMachine()
	stranger := &machine{hub: h, id: "mi-00000000000000000", key: m.key}
	mixed := &machine{hub: h, id: m.id, key: other.key}
	for name, c := range map[string]struct {
		by   *machine
		in   any
		code string
	}{
		"unknown node":   {stranger, map[string]string{"Fingerprint": "print"}, "InvalidSignatureException"},
		"key of another": {mixed, map[string]string{"Fingerprint": "print"}, "InvalidSignatureException"},
		"fingerprint":    {m, map[string]string{"Fingerprint": "other"}, "MachineFingerprintDoesNotMatch"},
		"no input":       {m, []string{}, "SerializationException"},
	} {
		if status, out := c.by.call("RequestManagedInstanceRoleToken", c.in, c.by.byKey); status != http.StatusBadRequest || out["__type"] != c.code {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	changed := func(r *http.Request, body []byte) { m.byKey(r, []byte(`{"Fingerprint":"x"}`)) }
	if status, _ := m.call("RequestManagedInstanceRoleToken", map[string]string{"Fingerprint": "print"}, changed); status != http.StatusBadRequest {
		t.Errorf("a body that was not signed: %d", status)
	}
	if status, _ := m.call("RequestManagedInstanceRoleToken", map[string]string{"Fingerprint": "print"}, nil); status != http.StatusBadRequest {
		t.Errorf("not signed: %d", status)
	}
}

func TestKeyRotation(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	h.must(err)
	if status, out := m.call("UpdateManagedInstancePublicKey", map[string]string{"NewPublicKey": m.public(fresh), "NewPublicKeyType": "Rsa"}, m.byKey); status != http.StatusOK {
		t.Fatalf("%d %v", status, out)
	}
	ask := map[string]string{"Fingerprint": "print"}
	if status, _ := m.call("RequestManagedInstanceRoleToken", ask, m.byKey); status != http.StatusBadRequest {
		t.Errorf("the old key: %d", status)
	}
	m.key = fresh
	if status, out := m.call("RequestManagedInstanceRoleToken", ask, m.byKey); status != http.StatusOK {
		t.Errorf("the new key: %d %v", status, out)
	}
}

func TestNodeSpeaksForItselfOnly(t *testing.T) {
	h := newHub(t)
	m, other := h.newMachine(), h.newMachine()
	for name, want := range map[string]int{m.id: http.StatusOK, other.id: http.StatusBadRequest, "": http.StatusBadRequest} {
		for _, op := range []string{"UpdateInstanceInformation", "ListInstanceAssociations"} {
			if status, out := m.call(op, map[string]string{"InstanceId": name}, m.bySession("ssm")); status != want {
				t.Errorf("%s for %q: %d %v", op, name, status, out)
			}
		}
	}
}

func TestHubStops(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	l := m.open(m.token())
	h.wait("node.online")
	h.gateway.shut()
	_ = l.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, _, err := l.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the channel ended with %v", err)
	}
	if got := h.describe(m.id); got.PingStatus != ssm.PingStatusOnline {
		t.Errorf("ping status %s while its hub restarts", got.PingStatus)
	}
}

func TestTwoHubsOnOneStore(t *testing.T) {
	if os.Getenv(dbtest.PostgresVariable) == "" {
		t.Skipf("%s is not set: several hubs need PostgreSQL", dbtest.PostgresVariable)
	}
	address, sealKey := dbtest.PostgresURL(t), filepath.Join(t.TempDir(), "seal.key")
	hubs := make([]*hub, 2)
	for i := range hubs {
		d, err := db.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		if err := d.Migrate(t.Context(), migrations); err != nil {
			t.Fatal(err)
		}
		hubs[i] = newHubOn(t, d, sealKey)
	}
	m := hubs[0].newMachine()
	first := m.open(m.token())
	hubs[0].send(m.id, "id")
	var job mgs.AgentJob
	first.read(mgs.TypeAgentJob, &job) // the channel is open
	start := time.Now()
	c := hubs[1].send(m.id, "id")
	for job.JobID != mgs.JobID(c, m.id) {
		first.read(mgs.TypeAgentJob, &job)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a job from the other hub took %v", took)
	}
	m.url = hubs[1].url
	second := m.open(m.token())
	var closed mgs.ChannelClosed
	first.read(mgs.TypeChannelClosed, &closed)
	hubs[0].send(m.id, "id")
	second.read(mgs.TypeAgentJob, &job)
	if n, err := hubs[0].nodes.Lookup(t.Context(), m.id); err != nil || !n.Online {
		t.Errorf("node %+v, %v", n, err)
	}
}

// Refusals are told with who asked, or the address of one who is unknown.
func TestRefusalsAreObserved(t *testing.T) {
	h := newHub(t)
	m, other := h.newMachine(), h.newMachine()
	ask := `{"MessageSchemaVersion":"1.0","RequestId":"r"}`
	me := "arn:aws:sts::" + scope.Account + ":assumed-role/watchbill-node/" + m.id
	for name, c := range map[string]struct {
		call  func() int
		want  string // service and operation
		actor string
	}{
		"other node's channel": {func() int {
			status, _ := m.post("/v1/control-channel/"+other.id, ask, http.Header{}, m.bySession("ssmmessages"))
			return status
		}, "ssmmessages:CreateControlChannel", me},
		"channel, not signed": {func() int {
			status, _ := m.post("/v1/control-channel/"+m.id, ask, http.Header{}, nil)
			return status
		}, "ssmmessages:CreateControlChannel", ""},
		"other node's health": {func() int {
			status, _ := m.call("AmazonSSM.UpdateInstanceInformation", map[string]string{"InstanceId": other.id}, m.bySession("ssm"))
			return status
		}, "ssm:UpdateInstanceInformation", me},
		"credentials for another service": {func() int {
			status, _ := m.call("EC2WindowsMessageDeliveryService.SendReply", map[string]string{"MessageId": "x"}, m.bySession("ssm"))
			return status
		}, "ec2messages:SendReply", me},
	} {
		if status := c.call(); status < 400 || status > 499 {
			t.Errorf("%s: %d", name, status)
		}
		if got := <-h.refused; got.Service+":"+got.Operation != c.want || got.actor != c.actor || got.Source != "127.0.0.1" {
			t.Errorf("%s: %s:%s by %q from %q", name, got.Service, got.Operation, got.actor, got.Source)
		}
	}
}
