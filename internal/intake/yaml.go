package intake

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// at is an error at a line of the file.
func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

type fields map[string]func(*yaml.Node) error

// mapping reads the fields of a mapping; others and those given twice are errors.
func mapping(n *yaml.Node, what string, known fields) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "%s must be a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		read, ok := known[k.Value]
		if !ok {
			return at(k, "%s has no field %q (known: %s)", what, k.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
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

func list(what string, read func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return at(n, "%s must be a list", what)
		}
		for _, x := range n.Content {
			if err := read(x); err != nil {
				return err
			}
		}
		return nil
	}
}

func scalar(what string, to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return at(n, "%s must be a text", what)
		}
		*to = n.Value
		return nil
	}
}
