//go:build linux

package cgroup

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// parent is a group of this test in the tree of the machine.
func parent(t *testing.T) *Parent {
	t.Helper()
	dir, err := own()
	if err != nil {
		t.Skip(err)
	}
	dir = filepath.Join(dir, fmt.Sprintf("watchbill-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("groups cannot be made here: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	p, err := Open(dir)
	if err != nil {
		t.Skip(err)
	}
	return p
}

func TestKillReachesEveryProcess(t *testing.T) {
	p := parent(t)
	g, err := p.New("step")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "setsid sleep 600 & echo up; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.Into(cmd.SysProcAttr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if n := len(g.Processes()); n == 0 {
		t.Error("the group is empty")
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
	g.Close()
	if _, err := os.Stat(g.dir); err == nil {
		t.Error("the group is still there")
	}
}

func TestMountPoint(t *testing.T) {
	const mounts = `22 1 0:20 / /proc rw - proc proc rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
`
	if got := mountPoint(mounts); got != "/sys/fs/cgroup" {
		t.Errorf("%q", got)
	}
	if got := mountPoint("22 1 0:20 / /proc rw - proc proc rw\n"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestNotDelegated(t *testing.T) {
	if _, err := Delegated(); err == nil {
		t.Skip("this test runs in a delegated group")
	}
	if delegated(t.TempDir()) {
		t.Error("an ordinary directory counts as delegated")
	}
}
