//go:build unix

package plane

import (
	"os/exec"
	"syscall"

	"github.com/watchbill/watchbill/internal/agent/account"
)

// command is a command line as the session's user.
func command(u *account.User, line string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", line)
	u.Dress(cmd)
	cmd.SysProcAttr.Setpgid = true
	return cmd
}

// signalGroup sends a signal to the group that a command leads.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }

// inTerminal lets the terminal make the command the leader of a session, and so
// of its group.
func inTerminal(cmd *exec.Cmd) {
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = false, true, true
}
