package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// The traps of the control channel that were met with the stock agent, each played by
// a node of the test's own.

// job opens the channel of a new machine and gives it a command.
func (h *hub) job() (l link, commandID string, job mgs.AgentJob) {
	h.t.Helper()
	m := h.newMachine()
	l = m.open(m.token())
	h.wait("node.online")
	commandID = h.send(m.id, "id")
	l.read(mgs.TypeAgentJob, &job)
	return l, commandID, job
}

func (l link) ack(job mgs.AgentJob, code string) {
	l.write(mgs.TypeAgentJobAck, mgs.AgentJobAck{JobID: job.JobID, StatusCode: code})
}

// report sends a reply and waits until it is acknowledged.
func (l link) report(job mgs.AgentJob, content string) {
	l.t.Helper()
	l.write(mgs.TypeAgentJobReply, mgs.AgentJobReply{SchemaVersion: 1, JobID: job.JobID, Content: content})
	var ack mgs.AgentJobReplyAck
	l.read(mgs.TypeAgentJobReplyAck, &ack)
}

func step(status string, code int, out string) string {
	return fmt.Sprintf(`{"documentStatus":"InProgress","runtimeStatus":{"run":{"status":%q,"code":%d,"name":"aws:runShellScript","standardOutput":%q}}}`, status, code, out)
}

const (
	progress  = `{"documentStatus":"InProgress","runtimeStatus":{}}`
	succeeded = `{"documentStatus":"Success","runtimeStatus":{}}`
)

// A node without room (51402) is asked again, and the job counts as never sent: the
// end of redelivery to stock agents does not apply.
func TestBusyNodeIsAskedAgain(t *testing.T) {
	h := newHub(t)
	l, c, job := h.job()
	l.ack(job, mgs.AckBufferFull)
	h.until(func() bool { return *h.get(c, l.id).StatusDetails == "Delayed" })
	h.due(l.id)
	var again mgs.AgentJob
	l.read(mgs.TypeAgentJob, &again)
	if again.JobID != job.JobID {
		t.Errorf("job %s, want %s", again.JobID, job.JobID)
	}
	l.ack(again, mgs.AckOK)
	h.wait("command.delivered")
}

// due lets what waits in a node's mailbox be due now.
func (h *hub) due(id string) {
	h.t.Helper()
	h.must(h.nodes.DB.Update(h.ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("update mailbox_message set due = 1 where node_id = $1", id); err != nil {
			return err
		}
		return tx.Notify("mailbox/" + scope.Account + "/" + scope.Region + "/" + id)
	}))
}

// until waits for a condition that the store shows.
func (h *hub) until(f func() bool) {
	h.t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatal("it did not come to pass")
		}
	}
}

// A job that was not acknowledged is sent again, under the same id: a stock agent whose
// document worker is not up yet drops it without a word.
func TestDroppedJobIsSentAgain(t *testing.T) {
	h := newHub(t)
	l, _, job := h.job()
	h.due(l.id)
	var again mgs.AgentJob
	l.read(mgs.TypeAgentJob, &again)
	if again != job {
		t.Errorf("the second sending is %+v, want %+v", again, job)
	}
}

// A duplicate (51405) is the node's way to say that it has the job already; a parse
// error (51408) is followed by a Failed reply with nothing in it.
func TestAcksThatAreNotOK(t *testing.T) {
	for code, c := range map[string]struct{ reply, want string }{
		mgs.AckDuplicate:  {succeeded, "Success"},
		mgs.AckParseError: {`{"documentStatus":"Failed","runtimeStatus":{}}`, "Failed"},
		mgs.AckInvalid:    {"", "Undeliverable"},
	} {
		t.Run(code, func(t *testing.T) {
			h := newHub(t)
			l, id, job := h.job()
			l.ack(job, code)
			if c.reply != "" {
				h.wait("command.delivered")
				l.report(job, c.reply)
			}
			h.wait("command.finished")
			if got := *h.get(id, l.id).StatusDetails; got != c.want {
				t.Errorf("status details %s, want %s", got, c.want)
			}
		})
	}
}

// Replies come in any order and more than once: what is final stays.
func TestRepliesOutOfOrder(t *testing.T) {
	h := newHub(t)
	l, c, job := h.job()
	l.report(job, step("Success", 0, "whole")) // before the acknowledgement of the job
	l.report(job, succeeded)
	h.wait("command.finished")
	for range 2 {
		l.report(job, progress)
		l.report(job, step("InProgress", -1, ""))
		l.report(job, step("Failed", 7, "other"))
		l.report(job, `{"documentStatus":"Failed","runtimeStatus":{}}`)
	}
	l.ack(job, mgs.AckOK)
	got := h.get(c, l.id)
	if got.Status != ssm.CommandInvocationStatusSuccess || *got.ResponseCode != 0 || *got.StandardOutputContent != "whole" {
		t.Errorf("%s, code %d, out %q", got.Status, *got.ResponseCode, *got.StandardOutputContent)
	}
}

// A step's report may come after the final reply, which says nothing of steps.
func TestStepAfterTheEnd(t *testing.T) {
	h := newHub(t)
	l, c, job := h.job()
	l.report(job, succeeded)
	h.wait("command.finished")
	l.report(job, step("Success", 0, "late"))
	if got := h.get(c, l.id); *got.StandardOutputContent != "late" || *got.ResponseCode != 0 {
		t.Errorf("code %d, out %q", *got.ResponseCode, *got.StandardOutputContent)
	}
}

// A reply that the stock agent cannot send, of more than 120,000 bytes, never comes: the
// timeouts of the command end it.
func TestReplyThatNeverComes(t *testing.T) {
	h := newHub(t)
	l, c, job := h.job()
	l.ack(job, mgs.AckOK)
	h.wait("command.delivered")
	l.report(job, progress)
	h.must(h.nodes.DB.Update(h.ctx, func(tx *db.Tx) error { // long ago
		if _, err := tx.Exec("update command_command set ends = $1 where id = $2", db.Micros(tx.Now.Add(-time.Hour)), c); err != nil {
			return err
		}
		_, err := h.commands.Tasks.Reschedule(tx, "command.end", c, tx.Now)
		return err
	}))
	h.wait("command.finished")
	if got := h.get(c, l.id); got.Status != ssm.CommandInvocationStatusTimedOut {
		t.Errorf("status %s", got.Status)
	}
	l.report(job, succeeded) // and it is still acknowledged, or the node repeats it for hours
}

// Frames that nobody knows, or nobody can read, do not end the channel.
func TestFramesThatAreIgnored(t *testing.T) {
	h := newHub(t)
	l, c, job := h.job()
	l.ack(job, mgs.AckOK)
	for _, kind := range []string{"agent_telemetry", "agent_update_result", "some_future_frame"} {
		l.write(kind, map[string]any{"counters": map[string]int{"x": 1}})
	}
	m, err := mgs.Encode(mgs.TypeAgentJobReply, mgs.AgentJobReply{SchemaVersion: 1, JobID: job.JobID, Content: succeeded})
	h.must(err)
	good, err := m.Marshal()
	h.must(err)
	digest := append([]byte{}, good...)
	digest[80] ^= 0xff
	undated := append([]byte{}, good...)
	clear(undated[40:48])
	length := append([]byte{}, good...)
	binary.BigEndian.PutUint32(length[116:], 1<<30)
	bad := map[string][]byte{"empty": {}, "truncated": good[:len(good)-1], "header only": good[:116], "digest": digest, "no date": undated, "length": length}
	for _, b := range bad {
		h.must(l.conn.WriteMessage(websocket.BinaryMessage, b))
	}
	h.must(l.conn.WriteMessage(websocket.TextMessage, []byte(`{"a":1}`)))
	for _, payload := range []string{"", "{", "[]", `{"jobId":1}`, `{"jobId":"x","jobId":"y"}`} {
		l.raw(mgs.TypeAgentJobReply, payload)
		l.raw(mgs.TypeAgentJobAck, payload)
	}
	l.report(job, progress) // it is open, and in order
	if got := h.get(c, l.id); got.Status != ssm.CommandInvocationStatusInProgress {
		t.Errorf("status %s after %v", got.Status, len(bad))
	}
}

func (l link) raw(kind, payload string) {
	l.t.Helper()
	b, err := (&mgs.Message{Type: kind, Created: time.Now(), ID: uuid.New(), Payload: []byte(payload)}).Marshal()
	l.must(err)
	l.must(l.conn.WriteMessage(websocket.BinaryMessage, b))
}

// A frame over the limit ends its own channel, and the node is back on the next one.
func TestOversizedFrame(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	l := m.open(m.token())
	h.wait("node.online")
	_ = l.conn.WriteMessage(websocket.BinaryMessage, make([]byte, mgs.MaxFrame+1))
	h.wait("node.offline")
	m.open(m.token())
	h.wait("node.online")
}

// Two agents with one key: the newest channel wins, and that the other one was alive is
// told. A channel that was replaced after its connection had died is not.
func TestContestedChannel(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	first := m.open(m.token())
	h.wait("node.online")
	m.open(m.token())
	var closed mgs.ChannelClosed
	first.read(mgs.TypeChannelClosed, &closed)
	_, _, _ = first.conn.ReadMessage() // answers the close
	if row := h.wait("node.channel.contested"); row.Subject != m.id {
		t.Errorf("fact about %s", row.Subject)
	}
	if status, body := m.post("/v1/control-channel/"+m.id, `{"MessageSchemaVersion":"1.0","RequestId":"r"}`, http.Header{}, m.bySession("ssmmessages")); status != http.StatusTooManyRequests {
		t.Errorf("the next one at once: %d %s", status, body)
	}
}

func TestContestsAreToldNowAndThen(t *testing.T) {
	g, now := New(Config{}), time.Now()
	for _, c := range []struct {
		after         time.Duration
		tell, pausing bool
	}{{0, true, true}, {time.Second, false, true}, {contestTold - time.Second, false, true}, {contestTold + time.Second, true, true}} {
		if got := g.contest("n", now.Add(c.after)); got != c.tell {
			t.Errorf("after %v: told %v", c.after, got)
		}
		if (g.quarrel("n", now.Add(c.after)) != nil) != c.pausing || g.quarrel("n", now.Add(c.after+contestPause)) != nil || g.quarrel("m", now) != nil {
			t.Errorf("after %v: the pause is wrong", c.after)
		}
	}
}

func TestConnectionsOfOneNodeAreBounded(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	var held []*websocket.Conn
	for range maxPerNode { // none says its token
		held = append(held, m.dial())
	}
	if _, status := m.tryDial(); status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", status)
	}
	h.must(held[0].Close())
	h.until(func() bool {
		conn, status := m.tryDial()
		if conn != nil {
			_ = conn.Close()
		}
		return status == http.StatusSwitchingProtocols
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	h := newHub(t)
	h.gateway.MaxChannels = 1
	m, other := h.newMachine(), h.newMachine()
	m.dial()
	if _, status := other.tryDial(); status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", status)
	}
}

func (m *machine) dial() *websocket.Conn {
	m.t.Helper()
	conn, status := m.tryDial()
	if status != http.StatusSwitchingProtocols {
		m.t.Fatalf("dial: %d", status)
	}
	return conn
}

func (m *machine) tryDial() (*websocket.Conn, int) {
	m.t.Helper()
	path := "/v1/control-channel/" + m.id + "?role=subscribe&stream=input"
	r, err := http.NewRequest(http.MethodGet, m.url+path, nil)
	m.must(err)
	m.bySession("ssmmessages")(r, nil)
	conn, res, err := websocket.DefaultDialer.DialContext(m.t.Context(), "ws"+strings.TrimPrefix(m.url, "http")+path, r.Header)
	if err != nil && res == nil {
		m.t.Fatal(err)
	}
	if conn != nil {
		m.t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, res.StatusCode
}

// A node whose key is old is told so, and not any more once it has a new one.
func TestOldKey(t *testing.T) {
	h := newHub(t)
	h.nodes.KeyAge = time.Nanosecond
	m := h.newMachine()
	ask := func() any {
		status, out := m.call("RequestManagedInstanceRoleToken", map[string]string{"Fingerprint": "print"}, m.byKey)
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, out)
		}
		return out["UpdateKeyPair"]
	}
	if ask() != true {
		t.Error("an old key was left")
	}
	h.nodes.KeyAge = time.Hour
	if ask() != false {
		t.Error("a new key was refused")
	}
}

// The health ping of a hub in trouble is answered late, not with an error.
func TestHealthPingIsHeld(t *testing.T) {
	h := newHub(t)
	tries := 0
	err := h.gateway.hold(t.Context(), func() error {
		if tries++; tries < 3 {
			return errors.New("the store is busy")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	tries = 0
	err = h.gateway.hold(t.Context(), func() error { tries++; return errSignature })
	if err == nil || tries != 1 {
		t.Errorf("a fault of the node: %d tries, %v", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.gateway.hold(ctx, func() error { return errors.New("busy") }); err == nil {
		t.Error("held after the node went away")
	}
}

// Only a node that is known may send the large bodies of inventory.
func TestLargeBodiesAreForNodes(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonSSM.PutInventory"}}
	body, err := json.Marshal(map[string]string{"pad": strings.Repeat(" ", wire.DefaultMaxBody)})
	h.must(err)
	forged := func(r *http.Request, body []byte) {
		m.bySession("ssm")(r, body)
		r.Header.Set("X-Amz-Security-Token", strings.Repeat("A", 200))
	}
	for name, c := range map[string]struct {
		sign signer
		want int
	}{"not signed": {nil, 413}, "forged token": {forged, 413}, "node": {m.bySession("ssm"), 400}} {
		if status, answer := m.post("/", string(body), maps.Clone(header), c.sign); status != c.want {
			t.Errorf("%s: %d %.200s", name, status, answer)
		}
	}
}

// Packages are documents: the error is the one that makes the stock agent look there.
func TestManifestIsNotFound(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	in := map[string]string{"PackageName": "p", "PackageVersion": "latest"}
	if status, out := m.call("GetManifest", in, m.bySession("ssm")); status != http.StatusBadRequest || out["__type"] != "ResourceNotFoundException" {
		t.Errorf("%d %v", status, out)
	}
	if status, out := m.call("GetManifest", in, nil); status != http.StatusBadRequest || out["__type"] == "ResourceNotFoundException" {
		t.Errorf("not signed: %d %v", status, out)
	}
}

// What a node tells of a package is a fact of the journal, and nothing else.
func TestPackageResultIsAFact(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	in := map[string]any{"PackageName": "tool", "PackageVersion": "2", "PreviousPackageVersion": "1", "Operation": "Install", "OverallTiming": 5, "Result": 0}
	if status, out := m.call("PutConfigurePackageResult", in, nil); status == http.StatusOK {
		t.Errorf("not signed: %v", out)
	}
	if status, out := m.call("PutConfigurePackageResult", in, m.bySession("ssm")); status != http.StatusOK {
		t.Fatalf("%d %v", status, out)
	}
	row := h.wait("node.package")
	if got := string(row.Body); row.Subject != m.id || !strings.Contains(got, `"before":"1"`) || !strings.Contains(got, `"version":"2"`) {
		t.Errorf("%s %s", row.Subject, got)
	}
}
