//go:build unix

package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/agent/cgroup"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// killTime is how long killed processes of a control group are awaited.
const killTime = 5 * time.Second

// processes are all that a script started.
type processes struct {
	cmd   *exec.Cmd
	mark  string
	group *cgroup.Group // nil without one
}

// processes prepares a command to start in a process group of its own, and in
// a control group where there is a parent for one.
func (r *Runner) processes(cmd *exec.Cmd, id string) *processes {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &processes{cmd: cmd, mark: stepMark + "=" + id}
	if r.Groups != nil {
		if g, err := r.Groups.New(uuid.NewString()); err == nil {
			g.Into(cmd.SysProcAttr)
			p.group = g
		}
	}
	return p
}

// kill ends the whole process group and the control group, and says what is
// still there afterwards: "" for nothing.
func (p *processes) kill() string {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if p.group != nil {
		ctx, cancel := context.WithTimeout(context.Background(), killTime)
		defer cancel()
		if err := p.group.Kill(ctx); err != nil {
			return err.Error()
		}
		return ""
	}
	return leftBehind(p.mark, p.cmd.Process.Pid)
}

func (p *processes) close() {
	if p.group != nil {
		p.group.Close()
	}
}

// leftBehind names the processes that carry a mark in their environment and
// are not in the process group that was killed, as far as they can be seen.
func leftBehind(mark string, group int) string {
	const most = 10
	var found []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		env, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
		if !strings.Contains("\x00"+string(env), "\x00"+mark+"\x00") {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of == group {
			continue
		}
		name, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
		found = append(found, fmt.Sprintf("%d (%s)", pid, strings.TrimSpace(string(name))))
	}
	switch {
	case len(found) == 0:
		return ""
	case len(found) > most:
		found = append(found[:most], fmt.Sprintf("and %d more", len(found)-most))
	}
	return "still running, outside of the process group: " + strings.Join(found, ", ")
}

// exitCode is the code a shell would show: 128 and the signal for a process
// that a signal ended, whose name comes too.
func exitCode(st *os.ProcessState) (code int, signal string) {
	if st == nil {
		return -1, ""
	}
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), unix.SignalName(ws.Signal())
	}
	return st.ExitCode(), ""
}
