package iampolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits of one policy text. IAM's largest own limit is 10,240 characters.
const (
	MaxBytes = 64 << 10
	maxDepth = 8
)

// Error is a refusal of a policy text. Line and Column count from 1.
type Error struct {
	Line, Column int
	Text         string
}

// Error is the position and the reason.
func (e *Error) Error() string {
	return fmt.Sprintf("policy line %d column %d: %s", e.Line, e.Column, e.Text)
}

// node is one JSON value with the offset it starts at.
type node struct {
	at      int
	kind    byte // '{' '[' 's' 'n' 'b' '0' (null)
	text    string
	items   []node // of a list
	members []member
}

type member struct {
	name  string
	at    int
	value node
}

type reader struct {
	data []byte
	dec  *json.Decoder
}

func readJSON(data []byte) (*reader, node, error) {
	r := &reader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	if len(data) > MaxBytes {
		return r, node{}, r.errorf(0, "longer than %d bytes", MaxBytes)
	}
	if !utf8.Valid(data) {
		return r, node{}, r.errorf(invalidAt(data), "not valid UTF-8")
	}
	n, err := r.value(1)
	if err != nil {
		return r, node{}, err
	}
	at := r.next()
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return r, node{}, r.errorf(at, "text after the policy")
	}
	return r, n, nil
}

func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

func (r *reader) errorf(at int, format string, args ...any) error {
	at = min(at, len(r.data))
	line := 1 + bytes.Count(r.data[:at], []byte("\n"))
	column := 1 + utf8.RuneCount(r.data[bytes.LastIndexByte(r.data[:at], '\n')+1:at])
	return &Error{Line: line, Column: column, Text: fmt.Sprintf(format, args...)}
}

// next is the offset at which the next token starts.
func (r *reader) next() int {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *reader) token() (json.Token, int, error) {
	at := r.next()
	t, err := r.dec.Token()
	if err == nil {
		return t, at, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, at, r.errorf(len(r.data), "unexpected end of the text")
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, at, r.errorf(max(0, int(bad.Offset)-1), "not JSON: %s", bad.Error())
	}
	return nil, at, r.errorf(at, "not JSON: %s", err)
}

func (r *reader) value(depth int) (node, error) {
	t, at, err := r.token()
	if err != nil {
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, r.errorf(at, "nested deeper than %d levels", maxDepth)
	}
	n := node{at: at}
	switch t := t.(type) {
	case json.Delim:
		n.kind = byte(t)
		if t == '{' {
			err = r.object(&n, depth)
		} else {
			err = r.list(&n, depth)
		}
	case string:
		n.kind, n.text = 's', t
	case json.Number:
		n.kind, n.text = 'n', t.String()
	case bool:
		n.kind, n.text = 'b', fmt.Sprint(t)
	default:
		n.kind = '0'
	}
	return n, err
}

func (r *reader) object(n *node, depth int) error {
	seen := map[string]bool{}
	for r.dec.More() {
		t, at, err := r.token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return r.errorf(at, "%q is given twice", name)
		}
		seen[name] = true
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name: name, at: at, value: v})
	}
	_, _, err := r.token()
	return err
}

func (r *reader) list(n *node, depth int) error {
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
	}
	_, _, err := r.token()
	return err
}
