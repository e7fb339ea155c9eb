// Package shell is `watchbill shell`: a terminal on a node, or one command there
// with its streams and its exit code.
package shell

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/watchbill/watchbill/internal/cli/plane"
	"github.com/watchbill/watchbill/internal/wire/client"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// Options of the command.
type Options struct {
	Target, Document, Reason string
	Command                  []string // "": a shell
	In                       *os.File
	Out, Err                 io.Writer
}

const commandDocument = "AWS-StartNonInteractiveCommand"

// Run opens a session and serves it. The error is a *plane.Exit for the code of
// the remote program.
func Run(ctx context.Context, c *client.Client, o Options) error {
	r := plane.Request{Target: o.Target, Document: o.Document, Reason: o.Reason, Linked: notice(o.Err), Notice: plane.Tell(o.Err)}
	open := wire.Open{Kind: wire.Shell, Term: os.Getenv("TERM")}
	if len(o.Command) > 0 {
		open = wire.Open{Kind: wire.Exec}
		if r.Document == "" {
			r.Document = commandDocument
		}
		r.Parameters = map[string][]string{"command": {Line(o.Command)}}
	}
	terminal := len(o.Command) == 0 && term.IsTerminal(int(o.In.Fd()))
	if terminal {
		if w, h, err := term.GetSize(int(o.In.Fd())); err == nil {
			open.Cols, open.Rows = uint16(w), uint16(h)
		}
	}
	s, err := plane.Open(ctx, c, r)
	if err != nil {
		return err
	}
	defer s.Close()
	st, _, err := s.Open(ctx, open)
	if err != nil {
		return err
	}
	return serve(s, st, o, terminal)
}

// Line is a command as a line for a shell. One word is a line already; several
// are kept apart.
func Line(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// notice says when the line is lost for more than a moment, and when it is back.
func notice(to io.Writer) func(bool) {
	var mu sync.Mutex
	var timer *time.Timer
	told, ever := false, false
	return func(up bool) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case up:
			if timer != nil {
				timer.Stop()
				timer = nil
			}
			if told {
				_, _ = fmt.Fprint(to, "\r\nwatchbill: connected again\r\n")
			}
			told, ever = false, true
		case ever && timer == nil && !told:
			timer = time.AfterFunc(time.Second, func() {
				mu.Lock()
				defer mu.Unlock()
				if timer == nil {
					return
				}
				timer, told = nil, true
				_, _ = fmt.Fprint(to, "\r\nwatchbill: the connection was lost, trying to reconnect (~. gives up)\r\n")
			})
		}
	}
}

// serve carries the terminal, or the command's streams, until the node is done.
func serve(s *plane.Session, st *wire.Stream, o Options, terminal bool) error {
	restore := func() {}
	if terminal {
		old, err := term.MakeRaw(int(o.In.Fd()))
		if err != nil {
			return err
		}
		restore = sync.OnceFunc(func() { _ = term.Restore(int(o.In.Fd()), old) })
		defer restore()
	}
	leave := make(chan struct{})
	go input(st, o.In, terminal, sync.OnceFunc(func() { close(leave) }))
	go signals(s, st, o, terminal)
	done := make(chan struct{})
	var result wire.Result
	var err error
	go func() {
		defer close(done)
		result, err = st.Receive(o.Out, o.Err)
	}()
	select {
	case <-done:
	case <-leave:
		restore()
		_, _ = fmt.Fprintln(o.Err, "\nwatchbill: session closed")
		return &plane.Exit{Code: 255}
	}
	restore()
	return outcome(st, result, err)
}

// outcome is the end of the command for its caller.
func outcome(st *wire.Stream, r wire.Result, err error) error {
	if err != nil {
		if end, ok := errors.AsType[*wire.EndError](err); ok && end.Cause == "" {
			return errors.New("the session has ended")
		}
		return err
	}
	st.Close()
	if r.Error != "" {
		return errors.New(r.Error)
	}
	if r.Code != 0 {
		return &plane.Exit{Code: r.Code}
	}
	return nil
}

// input sends what is typed or piped. In a terminal ~. behind a line break ends
// the session.
func input(st *wire.Stream, in io.Reader, terminal bool, leave func()) {
	if !terminal {
		if _, err := st.Copy(wire.KindData, in); err == nil {
			_ = st.CloseWrite()
		}
		return
	}
	var e Escape
	b := make([]byte, 4<<10)
	for {
		n, err := in.Read(b)
		out, over := e.Take(b[:n])
		if over {
			leave()
			return
		}
		if len(out) > 0 {
			if _, werr := st.Write(out); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// signals passes the size of the terminal and, without one, signals to the node.
func signals(s *plane.Session, st *wire.Stream, o Options, terminal bool) {
	c := make(chan os.Signal, 4)
	if terminal {
		watchSize(c)
	} else {
		signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	}
	defer signal.Stop(c)
	for {
		select {
		case sig := <-c:
			if err := pass(st, o, sig, terminal); err != nil {
				return
			}
		case <-s.Done():
			return
		}
	}
}

func pass(st *wire.Stream, o Options, sig os.Signal, terminal bool) error {
	if !terminal {
		name := map[os.Signal]string{os.Interrupt: "INT", syscall.SIGTERM: "TERM"}[sig]
		_, err := st.WriteKind(wire.KindSignal, []byte(name))
		return err
	}
	w, h, err := term.GetSize(int(o.In.Fd()))
	if err != nil {
		return nil
	}
	size := make([]byte, 4)
	binary.BigEndian.PutUint16(size, uint16(w))
	binary.BigEndian.PutUint16(size[2:], uint16(h))
	_, err = st.WriteKind(wire.KindResize, size)
	return err
}
