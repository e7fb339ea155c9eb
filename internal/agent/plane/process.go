package plane

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// Times around the end of a process.
const (
	grace   = 500 * time.Millisecond // for output that children still write
	killing = 5 * time.Second        // from the hang-up to the kill
)

// signals are those that a client may send.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL,
}

// tail reads what a process writes. Once it has exited, output ends when nothing
// comes for a moment: a child that lives on may hold the other end.
type tail struct {
	*os.File
	exited atomic.Bool
}

func (t *tail) Read(p []byte) (int, error) {
	if t.exited.Load() {
		_ = t.SetReadDeadline(time.Now().Add(grace))
	}
	n, err := t.File.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = io.EOF // a deadline, or a terminal that is gone
	}
	return n, err
}

func (t *tail) exit() {
	t.exited.Store(true)
	_ = t.SetReadDeadline(time.Now().Add(grace))
}

// ended is the exit of a process.
func ended(err error) wire.Exit {
	if err == nil {
		return wire.Exit{}
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return wire.Exit{Code: -1, Error: err.Error()}
	}
	if code := exit.ExitCode(); code >= 0 {
		return wire.Exit{Code: code}
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok {
		return wire.Exit{Code: -1, Error: err.Error()}
	}
	for name, sig := range signals {
		if sig == status.Signal() {
			return wire.Exit{Code: 128 + int(sig), Signal: name}
		}
	}
	return wire.Exit{Code: 128 + int(status.Signal()), Signal: strings.ToUpper(status.Signal().String())}
}

// feed gives the client's frames to a process until it or the stream ends.
func feed(st *wire.Stream, cmd *exec.Cmd, take func(f *wire.Frame), fin func()) {
	for {
		f, err := st.Next()
		if errors.Is(err, io.EOF) {
			fin()
			return
		}
		if err != nil {
			return
		}
		switch f.Kind() {
		case wire.KindSignal:
			if sig, ok := signals[string(f.Payload())]; ok {
				signalGroup(cmd, sig)
			}
		default:
			take(f)
		}
		f.Release()
	}
}

// watch hangs the process group up when the stream is over before the process is
// gone, and kills it later. It does not wait for the process to take input.
func watch(st *wire.Stream, cmd *exec.Cmd, gone <-chan struct{}) {
	st.Over()
	select {
	case <-gone:
		return
	default:
	}
	signalGroup(cmd, syscall.SIGHUP)
	t := time.NewTimer(killing)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
		signalGroup(cmd, syscall.SIGKILL)
	}
}
