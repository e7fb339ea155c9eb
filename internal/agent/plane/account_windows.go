package plane

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"syscall"
)

// account is whom a session runs as: on this system only who the program is.
type account struct{ name, home, shell string }

func accountOf(name string, _ bool) (*account, error) {
	if name != "" {
		return nil, errors.New("sessions as another user are not supported on this system")
	}
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	return &account{name: u.Username, home: u.HomeDir, shell: os.Getenv("COMSPEC")}, nil
}

func (a *account) command(line string) *exec.Cmd {
	cmd := exec.Command(a.shell)
	a.prepare(cmd)
	cmd.SysProcAttr.CmdLine = a.shell + " /s /c \"" + line + "\""
	return cmd
}

func (a *account) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	cmd.Env, cmd.Dir = os.Environ(), a.home
}

func (a *account) do(f func() error) error { return f() }

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }

func inTerminal(*exec.Cmd) {}
