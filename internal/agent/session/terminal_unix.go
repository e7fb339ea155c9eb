//go:build unix

package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/watchbill/watchbill/internal/agent/account"
	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func (p platform) here() string {
	if runtime.GOOS == "darwin" {
		return p.MacOS
	}
	return p.Linux
}

func commandLine(text string) *exec.Cmd { return exec.Command("/bin/sh", "-c", text) }

// terminal runs a program on a terminal until it ends. What is typed first is
// given.
func (s *session) terminal(cmd *exec.Cmd, u *account.User, typed string) error {
	ours, theirs, err := openTerminal()
	if err != nil {
		return fmt.Errorf("no terminal can be opened: %w", err)
	}
	defer ours.Close()
	u.Own(theirs)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	s.dress(cmd, u)
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("unable to start shell: %w", err)
	}
	exited := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { s.watch(cmd, exited) })
	go s.typing(ours, typed, exited)
	err = forward(ours, exited, func(b []byte) error { return s.link.write(mgs.PayloadOutput, b) })
	<-exited
	return err
}

// openTerminal opens a terminal of 80 by 24 characters. Its master does not
// block a thread.
func openTerminal() (ours, theirs *os.File, err error) {
	p, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	fd, err := unix.FcntlInt(p.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	ours = os.NewFile(uintptr(fd), p.Name())
	resize(ours, mgs.Size{Cols: 80, Rows: 24})
	return ours, theirs, nil
}

func resize(f *os.File, size mgs.Size) {
	if size.Cols == 0 || size.Rows == 0 || size.Cols > 0xffff || size.Rows > 0xffff {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(size.Cols), Row: uint16(size.Rows)})
	})
}

// typing hands the client's input to the terminal until the session ends or
// the terminal is closed.
func (s *session) typing(f *os.File, typed string, exited <-chan struct{}) {
	if _, err := f.WriteString(typed); err != nil {
		return
	}
	for {
		m, err := s.link.inbox.take(s.ctx)
		if err != nil {
			return
		}
		switch m.PayloadType {
		case mgs.PayloadOutput:
			if _, err := f.Write(m.Payload); err != nil {
				return
			}
		case mgs.PayloadSize:
			var size mgs.Size
			if mgs.Decode(m.Payload, &size) == nil {
				resize(f, size)
			}
		}
		select {
		case <-exited:
			return
		default:
		}
	}
}

// piped runs a program with its outputs going separate ways and no input.
// Bytes that stand for signals in a client's input become signals.
func (s *session) piped(cmd *exec.Cmd, u *account.User, stdout, stderr func([]byte) error) (*os.ProcessState, error) {
	var ours, theirs [2]*os.File
	for i := range ours {
		var err error
		if ours[i], theirs[i], err = os.Pipe(); err != nil {
			return nil, err
		}
		defer ours[i].Close()
	}
	cmd.Stdout, cmd.Stderr = theirs[0], theirs[1]
	s.dress(cmd, u)
	cmd.SysProcAttr.Setsid = true
	err := cmd.Start()
	theirs[0].Close()
	theirs[1].Close()
	if err != nil {
		return nil, fmt.Errorf("unable to start command: %w", err)
	}
	exited := make(chan struct{})
	var all sync.WaitGroup
	var errs [2]error
	all.Go(func() { s.watch(cmd, exited) })
	all.Go(func() { errs[0] = forward(ours[0], exited, stdout) })
	all.Go(func() { errs[1] = forward(ours[1], exited, stderr) })
	go s.signals(cmd, exited)
	all.Wait()
	return cmd.ProcessState, errors.Join(errs[0], errs[1])
}

// controlBytes are the signals that a client sends as bytes of a terminal.
var controlBytes = map[byte]syscall.Signal{3: syscall.SIGINT, 0x1c: syscall.SIGQUIT, 0x1a: syscall.SIGTSTP}

func (s *session) signals(cmd *exec.Cmd, exited <-chan struct{}) {
	for {
		m, err := s.link.inbox.take(s.ctx)
		if err != nil {
			return
		}
		select {
		case <-exited:
			return
		default:
		}
		if m.PayloadType != mgs.PayloadOutput || len(m.Payload) != 1 {
			continue
		}
		if sig, ok := controlBytes[m.Payload[0]]; ok {
			_ = syscall.Kill(-cmd.Process.Pid, sig)
		}
	}
}

// exitCode is the code a shell would show: 128 and the signal for a process
// that a signal ended.
func exitCode(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}
