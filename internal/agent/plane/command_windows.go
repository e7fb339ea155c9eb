package plane

import (
	"os/exec"
	"syscall"

	"github.com/watchbill/watchbill/internal/agent/account"
)

// command is a command line as the session's user.
func command(u *account.User, line string) *exec.Cmd {
	cmd := exec.Command(u.Shell)
	u.Dress(cmd)
	cmd.SysProcAttr.CmdLine = u.Shell + " /s /c \"" + line + "\""
	return cmd
}

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }

func inTerminal(*exec.Cmd) {}
