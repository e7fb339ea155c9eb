package ssmdoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func parseYAML(src []byte) (*Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{Line: 1, Message: "the document is empty"}
		}
		return nil, yamlError(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlError(err)
		}
		return nil, &Error{Line: more.Line, Message: "the content holds more than one YAML document"}
	}
	return fromYAML(doc.Content[0], 1)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

func yamlError(err error) error {
	e := &Error{Message: "YAML not well-formed: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(e.Message); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Message = strings.Replace(e.Message, m[0], "", 1)
	}
	return e
}

func fromYAML(y *yaml.Node, depth int) (*Node, error) {
	if y.Kind == yaml.AliasNode || y.Anchor != "" {
		return nil, &Error{Line: y.Line, Message: "YAML anchors and aliases are not allowed"}
	}
	if depth > maxDepth {
		return nil, errDepth(y.Line)
	}
	switch y.Kind {
	case yaml.SequenceNode:
		return yamlList(y, depth)
	case yaml.MappingNode:
		return yamlMap(y, depth)
	}
	return yamlScalar(y)
}

func yamlList(y *yaml.Node, depth int) (*Node, error) {
	n := &Node{Kind: List, Line: y.Line, Tag: ownTag(y)}
	for _, c := range y.Content {
		item, err := fromYAML(c, depth+1)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, item)
	}
	return n, nil
}

func yamlMap(y *yaml.Node, depth int) (*Node, error) {
	n := &Node{Kind: Map, Line: y.Line, Tag: ownTag(y)}
	seen := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		if k.Kind == yaml.AliasNode || k.Anchor != "" || k.ShortTag() == "!!merge" {
			return nil, &Error{Line: k.Line, Message: "YAML anchors and aliases are not allowed"}
		}
		if k.Kind != yaml.ScalarNode {
			return nil, &Error{Line: k.Line, Message: "a key must be a string"}
		}
		v, err := fromYAML(y.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if err := n.add(seen, k.Value, k.Line, v); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// ownTag is the tag of a node when it is none of YAML's own ("!Ref").
func ownTag(y *yaml.Node) string {
	if t := y.ShortTag(); !strings.HasPrefix(t, "!!") {
		return t
	}
	return ""
}

var plainInt = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)

func yamlScalar(y *yaml.Node) (*Node, error) {
	text := func() *Node {
		return &Node{Kind: String, Line: y.Line, Text: y.Value, Value: y.Value, Tag: ownTag(y)}
	}
	switch y.ShortTag() {
	case "!!null":
		return &Node{Kind: Null, Line: y.Line, Text: "null"}, nil
	case "!!bool":
		b, err := strconv.ParseBool(strings.ToLower(y.Value))
		if err != nil {
			return nil, &Error{Line: y.Line, Message: fmt.Sprintf("%q is not a boolean", y.Value)}
		}
		return &Node{Kind: Bool, Line: y.Line, Text: y.Value, Value: b}, nil
	case "!!int":
		return yamlInt(y)
	case "!!float":
		// An account id such as 012345678901 is text to AWS's reader.
		if !strings.ContainsAny(y.Value, ".eE") {
			return text(), nil
		}
		return yamlFloat(y)
	}
	return text(), nil
}

func yamlInt(y *yaml.Node) (*Node, error) {
	if plainInt.MatchString(y.Value) {
		return number(strings.TrimPrefix(y.Value, "+"), y.Line)
	}
	var i int64
	if err := y.Decode(&i); err != nil {
		return nil, &Error{Line: y.Line, Message: "number " + strconv.Quote(y.Value) + " is out of range"}
	}
	return &Node{Kind: Number, Line: y.Line, Text: y.Value, Value: i}, nil
}

func yamlFloat(y *yaml.Node) (*Node, error) {
	var f float64
	if err := y.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, &Error{Line: y.Line, Message: "number " + strconv.Quote(y.Value) + " is out of range"}
	}
	return &Node{Kind: Number, Line: y.Line, Text: y.Value, Value: f}, nil
}
