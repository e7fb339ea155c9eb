package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// Limits of a cast, in bytes.
const (
	maxHidden = 4096     // input that waits for its echo
	maxEvent  = 16 << 10 // output of an event; in JSON a byte takes up to six
)

// Header is the first line of a recording.
type Header struct {
	Version   int               `json:"version"` // 2
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	Timestamp int64             `json:"timestamp"` // seconds of Unix time
	Title     string            `json:"title,omitempty"`
	Command   string            `json:"command,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
}

// Cast makes the lines of a recording. It is not safe for concurrent use.
type Cast struct {
	began   time.Time
	lines   bytes.Buffer
	out     []byte // the beginning of a character
	pending []byte // printable input that was not echoed yet
}

// NewCast makes a cast that began at a time.
func NewCast(began time.Time) *Cast { return &Cast{began: began} }

// Begin writes the header.
func (c *Cast) Begin(h Header) {
	h.Version, h.Timestamp = 2, c.began.Unix()
	c.line(h)
}

// Output is what the node showed. Bytes that are not UTF-8 become U+FFFD.
func (c *Cast) Output(now time.Time, b []byte) {
	c.echo(now, b)
	c.out = append(c.out, b...)
	for n := whole(c.out); n > 0; n = whole(c.out) {
		if n > maxEvent {
			n = max(whole(c.out[:maxEvent]), 1)
		}
		c.event(now, "o", string(bytes.ToValidUTF8(c.out[:n], []byte("\uFFFD"))))
		c.out = append(c.out[:0], c.out[n:]...)
	}
}

// whole is the length of b without an unfinished character at its end.
func whole(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// Input is what a person typed. Control characters are recorded at once,
// others when their echo comes.
func (c *Cast) Input(now time.Time, b []byte) {
	for ; len(b) > maxEvent; b = b[maxEvent:] {
		c.input(now, b[:maxEvent])
	}
	if len(b) > 0 {
		c.input(now, b)
	}
}

func (c *Cast) input(now time.Time, b []byte) {
	if b[0] == 0x1b { // a key, not a text
		c.event(now, "i", string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
		return
	}
	for i, char := range b {
		if control(char) && len(c.pending) == 0 {
			c.event(now, "i", string(b[i:i+1]))
		} else {
			c.pending = append(c.pending, char)
		}
	}
	if len(c.pending) > maxHidden {
		c.hide(now, len(c.pending))
	}
}

func control(b byte) bool { return b < ' ' || b == 0x7f }

// echo records the input with which output begins. A line whose echo differs was
// typed where nothing is shown.
func (c *Cast) echo(now time.Time, output []byte) {
	n := 0
	for n < len(c.pending) && len(output) > 0 {
		p := c.pending[n]
		switch rest, newline := bytes.CutPrefix(output, []byte("\r\n")); {
		case p == output[0]:
			output = output[1:]
		case (p == '\r' || p == '\n') && newline:
			output = rest
		case control(p): // has no echo, or another one
		default:
			c.echoed(now, n)
			c.hide(now, line(c.pending))
			return
		}
		n++
	}
	c.echoed(now, n)
}

// line is the length of the first line, with its end.
func line(b []byte) int {
	if n := bytes.IndexAny(b, "\r\n"); n >= 0 {
		return n + 1
	}
	return len(b)
}

// echoed records the first n bytes that are pending.
func (c *Cast) echoed(now time.Time, n int) {
	if n > 0 {
		c.event(now, "i", string(bytes.ToValidUTF8(c.pending[:n], []byte("\uFFFD"))))
		c.pending = append(c.pending[:0], c.pending[n:]...)
	}
}

// hide tells how much was typed that was not shown, in the first n bytes that are
// pending, and records the control characters among it.
func (c *Cast) hide(now time.Time, n int) {
	var controls []byte
	text := bytes.Map(func(r rune) rune {
		if r < utf8.RuneSelf && control(byte(r)) {
			controls = append(controls, byte(r))
			return -1
		}
		return r
	}, c.pending[:n])
	if len(text) > 0 {
		c.Mark(now, fmt.Sprintf("hidden input, %d characters", utf8.RuneCount(text)))
	}
	if len(controls) > 0 {
		c.event(now, "i", string(controls))
	}
	c.pending = append(c.pending[:0], c.pending[n:]...)
}

// Resize is a new size of the terminal.
func (c *Cast) Resize(now time.Time, cols, rows uint32) {
	c.event(now, "r", fmt.Sprintf("%dx%d", cols, rows))
}

// Mark is a remark of the hub.
func (c *Cast) Mark(now time.Time, text string) { c.event(now, "m", text) }

// End writes what is left of unfinished characters and hidden input.
func (c *Cast) End(now time.Time) {
	if len(c.out) > 0 {
		c.event(now, "o", string(bytes.ToValidUTF8(c.out, []byte("\uFFFD"))))
		c.out = nil
	}
	c.hide(now, len(c.pending))
}

// Len is how many bytes of lines there are.
func (c *Cast) Len() int { return c.lines.Len() }

// Take gives the lines so far and forgets them.
func (c *Cast) Take() []byte {
	b := bytes.Clone(c.lines.Bytes())
	c.lines.Reset()
	return b
}

func (c *Cast) event(now time.Time, kind, data string) {
	seconds := math.Round(max(now.Sub(c.began), 0).Seconds()*1e6) / 1e6
	c.line([]any{seconds, kind, data})
}

func (c *Cast) line(v any) {
	e := json.NewEncoder(&c.lines)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and numbers always encode
}
