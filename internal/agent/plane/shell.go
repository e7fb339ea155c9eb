package plane

import (
	"encoding/binary"
	"os/exec"
	"path/filepath"

	"github.com/creack/pty"

	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// shell runs a login shell, or the document's commands, in a terminal.
func (s *session) shell(st *wire.Stream) {
	open := st.Header()
	cmd := command(s.user, s.line())
	if s.kind == "Standard_Stream" {
		cmd = exec.Command(s.user.Shell)
		cmd.Args = []string{"-" + filepath.Base(s.user.Shell)}
		s.user.Dress(cmd)
	}
	inTerminal(cmd)
	term := open.Term
	if term == "" {
		term = "xterm-256color"
	}
	cmd.Env = append(cmd.Env, "TERM="+term)
	size := &pty.Winsize{Cols: max(open.Cols, 1), Rows: max(open.Rows, 1)}
	if open.Cols == 0 || open.Rows == 0 {
		size = &pty.Winsize{Cols: 80, Rows: 24}
	}
	tty, err := pty.StartWithAttrs(cmd, size, cmd.SysProcAttr)
	if err != nil {
		s.refuse(st, err)
		return
	}
	defer tty.Close()
	if st.Answer(wire.Opened{}) != nil {
		hangUpNow(cmd)
		return
	}
	out, pumped, gone := &tail{File: tty}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(pumped)
		_, _ = st.Copy(wire.KindData, out)
	}()
	if profile := s.profile(); profile != "" {
		_, _ = tty.WriteString(profile + "\n")
	}
	go watch(st, cmd, gone)
	go feed(st, cmd, func(f *wire.Frame) {
		switch p := f.Payload(); {
		case f.Kind() == wire.KindData:
			_, _ = tty.Write(p)
		case f.Kind() == wire.KindResize && len(p) == 4:
			_ = pty.Setsize(tty, &pty.Winsize{Cols: binary.BigEndian.Uint16(p), Rows: binary.BigEndian.Uint16(p[2:])})
		}
	}, func() { _, _ = tty.Write([]byte{4}) })
	exit := ended(cmd.Wait())
	close(gone)
	out.exit()
	<-pumped
	_ = st.Exit(exit)
}

// profile is what the preferences type into a shell that begins.
func (s *session) profile() string {
	if s.kind != "Standard_Stream" {
		return ""
	}
	all, _ := s.inputs["shellProfile"].(map[string]any)
	text, _ := all["linux"].(string)
	return text
}

// exec runs the document's commands without a terminal.
func (s *session) exec(st *wire.Stream) {
	cmd := command(s.user, s.line())
	in, out, errs, err := pipes(cmd)
	if err == nil {
		err = cmd.Start()
		closeChildEnds(cmd)
	}
	if err != nil {
		s.refuse(st, err)
		return
	}
	defer func() { _, _ = out.Close(), errs.Close() }()
	if st.Answer(wire.Opened{}) != nil {
		hangUpNow(cmd)
		return
	}
	gone, pumped := make(chan struct{}), make(chan struct{}, 2)
	for kind, from := range map[wire.Kind]*tail{wire.KindData: out, wire.KindStderr: errs} {
		go func() {
			_, _ = st.Copy(kind, from)
			pumped <- struct{}{}
		}()
	}
	go watch(st, cmd, gone)
	go feed(st, cmd, func(f *wire.Frame) {
		if f.Kind() == wire.KindData {
			_, _ = in.Write(f.Payload())
		}
	}, func() { _ = in.Close() })
	exit := ended(cmd.Wait())
	close(gone)
	_ = in.Close()
	out.exit()
	errs.exit()
	<-pumped
	<-pumped
	_ = st.Exit(exit)
}
