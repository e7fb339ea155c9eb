package session

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/sessiontest"
)

// left starts a program as an earlier run would have left it.
func left(t *testing.T, script string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/bin/sh", "-c", script+"\necho up; wait")
	c.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKillsWhatAnEarlierRunLeft: a shell that hides its environment, and a process that
// left the shell's session, end with the next start; what has the number of a shell of
// another time does not.
func TestKillsWhatAnEarlierRunLeft(t *testing.T) {
	h := newTestHub(t)
	h.svc.Shutdown()
	shell := left(t, "sleep 1000 >/dev/null &")
	stray := left(t, "sleep 1000 >/dev/null &", sessionVariable+"=strays")
	other := left(t, "sleep 1000 >/dev/null &")
	for id, leader := range map[string]string{"shell": leadership(shell.Process.Pid), "strays": "", "other": leadership(other.Process.Pid) + "0"} {
		if err := h.svc.marks.set(id); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.svc.marks.path(id), []byte(id+"\n"+leader), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.svc = h.service()
	for _, id := range []string{"shell", "strays", "other"} {
		if end := h.ended(id); end.FinalTaskStatus != mgs.TaskFailed || strings.Contains(end.Output, "still running") {
			t.Errorf("%s: %+v", id, end)
		}
	}
	for _, c := range []*exec.Cmd{shell, stray} {
		if err := c.Wait(); err == nil || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it ended with %v", err)
		}
		if n := members(c.Process.Pid); len(n) > 0 {
			t.Errorf("left: %v", n)
		}
	}
	if len(members(other.Process.Pid)) != 2 {
		t.Error("another program's processes were killed")
	}
	for _, p := range members(other.Process.Pid) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// TestMarksTheProgram: what a running session leaves on the disk names its program.
func TestMarksTheProgram(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "echo up; sleep 1000"}}})
	wants(t, h.client("s", sessiontest.Options{}), mgs.PayloadOutput, "up")
	h.until("the mark", func() bool {
		l, err := h.svc.marks.left()
		return err == nil && len(l) == 1 && l[0].leader != "" && len(orphans(l[0])) > 0
	})
	h.svc.Close("s")
	h.ended("s")
}
