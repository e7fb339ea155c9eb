package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Options of Play.
type Options struct {
	Speed float64       // 1 is as it was; 0 shows everything at once
	Pause time.Duration // longest pause that is kept; 0 keeps all
	Raw   bool          // the output goes to a terminal: control sequences stay
}

// Play writes the output of a recording at the pace at which it was made.
func Play(ctx context.Context, r io.Reader, w io.Writer, o Options) error {
	c, err := Open(r)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	var last time.Duration
	var plain Plain
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := rest(ctx, o.pause(e.At-last)); err != nil {
			return err
		}
		last = e.At
		if e.Kind != Output {
			continue
		}
		text := e.Data
		if !o.Raw {
			text = plain.Text(text)
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
}

// pause is how long to wait between two events.
func (o Options) pause(d time.Duration) time.Duration {
	if o.Speed <= 0 || d <= 0 {
		return 0
	}
	if o.Pause > 0 {
		d = min(d, o.Pause)
	}
	return time.Duration(float64(d) / o.Speed)
}

func rest(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Text writes the output of a recording without its timing, byte for byte.
func Text(r io.Reader, w io.Writer) error {
	return Play(context.Background(), r, w, Options{Raw: true})
}

// Match is a line of output that holds what was looked for.
type Match struct {
	At   time.Duration // when the line ended, from the start
	Line string        // without control sequences
}

// Search finds the lines of output that hold text, in any case of letters.
func Search(r io.Reader, text string) ([]Match, error) {
	c, err := Open(r)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Match
	var line strings.Builder
	var plain Plain
	var at time.Duration
	look := func() {
		if s := strings.TrimRight(line.String(), "\r"); strings.Contains(strings.ToLower(s), strings.ToLower(text)) {
			found = append(found, Match{at, s})
		}
		line.Reset()
	}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			look()
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if e.Kind != Output {
			continue
		}
		at = e.At
		for part := range strings.Lines(plain.Text(e.Data)) {
			line.WriteString(strings.TrimSuffix(part, "\n"))
			if strings.HasSuffix(part, "\n") {
				look()
			}
		}
	}
}

// Clock is a time from the start as it is shown: hours, minutes, seconds, tenths.
func Clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d:%04.1f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}
