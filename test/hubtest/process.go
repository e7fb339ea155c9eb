package hubtest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Build builds the program and gives its path; remove its directory afterwards.
func Build() (bin string, err error) {
	dir, err := os.MkdirTemp("", "watchbill-test-")
	if err != nil {
		return "", err
	}
	bin = filepath.Join(dir, "watchbill")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/watchbill/watchbill/cmd/watchbill").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
}

// FreePort is an address on loopback that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Process is a run of the program.
type Process struct {
	Ready chan time.Duration // since the start, once a hub is ready; closed at the end

	cmd   *exec.Cmd
	ended chan error
}

// StartProcess runs the program. What it writes to standard error goes to log.
func StartProcess(t testing.TB, log *Log, bin string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(bin, args...), Ready: make(chan time.Duration, 1), ended: make(chan error, 1)}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "ready ") {
				p.Ready <- time.Since(began)
			}
		}
		close(p.Ready)
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(p.Kill)
	return p
}

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process at once and waits for its end. Again is harmless.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	p.ended <- <-p.ended
}

// Term asks the process to end, and gives its exit code, or -1 when it does not end
// within the time.
func (p *Process) Term(most time.Duration) int {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		p.ended <- err
		exit := (*exec.ExitError)(nil)
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(most):
		return -1
	}
}
