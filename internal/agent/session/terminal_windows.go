package session

import (
	"errors"
	"os"
	"os/exec"

	"github.com/watchbill/watchbill/internal/agent/account"
)

func (p platform) here() string { return p.Windows }

func commandLine(text string) *exec.Cmd {
	return exec.Command("powershell.exe", "-NoProfile", "-Command", text)
}

var errNoTerminal = errors.New("this node does not support sessions with a terminal on Windows")

func (s *session) terminal(*exec.Cmd, *account.User, string) error { return errNoTerminal }

// piped runs a program with its outputs going separate ways and no input.
func (s *session) piped(cmd *exec.Cmd, u *account.User, stdout, stderr func([]byte) error) (*os.ProcessState, error) {
	s.dress(cmd, u)
	cmd.Stdout, cmd.Stderr = writer(stdout), writer(stderr)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		select {
		case <-s.ctx.Done():
			_ = cmd.Process.Kill()
		case <-quit:
		}
	}()
	cmd.WaitDelay = outputMost
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return cmd.ProcessState, err
	}
	return cmd.ProcessState, nil
}

type writer func([]byte) error

func (w writer) Write(b []byte) (int, error) { return len(b), w(b) }

func exitCode(state *os.ProcessState) int { return state.ExitCode() }
