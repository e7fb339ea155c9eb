package ssmdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// jsonReader turns the token stream of encoding/json into Nodes and keeps
// count of lines.
type jsonReader struct {
	src  []byte
	dec  *json.Decoder
	seen int // bytes of src whose line ends are in line
	line int
}

func parseJSON(src []byte) (*Node, error) {
	r := &jsonReader{src: src, dec: json.NewDecoder(bytes.NewReader(src)), line: 1}
	r.dec.UseNumber()
	n, err := r.value(1)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &Error{Line: r.here(), Message: "there is text after the end of the JSON document"}
	}
	return n, nil
}

// here is the line of the token that was read last.
func (r *jsonReader) here() int {
	end := min(int(r.dec.InputOffset()), len(r.src))
	if end > r.seen {
		r.line += bytes.Count(r.src[r.seen:end], []byte{'\n'})
		r.seen = end
	}
	return r.line
}

func (r *jsonReader) token() (json.Token, int, error) {
	t, err := r.dec.Token()
	if err == nil {
		return t, r.here(), nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at := min(int(syntax.Offset), len(r.src))
		return nil, 0, &Error{Line: 1 + bytes.Count(r.src[:at], []byte{'\n'}), Message: "JSON not well-formed: " + syntax.Error()}
	}
	return nil, 0, &Error{Line: 1 + bytes.Count(r.src, []byte{'\n'}), Message: "JSON not well-formed: unexpected end of the document"}
}

func (r *jsonReader) value(depth int) (*Node, error) {
	t, line, err := r.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, errDepth(line)
		}
		if t == '[' {
			return r.list(line, depth)
		}
		return r.object(line, depth)
	case string:
		return &Node{Kind: String, Line: line, Text: t, Value: t}, nil
	case json.Number:
		return number(t.String(), line)
	case bool:
		return &Node{Kind: Bool, Line: line, Text: strconv.FormatBool(t), Value: t}, nil
	}
	return &Node{Kind: Null, Line: line, Text: "null"}, nil
}

func (r *jsonReader) list(line, depth int) (*Node, error) {
	n := &Node{Kind: List, Line: line}
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, item)
	}
	_, _, err := r.token() // the closing bracket
	return n, err
}

func (r *jsonReader) object(line, depth int) (*Node, error) {
	n := &Node{Kind: Map, Line: line}
	seen := map[string]int{}
	for r.dec.More() {
		t, at, err := r.token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return nil, &Error{Line: at, Message: "JSON not well-formed: a key must be a string"}
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if err := n.add(seen, key, at, v); err != nil {
			return nil, err
		}
	}
	_, _, err := r.token() // the closing brace
	return n, err
}

// add appends a field, refusing a key that the map has already.
func (n *Node) add(seen map[string]int, key string, line int, v *Node) error {
	if first, dup := seen[key]; dup {
		return &Error{Line: line, Message: fmt.Sprintf("key %q is given twice, first in line %d", key, first)}
	}
	seen[key] = line
	n.Fields = append(n.Fields, Field{Key: key, Line: line, Value: v})
	return nil
}

// number keeps integers that fit as int64 and makes float64 of the others.
func number(text string, line int) (*Node, error) {
	n := &Node{Kind: Number, Line: line, Text: text}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		n.Value = i
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, &Error{Line: line, Message: "number " + strconv.Quote(text) + " is out of range"}
	}
	n.Value = f
	return n, nil
}

func errDepth(line int) error {
	return &Error{Line: line, Message: fmt.Sprintf("the document is nested more than %d levels deep", maxDepth)}
}
