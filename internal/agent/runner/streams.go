package runner

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// The characters of a stream that a result carries, the mark included.
const (
	MaxStdout = 24_000
	MaxStderr = 8_000

	truncated = "--output truncated--"
)

// streams are the output files of a step. Scripts write to the files
// directly, so what they start in the background may outlive them and this
// program; the files are cut back to max while a script runs.
type streams struct {
	stdout, stderr *os.File
	max            int64
	notes          []string
	hush           *redactor
}

func openStreams(dir string, limit int64) (*streams, error) {
	const mode = os.O_CREATE | os.O_RDWR | os.O_APPEND // a step that goes on after a restart appends
	stdout, err := os.OpenFile(filepath.Join(dir, "stdout"), mode, 0o600)
	if err != nil {
		return nil, err
	}
	stderr, err := os.OpenFile(filepath.Join(dir, "stderr"), mode, 0o600)
	if err != nil {
		stdout.Close()
		return nil, err
	}
	return &streams{stdout: stdout, stderr: stderr, max: limit}, nil
}

func (s *streams) close() {
	s.stdout.Close()
	s.stderr.Close()
}

// note adds a line of our own behind what the script wrote to stderr.
func (s *streams) note(line string) { s.notes = append(s.notes, line) }

// watch cuts the files back at an interval until the returned function is
// called, which cuts them a last time.
func (s *streams) watch(every time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.cut()
			case <-quit:
				s.cut()
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// cut drops what a file holds above the limit. The files are open for
// appending, so a writer goes on at the new end. A failure leaves the file
// longer than it should be, until the next time.
func (s *streams) cut() {
	for _, f := range []*os.File{s.stdout, s.stderr} {
		if st, err := f.Stat(); err == nil && st.Size() > s.max {
			_ = f.Truncate(s.max)
		}
	}
}

// text is the start of both streams as a result carries it.
func (s *streams) text() (stdout, stderr string) {
	notes := s.hush.text(strings.Join(s.notes, "\n"))
	return clip(head(s.stdout, MaxStdout), MaxStdout), clipWith(head(s.stderr, MaxStderr), notes, MaxStderr)
}

// head reads enough of a file for limit characters and one more. No file is an
// empty one.
func head(f *os.File, limit int) string {
	if f == nil {
		return ""
	}
	b := make([]byte, (limit+1)*utf8.UTFMax)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "the output of the step cannot be read: " + err.Error()
	}
	return printable(b[:n])
}

// printable turns bytes into text that JSON and every database can hold:
// bytes that are not UTF-8 and NUL become U+FFFD, one each.
func printable(b []byte) string {
	var out strings.Builder
	out.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == 0 {
			r = utf8.RuneError
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// clip cuts a text to limit characters, the mark of the cut included.
func clip(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-len(truncated)]) + truncated
}

// clipWith keeps a note whole behind a text that is cut to make room for it.
func clipWith(s, note string, limit int) string {
	if note == "" {
		return clip(s, limit)
	}
	note = clip(note, limit/2)
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	room := limit - utf8.RuneCountInString(note)
	if utf8.RuneCountInString(s) > room {
		s = clip(s, room-1) + "\n"
	}
	return s + note
}
