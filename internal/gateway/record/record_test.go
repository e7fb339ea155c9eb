package record

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCast(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	for name, test := range map[string]struct {
		do   func(c *Cast, now time.Time)
		want []string
	}{
		"output":               {func(c *Cast, n time.Time) { c.Output(n, []byte("a\x1b[0m<\n")) }, []string{`[1.5,"o","a\u001b[0m<\n"]`}},
		"a character in parts": {func(c *Cast, n time.Time) { c.Output(n, []byte("x\xe2\x82")); c.Output(n, []byte("\xac")) }, []string{`[1.5,"o","x"]`, `[1.5,"o","€"]`}},
		"no UTF-8":             {func(c *Cast, n time.Time) { c.Output(n, []byte("a\xffb")) }, []string{`[1.5,"o","a�b"]`}},
		"never a character":    {func(c *Cast, n time.Time) { c.Output(n, []byte("\xe2")); c.End(n) }, []string{`[1.5,"o","�"]`}},
		"size":                 {func(c *Cast, n time.Time) { c.Resize(n, 97, 31) }, []string{`[1.5,"r","97x31"]`}},
		"echoed": {
			func(c *Cast, n time.Time) {
				c.Input(n, []byte("ls"))
				c.Output(n, []byte("ls"))
				c.Input(n, []byte("\r"))
			},
			[]string{`[1.5,"i","ls"]`, `[1.5,"o","ls"]`, `[1.5,"i","\r"]`},
		},
		"hidden": {
			func(c *Cast, n time.Time) { c.Input(n, []byte("hunter2\r")); c.Output(n, []byte("\r\n")) },
			[]string{`[1.5,"m","hidden input, 7 characters"]`, `[1.5,"i","\r"]`, `[1.5,"o","\r\n"]`},
		},
		"a line at once": {
			func(c *Cast, n time.Time) { c.Input(n, []byte("ls\n")); c.Output(n, []byte("ls\r\nfile\r\n")) },
			[]string{`[1.5,"i","ls\n"]`, `[1.5,"o","ls\r\nfile\r\n"]`},
		},
		"an echo in parts": {
			func(c *Cast, n time.Time) {
				c.Input(n, []byte("ls\r"))
				c.Output(n, []byte("l"))
				c.Output(n, []byte("s\r\n"))
			},
			[]string{`[1.5,"i","l"]`, `[1.5,"o","l"]`, `[1.5,"i","s\r"]`, `[1.5,"o","s\r\n"]`},
		},
		"a key": {func(c *Cast, n time.Time) { c.Input(n, []byte("\x1b[A")) }, []string{`[1.5,"i","\u001b[A"]`}},
		"empty": {func(c *Cast, n time.Time) { c.Input(n, nil); c.Output(n, nil); c.End(n) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewCast(began)
			test.do(c, began.Add(1500*time.Millisecond))
			got := strings.Split(strings.TrimSuffix(string(c.Take()), "\n"), "\n")
			if test.want == nil {
				test.want = []string{""}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestLinesFitAChunk(t *testing.T) {
	c := NewCast(time.Now())
	c.Output(time.Now(), make([]byte, 300_000)) // six bytes each in JSON
	c.Input(time.Now(), append([]byte{0x1b}, make([]byte, 300_000)...))
	for line := range strings.Lines(string(c.Take())) {
		if len(line) > maxPiece {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
}

// store keeps chunks, or fails.
type store struct {
	mu     sync.Mutex
	chunks []string
	err    error
}

func (s *store) put(_ context.Context, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.chunks = append(s.chunks, string(b))
	return nil
}

func (s *store) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) config(strict bool, failed func(error)) Config {
	return Config{
		Header: Header{Width: 80, Height: 24}, Began: time.Now(), Store: s.put, Strict: strict, Failed: failed,
		Gap: func() {}, Wake: func() {}, Logger: slog.New(slog.DiscardHandler),
	}
}

func say(text string) func(*Cast, time.Time) {
	return func(c *Cast, now time.Time) { c.Output(now, []byte(text)) }
}

func TestStoresEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		r := New(s.config(false, nil))
		r.Do(say("one"))
		time.Sleep(every + time.Millisecond)
		r.Do(say("two"))
		time.Sleep(every)
		r.Do(say("three"))
		r.Close(false)
		if len(s.chunks) != 3 || !strings.Contains(s.chunks[0], `"version":2`) || !strings.Contains(s.chunks[2], "three") {
			t.Fatalf("chunks %q", s.chunks)
		}
	})
}

func TestStrictEndsWhenNothingCanBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{err: errors.New("disk full")}
		failed := make(chan error, 1)
		r := New(s.config(true, func(err error) { failed <- err }))
		r.Do(say("one"))
		began := time.Now()
		if err := <-failed; err == nil || time.Since(began) > patience+2*every {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		r.Close(false)
	})
}

func TestMarksAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		r := New(s.config(false, nil))
		r.Do(say("one"))
		time.Sleep(every + time.Millisecond)
		s.set(errors.New("disk full"))
		r.Do(say("lost"))
		time.Sleep(every + patience)
		s.set(nil)
		r.Do(say("two"))
		time.Sleep(2 * every)
		r.Close(false)
		all := strings.Join(s.chunks, "")
		if strings.Contains(all, "lost") || !strings.Contains(all, "a gap: ") || !strings.Contains(all, "two") {
			t.Fatalf("chunks %q", s.chunks)
		}
	})
}
