package identity

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// located is an error at a line of the identity file.
type located struct {
	line int
	text string
}

func (e *located) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

func at(n *yaml.Node, format string, args ...any) error {
	return &located{n.Line, fmt.Sprintf(format, args...)}
}

// mapping calls the function of each field that a mapping has; names without a
// function and names that occur twice are errors.
func mapping(n *yaml.Node, what string, fields map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "%s must be a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		read, ok := fields[k.Value]
		if !ok {
			return at(k, "%s has no field %q (known: %s)", what, k.Value, strings.Join(names(fields), ", "))
		}
		if seen[k.Value] {
			return at(k, "%s has the field %q twice", what, k.Value)
		}
		seen[k.Value] = true
		if err := read(v); err != nil {
			return err
		}
	}
	return nil
}

func names(fields map[string]func(*yaml.Node) error) []string {
	var out []string
	for k := range fields {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// list calls f for each element of a list.
func list(what string, f func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return at(n, "%s must be a list", what)
		}
		for _, x := range n.Content {
			if err := f(x); err != nil {
				return err
			}
		}
		return nil
	}
}

func text(what string, to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return at(n, "%s must be a text", what)
		}
		*to = n.Value
		return nil
	}
}

func flag(what string, to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			return at(n, "%s must be true or false", what)
		}
		return n.Decode(to)
	}
}

func texts(what string, to *map[string]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return at(n, "%s must be a mapping of names to texts", what)
		}
		*to = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if _, twice := (*to)[k.Value]; twice {
				return at(k, "%s has %q twice", what, k.Value)
			}
			var s string
			if err := text(what+" "+k.Value, &s)(v); err != nil {
				return err
			}
			(*to)[k.Value] = s
		}
		return nil
	}
}

// jsonOf writes a YAML value as JSON whose lines are those of the file, so that
// an error at a line of the JSON is one at the same line of the file. The second
// result is how many lines to add to a line of the JSON.
func jsonOf(n *yaml.Node) ([]byte, int, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		shift := n.Line - 1
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			shift++
		}
		return []byte(n.Value), shift, nil
	}
	w := &jsonWriter{line: n.Line}
	err := w.value(n)
	return []byte(w.b.String()), n.Line - 1, err
}

type jsonWriter struct {
	b    strings.Builder
	line int
}

func (w *jsonWriter) value(n *yaml.Node) error {
	for ; w.line < n.Line; w.line++ {
		w.b.WriteByte('\n')
	}
	switch n.Kind {
	case yaml.MappingNode:
		return w.all(n.Content, '{', '}', true)
	case yaml.SequenceNode:
		return w.all(n.Content, '[', ']', false)
	case yaml.ScalarNode:
		return w.scalar(n)
	}
	return at(n, "aliases and anchors are not read here")
}

func (w *jsonWriter) all(content []*yaml.Node, opens, closes byte, pairs bool) error {
	w.b.WriteByte(opens)
	for i, x := range content {
		switch {
		case pairs && i%2 == 1:
			w.b.WriteByte(':')
		case i > 0:
			w.b.WriteByte(',')
		}
		if err := w.value(x); err != nil {
			return err
		}
	}
	w.b.WriteByte(closes)
	return nil
}

func (w *jsonWriter) scalar(n *yaml.Node) error {
	switch n.Tag {
	case "!!bool", "!!null":
		w.b.WriteString(strings.ToLower(n.Value))
		return nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			w.b.WriteString(n.Value)
			return nil
		}
	}
	quoted, err := json.Marshal(n.Value)
	w.b.Write(quoted)
	return err
}
