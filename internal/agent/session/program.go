package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/agent/account"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// sessionVariable marks the processes of a session.
const sessionVariable = "WATCHBILL_SESSION_ID"

// shell is a login shell on a terminal.
func (s *session) shell() error {
	if err := s.greet(); err != nil {
		return err
	}
	u, err := s.user(false)
	if err != nil {
		return err
	}
	cmd := exec.Command(u.Shell)
	cmd.Args[0] = "-" + filepath.Base(u.Shell)
	profile := strings.TrimSpace(s.inputs.ShellProfile.here())
	if profile != "" {
		profile += "\n"
	}
	return s.terminal(cmd, u, profile)
}

// greet prepares the client for a terminal. Without a handshake a stock client
// takes the first output for the sign that the session is a terminal, and reads
// no key before that; an empty one is enough, for programs that say nothing.
func (s *session) greet() error {
	if s.inputs.KMSKeyID != "" {
		return s.handshake(nil)
	}
	return s.link.write(mgs.PayloadOutput, nil)
}

// interactive is a shell command line on a terminal.
func (s *session) interactive() error {
	c, _, err := s.command()
	if err != nil {
		return err
	}
	if err := s.greet(); err != nil {
		return err
	}
	u, err := s.user(bool(c.RunAsElevated))
	if err != nil {
		return err
	}
	return s.terminal(commandLine(c.Commands), u, "")
}

// nonInteractive is a command without terminal and without shell.
func (s *session) nonInteractive() error {
	c, text, err := s.command()
	if err != nil {
		return err
	}
	if err := s.handshake(nil); err != nil {
		return err
	}
	u, err := s.user(bool(c.RunAsElevated))
	if err != nil {
		return err
	}
	words, err := commandWords(text, s.values)
	if err != nil {
		return err
	}
	cmd := exec.Command(words[0], words[1:]...)
	out := func(b []byte) error { return s.link.write(mgs.PayloadOutput, b) }
	errs := out
	if bool(c.SeparateOutputStream) && newer(s.client, "1.2.311.99999") {
		errs = func(b []byte) error { return s.link.write(mgs.PayloadStdErr, b) }
	}
	state, err := s.piped(cmd, u, prefixed(c.StdOutSeparatorPrefix, out), prefixed(c.StdErrSeparatorPrefix, errs))
	if err != nil {
		return err
	}
	return s.link.write(mgs.PayloadExitCode, fmt.Appendf(nil, "EXIT_CODE: %d", exitCode(state)))
}

// prefixed puts a text before every piece of an output.
func prefixed(prefix string, out func([]byte) error) func([]byte) error {
	if prefix == "" {
		return out
	}
	return func(b []byte) error { return out(append([]byte(prefix), b...)) }
}

// user finds as whom the session's program runs. An elevated command runs as the
// node program whoever is named.
func (s *session) user(elevated bool) (*account.User, error) {
	return account.Find(account.Want{
		Name: s.start.RunAsUser, RunAs: bool(s.inputs.RunAsEnabled), Default: s.inputs.RunAsDefaultUser, Elevated: elevated, Over: true,
	})
}

// dress gives a program its user, and the session's mark and parameters.
func (s *session) dress(cmd *exec.Cmd, u *account.User) {
	u.Dress(cmd)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", sessionVariable+"="+s.id)
	cmd.Env = append(cmd.Env, s.values.env...)
}

// Ends of a program's output. What it left in the background may hold the
// output open, and go on writing.
const (
	outputGrace = 200 * time.Millisecond // of silence, after the program ended
	outputMost  = 5 * time.Second
)

// forward hands a program's output on until it ends. A piece ends between two
// characters where it can. Error: what hand returned.
func forward(f *os.File, exited <-chan struct{}, hand func([]byte) error) error {
	watch := make(chan struct{})
	defer close(watch)
	go func() {
		select {
		case <-exited:
			_ = f.SetReadDeadline(time.Now().Add(outputGrace))
		case <-watch:
		}
	}()
	var last time.Time
	buf := make([]byte, mgs.MaxStreamData)
	kept := 0
	for {
		if last = extend(f, exited, last); !last.IsZero() && time.Now().After(last) {
			return nil
		}
		n, err := f.Read(buf[kept:])
		n += kept
		whole := n
		if err == nil {
			whole = wholeRunes(buf[:n])
		}
		if whole > 0 {
			if err := hand(buf[:whole]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		kept = copy(buf, buf[whole:n])
	}
}

// extend gives an output more time once its program has ended, and says when
// there is no more.
func extend(f *os.File, exited <-chan struct{}, last time.Time) time.Time {
	select {
	case <-exited:
	default:
		return last
	}
	if last.IsZero() {
		last = time.Now().Add(outputMost)
	}
	_ = f.SetReadDeadline(time.Now().Add(outputGrace))
	return last
}

// wholeRunes is the length without a character at the end that is cut.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// commandWords splits a command without a shell: words are separated by
// spaces, quotes and backslashes hold them together. A parameter is a part of
// its word whatever is in it, except a command that is one parameter, whose
// value is the command.
func commandWords(text string, v values) ([]string, error) {
	if m := reference.FindString(strings.TrimSpace(text)); m != "" && m == strings.TrimSpace(text) {
		text, v = v.fill(text), values{}
	}
	var words []string
	for rest := text; ; {
		word, behind, found, err := cutWord(rest, v)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		words, rest = append(words, word), behind
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("the session document's command is empty")
	}
	return words, nil
}

// cutWord reads the first word of a text.
func cutWord(text string, v values) (word, behind string, found bool, err error) {
	text = strings.TrimLeft(text, " \t\r\n")
	var b strings.Builder
	quote := byte(0)
	for text != "" {
		if at := reference.FindStringIndex(text); at != nil && at[0] == 0 {
			b.WriteString(v.fill(text[:at[1]]))
			text, found = text[at[1]:], true
			continue
		}
		c := text[0]
		switch {
		case quote == 0 && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), text, found, nil
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == '\\' && quote != '\'' && len(text) > 1:
			text = text[1:]
			b.WriteByte(text[0])
		default:
			b.WriteByte(c)
		}
		text, found = text[1:], true
	}
	if quote != 0 {
		return "", "", false, errors.New("the session document's command has a quote without its end")
	}
	return b.String(), "", found, nil
}

func leftText(left []string) string {
	return "still running on the node: " + strings.Join(left, ", ")
}
