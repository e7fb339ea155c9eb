//go:build windows

package runner

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// processes are all that a script started.
type processes struct{ cmd *exec.Cmd }

// processes prepares a command to start in a process group of its own.
func (r *Runner) processes(cmd *exec.Cmd, _ string) *processes {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	return &processes{cmd}
}

// kill ends the process with its descendants.
func (p *processes) kill() string {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	if err := exec.Command("taskkill", "/T", "/F", "/PID", pid).Run(); err != nil {
		_ = p.cmd.Process.Kill()
		return "processes that the script started may still run: " + err.Error()
	}
	return ""
}

func (p *processes) close() {}

func exitCode(st *os.ProcessState) (code int, signal string) { return st.ExitCode(), "" }
