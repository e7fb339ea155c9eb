package session

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
)

// recording is the recording of a session, once it is closed.
func (w *world) recording(t *testing.T, id string) string {
	t.Helper()
	var text strings.Builder
	await(t, "the recording", func() bool {
		text.Reset()
		var offset int64
		for {
			var out watchbill.GetSessionRecordingOutput
			if w.Call(t)("watchbill", "GetSessionRecording", &watchbill.GetSessionRecordingInput{SessionId: &id, Offset: &offset}, &out) != nil {
				return false // not yet
			}
			text.Write(out.Content)
			if len(out.Content) == 0 {
				return out.Complete != nil && *out.Complete
			}
			offset += int64(len(out.Content))
		}
	})
	return text.String()
}

func TestShell(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{Reason: new("a test")})
	r.expect("$ ")
	r.typed("stty size; echo answer-$((6*7))\n")
	r.expect("31 97")
	r.expect("answer-42")
	r.typed("stty -echo; echo now-$((1+1)); read x; stty echo; echo got-${#x}\n")
	r.expect("now-2")
	r.typed("s3cret-word\n")
	r.expect("got-11")
	w.status(t, r.session, ssm.SessionStatusConnected)
	r.typed("exit\n")
	took := r.over()
	t.Logf("the plugin ended %v after exit", took)
	if took > 3*time.Second {
		t.Errorf("the end took %v: both ends waited for acknowledgements", took)
	}
	w.status(t, r.session, ssm.SessionStatusTerminated)
	cast := w.recording(t, r.session)
	for _, want := range []string{`"version":2`, "answer-42", `"r","97x31"`, "hidden input, 11 characters"} {
		if !strings.Contains(cast, want) {
			t.Errorf("the recording lacks %s:\n%s", want, cast)
		}
	}
	if strings.Contains(cast, "s3cret") {
		t.Errorf("the recording has what was typed without an echo:\n%s", cast)
	}
}

// TestTypedAtOnce: what is typed before the plugin is ready makes output at a time at
// which the plugin refuses it. None of it is lost. More rounds: -sessions 100.
func TestTypedAtOnce(t *testing.T) {
	w := newWorld(t)
	for n := range *sessions {
		w.typesAtOnce(t, n)
	}
}

func (w *world) typesAtOnce(t *testing.T, n int) {
	t.Helper()
	r := w.start(t, &ssm.StartSessionInput{})
	defer func() {
		if t.Failed() {
			w.Must(t, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &r.session}, &ssm.TerminateSessionOutput{})
			t.Logf("%d bytes came from the plugin", w.input(t, r.session))
			t.Logf("recorded:\n%s", w.recording(t, r.session))
		}
	}()
	line, want := fmt.Sprintf("echo first-$((%d+0)); echo second-$((%d+1)); exit\n", n, n), fmt.Sprintf("first-%d\nsecond-%d\n", n, n+1)
	r.typed(line)
	if !r.shows(want, 15*time.Second) && w.input(t, r.session) == 0 {
		t.Log("the plugin has lost what was typed before it was ready: it is typed again")
		r.typed(line)
	}
	r.expect(want)
	r.over()
}

// input is how many bytes of what was typed reached the hub.
func (w *world) input(t *testing.T, session string) int64 {
	t.Helper()
	var list watchbill.ListSessionRecordingsOutput
	w.Must(t, "watchbill", "ListSessionRecordings", &watchbill.ListSessionRecordingsInput{}, &list)
	for _, one := range list.Recordings {
		if *one.SessionId == session {
			return *one.InputBytes
		}
	}
	t.Fatal("the session has no recording")
	return 0
}

func TestInteractiveCommand(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{
		DocumentName: new("AWS-StartInteractiveCommand"), Parameters: map[string][]string{"command": {"echo ready-$((1+1)); read x; echo got-$x"}},
	})
	r.expect("ready-2")
	r.typed("this\n")
	r.expect("got-this")
	r.over()
}

func TestNonInteractiveCommand(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{
		DocumentName: new("AWS-StartNonInteractiveCommand"), Parameters: map[string][]string{"command": {"echo one; two"}},
	})
	r.expect("one; two") // no shell
	r.over()
}

// TestEndsBeforeTheClientComes: a client that comes late hears why the session ended.
func TestEndsBeforeTheClientComes(t *testing.T) {
	w := newWorld(t)
	w.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{
		Name: new("AsNobody"), DocumentType: ssm.DocumentTypeSession,
		Content: new(`{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"runAsEnabled":true,"runAsDefaultUser":"no-such-user"}}`),
	}, &ssm.CreateDocumentOutput{})
	id, cmd := w.command(t, &ssm.StartSessionInput{DocumentName: new("AsNobody")})
	w.status(t, id, ssm.SessionStatusFailed)
	r := show(t, id, cmd)
	r.expect("no-such-user")
	r.over()
	id, cmd = w.command(t, &ssm.StartSessionInput{})
	w.Must(t, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &id}, &ssm.TerminateSessionOutput{})
	r = show(t, id, cmd)
	r.expect("The session was terminated.")
	r.over()
}

func TestTerminate(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{})
	r.expect("$ ")
	w.Must(t, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &r.session}, &ssm.TerminateSessionOutput{})
	r.over()
	w.status(t, r.session, ssm.SessionStatusTerminated)
}

// TestResume: neither a cut line of the client nor one of the node loses or
// repeats a byte.
func TestResume(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{})
	r.expect("$ ")
	const lines = 400
	r.typed(fmt.Sprintf("for i in $(seq 1 %d); do echo line-$i; sleep 0.01; done; echo all-$((1+1))\n", lines))
	r.expect("line-50\n")
	w.client.cut()
	r.expect("line-150\n")
	w.nodeLine.cut()
	r.expect("all-2")
	shown := r.shown()
	for n := range lines {
		if got := strings.Count(shown, fmt.Sprintf("line-%d\n", n+1)); got != 1 {
			t.Fatalf("line %d came %d times", n+1, got)
		}
	}
	r.typed("exit\n")
	took := r.over()
	t.Logf("the plugin ended %v after exit", took)
	cast := w.recording(t, r.session)
	if got := strings.Count(cast, `line-400\r\n`); got != 1 {
		t.Errorf("the recording has the last line %d times", got)
	}
}

// TestHubRestarts: a session goes on after the hub was away, and its recording says
// where.
func TestHubRestarts(t *testing.T) {
	w := newWorld(t)
	r := w.start(t, &ssm.StartSessionInput{})
	r.expect("$ ")
	r.typed("echo one-$((1+0))\n")
	r.expect("one-1")
	w.End(t)
	w.Begin(t, "")
	w.client.lead(w.URL)
	w.nodeLine.lead(w.URL)
	w.status(t, r.session, ssm.SessionStatusConnected)
	r.typed("echo two-$((1+1))\n")
	r.expect("two-2")
	r.typed("exit\n")
	r.over()
	w.status(t, r.session, ssm.SessionStatusTerminated)
}

// TestTokenIsGoodOnce: whoever has the token of a session that is open gets nothing.
func TestTokenIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	var out ssm.StartSessionOutput
	w.Must(t, "ssm", "StartSession", &ssm.StartSessionInput{Target: &w.node}, &out)
	hello := []byte(`{"MessageSchemaVersion":"1.0","RequestId":"1","ClientId":"c","ClientVersion":"1.3.0.0","TokenValue":"` + *out.TokenValue + `"}`)
	results := make(chan bool)
	const tries = 20
	for range tries {
		go func() { results <- w.opens(t, *out.StreamUrl, hello) }()
	}
	won := 0
	for range tries {
		if <-results {
			won++
		}
	}
	if won != 1 {
		t.Fatalf("%d of %d got output with one token", won, tries)
	}
	if w.opens(t, *out.StreamUrl, []byte(`{"TokenValue":""}`)) || w.opens(t, *out.StreamUrl, []byte("not JSON")) {
		t.Fatal("output without a token")
	}
}

// opens says whether the first message brings any frame.
func (w *world) opens(t *testing.T, address string, hello []byte) bool {
	pem, err := os.ReadFile(filepath.Join(w.Data, "ca.pem"))
	if err != nil {
		t.Error(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}
	conn, _, err := d.Dial(address, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if err := conn.WriteMessage(websocket.TextMessage, hello); err != nil {
		return false
	}
	_, _, err = conn.ReadMessage()
	return err == nil
}
