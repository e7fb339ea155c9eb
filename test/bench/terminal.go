package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
)

// terminal is a program on a terminal of its own.
type terminal struct {
	file  *os.File
	cmd   *exec.Cmd
	out   chan []byte // closed at its end
	ended chan error
	shown []byte
}

func openTerminal(cmd *exec.Cmd) (*terminal, error) {
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		return nil, err
	}
	t := &terminal{file: f, cmd: cmd, out: make(chan []byte, 64), ended: make(chan error, 1)}
	go func() {
		defer close(t.out)
		for {
			b := make([]byte, 4096)
			n, err := f.Read(b)
			if err != nil {
				return
			}
			t.out <- b[:n]
		}
	}()
	go func() { t.ended <- cmd.Wait() }()
	return t, nil
}

// close ends the program.
func (t *terminal) close() {
	_ = t.cmd.Process.Kill()
	_ = t.file.Close()
	for range t.out {
		continue
	}
}

func (t *terminal) typed(text string) error {
	_, err := io.WriteString(t.file, text)
	return err
}

// expect waits until the program has shown a text, and forgets what was shown up to
// its end.
func (t *terminal) expect(ctx context.Context, text string) error {
	for {
		if _, rest, ok := bytes.Cut(t.shown, []byte(text)); ok {
			t.shown = rest
			return nil
		}
		select {
		case b, ok := <-t.out:
			if !ok {
				return fmt.Errorf("%s ended and showed %q, not %q", t.cmd.Path, t.shown, text)
			}
			t.shown = append(t.shown, b...)
		case <-ctx.Done():
			return fmt.Errorf("%s showed %q, not %q: %w", t.cmd.Path, t.shown, text, ctx.Err())
		}
	}
}

// echo types a key and gives the time until it is shown.
func (t *terminal) echo(ctx context.Context, key string) (time.Duration, error) {
	began := time.Now()
	if err := t.typed(key); err != nil {
		return 0, err
	}
	err := t.expect(ctx, key)
	return time.Since(began), err
}

// over waits for the end of the program, and takes what it shows.
func (t *terminal) over(ctx context.Context) error {
	for out := t.out; ; {
		select {
		case err := <-t.ended:
			return err
		case _, ok := <-out:
			if !ok {
				out = nil
			}
		case <-ctx.Done():
			return fmt.Errorf("%s does not end: %w", t.cmd.Path, ctx.Err())
		}
	}
}
