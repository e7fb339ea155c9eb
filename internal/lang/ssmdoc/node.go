package ssmdoc

import (
	"strconv"
	"strings"
)

// Kind is the JSON kind of a Node.
type Kind int

// The kinds of a Node.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

var kindNames = [...]string{"null", "boolean", "number", "string", "list", "map"}

func (k Kind) String() string { return kindNames[k] }

// Node is one value of a parsed document with the line it stands on. A nil
// Node is an absent value: its methods answer the zero value.
type Node struct {
	Kind   Kind
	Line   int     // from 1
	Text   string  // of a scalar: the string, or the number or boolean as written
	Value  any     // of a scalar: string, bool, int64, float64 or nil
	Items  []*Node // of a List
	Fields []Field // of a Map, in document order
	Tag    string  // a YAML tag that is none of YAML's own ("!Ref"), else ""
}

// Field is one entry of a Map.
type Field struct {
	Key   string
	Line  int
	Value *Node
}

// Get is the value of a key of a Map, nil when it has none or is no Map.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Fields {
		if n.Fields[i].Key == key {
			return n.Fields[i].Value
		}
	}
	return nil
}

// At follows keys from map to map, nil as soon as one is missing.
func (n *Node) At(keys ...string) *Node {
	for _, k := range keys {
		n = n.Get(k)
	}
	return n
}

// Str is the text of a scalar ("" of a list, a map, null or an absent value).
func (n *Node) Str() string {
	if n == nil || n.Kind == Null {
		return ""
	}
	return n.Text
}

// Int is the integer a Number, or a String of digits, stands for.
func (n *Node) Int() (int64, bool) {
	if n == nil {
		return 0, false
	}
	return toInt(n.Value)
}

// Bool is the boolean a Bool, or a String "true" or "false" in any case,
// stands for.
func (n *Node) Bool() (value, ok bool) {
	if n == nil {
		return false, false
	}
	if b, isBool := n.Value.(bool); isBool {
		return b, true
	}
	switch strings.ToLower(n.Str()) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Any is the plain value: map[string]any, []any, string, bool, int64, float64
// or nil.
func (n *Node) Any() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Any()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			out[f.Key] = f.Value.Any()
		}
		return out
	}
	return n.Value
}

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		i, err := strconv.ParseInt(v, 10, 64)
		return i, err == nil
	}
	return 0, false
}
