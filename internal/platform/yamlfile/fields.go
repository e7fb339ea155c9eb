package yamlfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is an error at a line of a file, the first of which is 1.
type Error struct {
	Line int
	Text string
}

// Error is "line LINE: TEXT".
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Errorf is an *Error at a node.
func Errorf(n *yaml.Node, format string, args ...any) error {
	return &Error{n.Line, fmt.Sprintf(format, args...)}
}

// Reader takes what it is there for from a node. Its errors tell the line.
type Reader = func(*yaml.Node) error

// Fields are the readers of a mapping's fields by name.
type Fields map[string]Reader

// Mapping reads each field that a mapping has, in the file's order. What names
// the mapping in errors, as in all readers here.
func Mapping(n *yaml.Node, what string, known Fields) error {
	if n.Kind != yaml.MappingNode {
		return Errorf(n, "%s must be a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		read, ok := known[k.Value]
		if !ok {
			return Errorf(k, "%s has no field %q (known: %s)", what, k.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if seen[k.Value] {
			return Errorf(k, "%s has the field %q twice", what, k.Value)
		}
		seen[k.Value] = true
		if err := read(v); err != nil {
			return err
		}
	}
	return nil
}

// List reads each element of a list.
func List(what string, read Reader) Reader {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return Errorf(n, "%s must be a list", what)
		}
		for _, x := range n.Content {
			if err := read(x); err != nil {
				return err
			}
		}
		return nil
	}
}

// Text reads a scalar that is not null, as it is written.
func Text(what string, to *string) Reader {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return Errorf(n, "%s must be a text", what)
		}
		*to = n.Value
		return nil
	}
}

// Flag reads true or false.
func Flag(what string, to *bool) Reader {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			return Errorf(n, "%s must be true or false", what)
		}
		return n.Decode(to)
	}
}

// Texts reads a mapping of any names to texts.
func Texts(what string, to *map[string]string) Reader {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return Errorf(n, "%s must be a mapping of names to texts", what)
		}
		*to = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if _, twice := (*to)[k.Value]; twice {
				return Errorf(k, "%s has %q twice", what, k.Value)
			}
			var s string
			if err := Text(what+" "+k.Value, &s)(v); err != nil {
				return err
			}
			(*to)[k.Value] = s
		}
		return nil
	}
}
