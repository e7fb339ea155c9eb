package yamlfile

import (
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

// JSON writes a YAML value as JSON whose lines are those of the file, so that
// an error at a line of the JSON is one at the same line of the file; a text is
// taken for JSON as it is. The second result is how many lines to add to a line of
// the JSON. Error: *Error, the value has an alias or an anchor.
func JSON(n *yaml.Node) ([]byte, int, error) {
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
	return Errorf(n, "aliases and anchors are not read here")
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
