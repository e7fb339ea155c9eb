package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
