//go:build unix

package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gorilla/websocket"
)

func TestCommandEndToEnd(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	if l.open.AgentName != mgs.OwnAgent || l.open.AgentVersion != Version {
		t.Errorf("opened with %+v", l.open)
	}
	if code := l.command("c1", "echo hello", "echo oops >&2", "exit 3"); code != mgs.AckOK {
		t.Fatalf("ack %s", code)
	}
	want := mgs.StepStatus{
		Status: mgs.StatusFailed, Code: 3, Name: "aws:runShellScript", StepName: "run",
		StandardOutput: "hello\n", StandardError: "oops\nfailed to run commands: exit status 3",
		Output: "hello\n\n----------ERROR-------\noops\nfailed to run commands: exit status 3",
	}
	var got []mgs.ReplyContent
	for range 3 {
		c, m := l.reply("c1")
		l.ack("c1", m)
		got = append(got, c)
	}
	none := map[string]mgs.StepStatus{}
	step := map[string]mgs.StepStatus{"run": want}
	wantAll := []mgs.ReplyContent{
		{DocumentStatus: mgs.StatusInProgress, RuntimeStatus: none},
		{DocumentStatus: mgs.StatusInProgress, RuntimeStatus: step},
		{DocumentStatus: mgs.StatusFailed, RuntimeStatus: step},
	}
	opts := cmp.Options{cmpopts.IgnoreFields(mgs.ReplyContent{}, "AdditionalInfo"), cmpopts.IgnoreFields(mgs.StepStatus{}, "StartDateTime", "EndDateTime")}
	if diff := cmp.Diff(wantAll, got, opts); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	if code := l.command("c1", "echo again"); code != mgs.AckDuplicate {
		t.Errorf("second sending: ack %s", code)
	}
}

func TestStoredParametersComeFromTheHub(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	c := command("c1")
	c["DocumentContent"] = json.RawMessage(`{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"run",
	 "inputs":{"runCommand":["echo {{ssm:/app/name:3}} {{ssm-secure:/app/key}}"]}}]}`)
	l.job("c1", mgs.TopicSendCommand, c)
	if got := l.end("c1").RuntimeStatus["run"].StandardOutput; got != "web ****\n" {
		t.Errorf("output %q", got)
	}
}

func TestCancelRunningCommand(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	l.command("c1", "sleep 600 & sleep 600")
	if c, _ := l.reply("c1"); c.DocumentStatus != mgs.StatusInProgress {
		t.Fatalf("%+v", c)
	}
	if code := l.job("c2", mgs.TopicCancelCommand, mgs.CancelCommand{CancelMessageID: mgs.JobID("c1", testNode)}); code != mgs.AckOK {
		t.Errorf("cancel: ack %s", code)
	}
	c := l.end("c1")
	if c.DocumentStatus != mgs.StatusCancelled || c.RuntimeStatus["run"].Status != mgs.StatusCancelled {
		t.Errorf("%+v", c)
	}
}

func TestRefusedJobs(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	ok := command("c1", "true")
	other := command("other", "true")
	unreadable := map[string]any{"CommandId": "c3", "DocumentContent": map[string]any{"schemaVersion": "7"}}
	for _, tt := range []struct {
		name, command, topic string
		content              any
		want                 string
	}{
		{"topic", "c1", "aws.ssm.other", ok, mgs.AckWrongType},
		{"payload of another command", "c2", mgs.TopicSendCommand, other, mgs.AckParseError},
		{"path as id", "../../etc", mgs.TopicSendCommand, ok, mgs.AckInvalid},
		{"cancel of another node", "c4", mgs.TopicCancelCommand, mgs.CancelCommand{CancelMessageID: "aws.ssm.c1.mi-other"}, mgs.AckInvalid},
		{"cancel of no command", "c5", mgs.TopicCancelCommand, mgs.CancelCommand{CancelMessageID: mgs.JobID("no", testNode)}, mgs.AckOK},
		{"schema", "c3", mgs.TopicSendCommand, unreadable, mgs.AckParseError},
	} {
		if got := l.job(tt.command, tt.topic, tt.content); got != tt.want {
			t.Errorf("%s: ack %s, want %s", tt.name, got, tt.want)
		}
	}
	if c := l.end("c3"); c.DocumentStatus != mgs.StatusFailed || !strings.Contains(c.DocumentTraceOutput, `"7" is not supported`) {
		t.Errorf("unreadable command: %+v", c)
	}
}

func TestSessionIsRefusedAloud(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	l.send(mgs.TypeInteractiveShell, map[string]any{"TaskId": "operator-1", "Content": "{}", "SchemaVersion": 1})
	var end mgs.AgentTaskComplete
	l.until(mgs.TypeAgentTaskComplete, &end)
	if end.TaskID != "operator-1" || end.FinalTaskStatus != "Failed" || !strings.Contains(end.Output, "cannot be read") {
		t.Errorf("%+v", end)
	}
}

// TestResultSurvivesLostChannel ends a command while the node has no channel:
// its result comes on the next one, with the id it was first given.
func TestResultSurvivesLostChannel(t *testing.T) {
	h := newTestHub(t)
	dir := h.register()
	stop := run(t, dir)
	l := h.link()
	l.command("c1", "echo done")
	_, first := l.reply("c1")
	if first.Type == "" {
		t.Fatal("no reply")
	}
	var unacknowledged []string
	for range 2 { // the step and the end, neither acknowledged
		_, m := l.reply("c1")
		unacknowledged = append(unacknowledged, m.ID.String())
	}
	l.conn.Close()
	l = h.link()
	var again []string
	for range 2 {
		c, m := l.reply("c1")
		if c.RuntimeStatus["run"].StandardOutput != "done\n" {
			t.Errorf("%+v", c)
		}
		again = append(again, m.ID.String())
	}
	if diff := cmp.Diff(unacknowledged, again); diff != "" {
		t.Errorf("ids (-first +again):\n%s", diff)
	}
	stop()
	run(t, dir)
	l = h.link()
	if c := l.end("c1"); c.DocumentStatus != mgs.StatusSuccess {
		t.Errorf("after a restart: %+v", c)
	}
}

// TestStopEndsCommands stops the program under a running command: the result
// says so and comes with the next run; a command that waits runs then.
func TestStopEndsCommands(t *testing.T) {
	h := newTestHub(t)
	dir := h.register()
	stop := run(t, dir)
	l := h.link()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l.command("c1", "echo started > "+pipe, "sleep 600")
	if _, err := os.ReadFile(pipe); err != nil { // the script has begun
		t.Fatal(err)
	}
	stop()
	run(t, dir)
	c := h.link().end("c1")
	if c.DocumentStatus != mgs.StatusFailed || !strings.Contains(c.RuntimeStatus["run"].StandardError, "the node program was stopped") {
		t.Errorf("%+v", c)
	}
}

func TestRefusedCredentialsAreRenewed(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	h.forget()
	l.conn.Close()
	l = h.link()
	if code := l.command("c1", "true"); code != mgs.AckOK {
		t.Errorf("ack %s", code)
	}
}

func TestHubAsksForANewKey(t *testing.T) {
	h := newTestHub(t)
	h.rotate = true
	dir := h.register()
	before, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, dir)
	h.link()
	stop()
	after, err := readState(dir)
	if err != nil || after.Key == before.Key || after.NextKey != "" {
		t.Errorf("key unchanged or rotation left open: %v", err)
	}
	run(t, dir)
	h.link() // the new key is good for a token
}

func TestSecondProgramOnOneDirectory(t *testing.T) {
	h := newTestHub(t)
	dir := h.register()
	run(t, dir)
	h.link()
	err := Run(t.Context(), dir, nil)
	if err == nil || !strings.Contains(err.Error(), "another node program") {
		t.Errorf("second Run: %v", err)
	}
}

func TestHealthReport(t *testing.T) {
	h := newTestHub(t)
	h.refuse["UpdateInstanceInformation"] = 1
	run(t, h.register())
	for seen := 0; seen < 2; { // refused, then taken
		if next(t, "call", h.calls) == "UpdateInstanceInformation" {
			seen++
		}
	}
}

func TestCloseHint(t *testing.T) {
	err := closing(&websocket.CloseError{Code: websocket.CloseServiceRestart, Text: "drain retry-after=7"})
	wait := new(backoff).next(err)
	if wait < 7*time.Second || wait > 9*time.Second {
		t.Errorf("waits %v", wait)
	}
}

func TestBackoff(t *testing.T) {
	for range 200 {
		var b backoff
		limit := firstWait
		for range 12 {
			if wait := b.next(nil); wait < 0 || wait >= limit {
				t.Fatalf("waits %v, limit %v", wait, limit)
			}
			limit = min(2*limit, maxWait)
		}
	}
	b := backoff{}
	if wait := b.next(&hubError{After: time.Hour}); wait < maxHint || wait > maxHint+15*time.Minute {
		t.Errorf("an hour's hint waits %v", wait)
	}
}

func TestRunWithoutRegistration(t *testing.T) {
	err := Run(t.Context(), filepath.Join(t.TempDir(), "none"), nil)
	if err == nil || !strings.Contains(err.Error(), "not registered") {
		t.Errorf("Run: %v", err)
	}
}

// TestReplacedProgramsDoNotFight takes the channel from each other: over a day
// there are few changes.
func TestReplacedProgramsDoNotFight(t *testing.T) {
	var y yielding
	held, changes := time.Duration(0), 0
	for held < 24*time.Hour {
		wait := y.next(time.Minute)
		if wait < yieldFirst || wait > yieldMax*3/2 {
			t.Fatalf("waits %v", wait)
		}
		held += wait
		changes++
	}
	if changes > 32 {
		t.Errorf("%d changes in a day", changes)
	}
	if wait := y.next(3 * time.Hour); wait > 2*yieldFirst {
		t.Errorf("waits %v after a channel that was held long", wait)
	}
	if !wasReplaced(&hubError{Code: codeReplaced}) || wasReplaced(nil) {
		t.Error("the reason is not seen")
	}
}
