//go:build windows

package runner

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// ownGroup starts the command in a process group of its own and kills the
// process with its descendants when the command's context ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	cmd.Cancel = func() error {
		if err := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run(); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
}

func exitCode(st *os.ProcessState) int { return st.ExitCode() }
