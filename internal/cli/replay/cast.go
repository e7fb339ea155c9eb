package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Header is the first line of an asciicast v2.
// https://docs.asciinema.org/manual/asciicast/v2/
type Header struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Timestamp int64  `json:"timestamp"` // seconds since 1970
	Title     string `json:"title"`
}

// Kinds of events that are shown; others are passed over.
const (
	Output = "o"
	Input  = "i"
)

// Event is a line of an asciicast: what happened, and how long after the start.
type Event struct {
	At   time.Duration
	Kind string
	Data string
}

// longest is how long a line of a recording may be, in bytes.
const longest = 8 << 20

// Cast reads a recording line by line.
type Cast struct {
	Header Header
	lines  *bufio.Scanner
	number int
}

// Open reads the header of a recording. Error: io.EOF when there is nothing at all.
func Open(r io.Reader) (*Cast, error) {
	c := &Cast{lines: bufio.NewScanner(r)}
	c.lines.Buffer(make([]byte, 0, 64<<10), longest)
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(line, &c.Header); err != nil || c.Header.Version != 2 {
		return nil, errors.New("the recording does not begin with the header of an asciicast of version 2")
	}
	return c, nil
}

func (c *Cast) line() ([]byte, error) {
	for c.lines.Scan() {
		c.number++
		if line := c.lines.Bytes(); len(line) > 0 {
			return line, nil
		}
	}
	if err := c.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// Next is the next event; io.EOF at the end.
func (c *Cast) Next() (Event, error) {
	line, err := c.line()
	if err != nil {
		return Event{}, err
	}
	var parts []json.RawMessage
	var e Event
	var seconds float64
	err = json.Unmarshal(line, &parts)
	if err == nil && len(parts) != 3 {
		err = errors.New("not three parts")
	}
	if err == nil {
		err = errors.Join(json.Unmarshal(parts[0], &seconds), json.Unmarshal(parts[1], &e.Kind), json.Unmarshal(parts[2], &e.Data))
	}
	if err != nil {
		return Event{}, fmt.Errorf("line %d of the recording is not an event: %w", c.number, err)
	}
	e.At = time.Duration(seconds * float64(time.Second))
	return e, nil
}
