package ssmdoc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Hash is the lower-case hex SHA-256 of the content, as in DocumentDescription.Hash.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Convert writes content of one format in another (JSON and YAML both ways;
// the same format is answered as it is). Keys keep their order, comments are
// lost. The error is an *Error.
func Convert(content []byte, from, to string) ([]byte, error) {
	if from == to {
		return content, nil
	}
	if from == TEXT || to == TEXT {
		return nil, &Error{Message: fmt.Sprintf("a %s document cannot be read as %s", from, to)}
	}
	d, err := Parse(content, from)
	if err != nil {
		return nil, err
	}
	return d.Root.Encode(to)
}

// Encode writes the tree as JSON (indented by two spaces) or YAML.
func (n *Node) Encode(format string) ([]byte, error) {
	var b bytes.Buffer
	if format == YAML {
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(n.yaml()); err != nil {
			return nil, err
		}
		return b.Bytes(), enc.Close()
	}
	n.json(&b, "")
	return b.Bytes(), nil
}

func (n *Node) json(b *bytes.Buffer, indent string) {
	inner := indent + "  "
	switch {
	case n == nil:
		b.WriteString("null")
	case n.Kind == List && len(n.Items) > 0:
		b.WriteByte('[')
		for i, item := range n.Items {
			separate(b, i, inner)
			item.json(b, inner)
		}
		b.WriteString("\n" + indent + "]")
	case n.Kind == Map && len(n.Fields) > 0:
		b.WriteByte('{')
		for i, f := range n.Fields {
			separate(b, i, inner)
			quote(b, f.Key)
			b.WriteString(": ")
			f.Value.json(b, inner)
		}
		b.WriteString("\n" + indent + "}")
	case n.Kind == List:
		b.WriteString("[]")
	case n.Kind == Map:
		b.WriteString("{}")
	default:
		quote(b, n.Value)
	}
}

func separate(b *bytes.Buffer, i int, indent string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString("\n" + indent)
}

// quote writes a scalar as JSON without the escapes meant for HTML.
func quote(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		b.WriteString("null\n")
	}
	b.Truncate(b.Len() - 1) // the line end
}

func (n *Node) yaml() *yaml.Node {
	y := &yaml.Node{}
	if n == nil {
		y.SetString("")
		return y
	}
	switch n.Kind {
	case List:
		y.Kind, y.Tag = yaml.SequenceNode, "!!seq"
		for _, item := range n.Items {
			y.Content = append(y.Content, item.yaml())
		}
	case Map:
		y.Kind, y.Tag = yaml.MappingNode, "!!map"
		for _, f := range n.Fields {
			y.Content = append(y.Content, yamlText(f.Key), f.Value.yaml())
		}
	case String:
		return yamlText(n.Text)
	default:
		if err := y.Encode(n.Value); err != nil {
			return yamlText(n.Text)
		}
	}
	if n.Tag != "" {
		y.Tag = n.Tag
	}
	return y
}

// yamlText quotes what a reader could take for another type, and writes text
// of several lines as a block.
func yamlText(s string) *yaml.Node {
	y := &yaml.Node{}
	if err := y.Encode(s); err != nil {
		y.SetString(s)
	}
	if y.Style == 0 && strings.Contains(s, "\n") {
		y.Style = yaml.LiteralStyle
	}
	return y
}
