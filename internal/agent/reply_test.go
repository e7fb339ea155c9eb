package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// TestReplyFits checks that the worst text there is still fits in a reply and
// in a frame.
func TestReplyFits(t *testing.T) {
	for _, char := range []string{"\x1b", "<", `"`, "\\", "\n", "😀", "\u2028", "a"} {
		r := newReply("job", runner.Failed, "", runner.Result{
			Name: "run", Action: "aws:runShellScript", Status: runner.Failed,
			Stdout: strings.Repeat(char, runner.MaxStdout), Stderr: strings.Repeat(char, runner.MaxStderr),
		})
		if len(r.Content) > mgs.MaxReplyContent {
			t.Errorf("%q: %d bytes", char, len(r.Content))
		}
		m, err := replyMessage(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Marshal(); err != nil {
			t.Errorf("%q: %v", char, err)
		}
		var c mgs.ReplyContent
		if err := json.Unmarshal([]byte(r.Content), &c); err != nil {
			t.Fatal(err)
		}
		if n := utf8.RuneCountInString(c.RuntimeStatus["run"].Output); n > mgs.MaxStepOutput {
			t.Errorf("%q: output has %d characters", char, n)
		}
	}
}

func TestOutput(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct{ name, stdout, stderr, want string }{
		{"nothing", "", "", ""},
		{"stdout", "a", "", "a"},
		{"both", "a\n", "b", "a\n\n----------ERROR-------\nb"},
		{"long stdout", long, "", long[:2500-len(outputCutoff)] + outputCutoff},
		{"long stdout, short stderr", long, "b", long[:2500-len(outputCutoff+errorTitle)-1] + outputCutoff + errorTitle + "b"},
	} {
		if got := output(tt.stdout, tt.stderr); got != tt.want {
			t.Errorf("%s: %d characters ending %q", tt.name, len(got), got[max(0, len(got)-60):])
		}
	}
	both := output(long, long)
	if len(both) != 2500 || !strings.Contains(both, outputCutoff+errorTitle) || !strings.HasSuffix(both, errorCutoff) {
		t.Errorf("both long: %d characters", len(both))
	}
}

// TestResendTimes sends one reply whenever it is due, for an hour.
func TestResendTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{sent: map[string]sending{}}
		reply := ledger.Reply{ID: "r"}
		start := time.Now()
		var at []time.Duration
		for tick := time.NewTicker(resendTick); time.Since(start) < 20*time.Minute; <-tick.C {
			if n.due(reply.ID) {
				n.sending(reply.ID)
				at = append(at, time.Since(start))
			}
		}
		want := []time.Duration{0, 10 * time.Second, 30 * time.Second, 70 * time.Second, 150 * time.Second, 310 * time.Second, 610 * time.Second, 910 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("sent at %v", at)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("sent at %v, want %v", at, want)
			}
		}
	})
}
