//go:build linux

package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/agent/cgroup"
)

// daemon starts a process that leaves its group, and waits.
func daemon(pid, ready string) string {
	return shell("setsid sh -c 'echo $$ > "+pid+"; echo up > "+ready+"; exec sleep 600' &", "wait")
}

func cancelled(t *testing.T, r *Runner) (Result, int) {
	t.Helper()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("there is no setsid here")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ready, line := fifo(t)
	pid := filepath.Join(t.TempDir(), "pid")
	go func() {
		line()
		cancel(ErrCancelled)
	}()
	var res Result
	status, _ := r.Run(ctx, t.TempDir(), parse(t, daemon(pid, ready), nil), Progress{}, func(one Result) { res = one })
	if status != Cancelled {
		t.Errorf("%s %+v", status, res)
	}
	return res, readPID(t, pid)
}

func TestCancelNamesWhatItLeft(t *testing.T) {
	res, pid := cancelled(t, new(Runner))
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if !strings.Contains(res.Stderr, fmt.Sprintf("still running, outside of the process group: %d (", pid)) {
		t.Errorf("%+v", res)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("process %d: %v", pid, err)
	}
}

func TestCancelKillsTheControlGroup(t *testing.T) {
	dir := ""
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err == nil {
			dir = filepath.Join(mount, fmt.Sprintf("watchbill-runner-test-%d", os.Getpid()))
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	groups, err := cgroup.Open(dir)
	if err != nil {
		t.Skip(err)
	}
	res, pid := cancelled(t, &Runner{Groups: groups})
	if strings.Contains(res.Stderr, "still running") || res.Signal != "SIGKILL" {
		t.Errorf("%+v", res)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		st, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(st), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}
