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
	if b[0] == 0x1b { // a key, not a text
		c.event(now, "i", string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
		return
	}
	for len(b) > 0 {
		n := bytes.IndexFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f })
		if n < 0 {
			n = len(b)
		}
		c.pending = append(c.pending, b[:n]...)
		if b = b[n:]; len(b) > 0 {
			c.hide(now)
			c.event(now, "i", string(b[:1]))
			b = b[1:]
		}
	}
	if len(c.pending) > maxHidden {
		c.hide(now)
	}
}

// echo records the input with which output begins.
func (c *Cast) echo(now time.Time, output []byte) {
	n := 0
	for n < len(output) && n < len(c.pending) && output[n] == c.pending[n] {
		n++
	}
	if n > 0 {
		c.event(now, "i", string(bytes.ToValidUTF8(c.pending[:n], []byte("\uFFFD"))))
		c.pending = append(c.pending[:0], c.pending[n:]...)
	}
}

// hide tells how much was typed that was not shown.
func (c *Cast) hide(now time.Time) {
	if n := utf8.RuneCount(c.pending); n > 0 {
		c.Mark(now, fmt.Sprintf("hidden input, %d characters", n))
	}
	c.pending = c.pending[:0]
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
	c.hide(now)
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
