package ssmdoc

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxContent is the largest content of a document in bytes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
const MaxContent = 64 * 1024

const maxDepth = 50

// Parse reads content strictly: duplicate keys, YAML anchors, more than
// MaxContent bytes and more than 50 levels are refused. The error is an *Error.
// It does not check the rules of a document type: see Validate.
func Parse(content []byte, format string) (*Document, error) {
	if len(content) > MaxContent {
		return nil, &Error{Message: fmt.Sprintf("the content has %d bytes, the limit is %d", len(content), MaxContent)}
	}
	if !utf8.Valid(content) {
		return nil, &Error{Message: "the content is not valid UTF-8"}
	}
	switch format {
	case TEXT:
		return &Document{Text: string(content)}, nil
	case JSON:
		return parsed(parseJSON(content))
	case YAML:
		// AWS reads a JSON text that is declared as YAML.
		if t := bytes.TrimLeft(content, " \t\r\n"); bytes.HasPrefix(t, []byte("{")) {
			if n, err := parseJSON(content); err == nil {
				return build(n)
			}
		}
		return parsed(parseYAML(content))
	}
	return nil, &Error{Message: fmt.Sprintf("document format %q is not one of JSON, YAML, TEXT", format)}
}

func parsed(root *Node, err error) (*Document, error) {
	if err != nil {
		return nil, err
	}
	return build(root)
}

// place is where in the document a check stands.
type place struct {
	step string
	path string
}

func (p place) key(k string) place {
	if p.path == "" {
		return place{p.step, k}
	}
	return place{p.step, p.path + "." + k}
}

func (p place) index(i int) place { return place{p.step, fmt.Sprintf("%s[%d]", p.path, i)} }

func (p place) errorf(line int, format string, args ...any) error {
	return &Error{Line: line, Step: p.step, Path: p.path, Message: fmt.Sprintf(format, args...)}
}

// want is the error when a value has the wrong kind. A nil node is absent and passes.
func (p place) want(n *Node, kinds ...Kind) error {
	if n == nil {
		return nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		if n.Kind == k {
			return nil
		}
		names[i] = k.String()
	}
	return p.errorf(n.Line, "must be a %s, not a %s", strings.Join(names, " or "), n.Kind)
}

// only is the error for the first key of a map that is not among the known ones.
func (p place) only(n *Node, known ...string) error {
	if n == nil {
		return nil
	}
next:
	for _, f := range n.Fields {
		for _, k := range known {
			if f.Key == k {
				continue next
			}
		}
		return p.errorf(f.Line, "unknown property %q%s", f.Key, meant(f.Key, known))
	}
	return nil
}

// meant suggests the known key that differs in case only.
func meant(key string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return fmt.Sprintf(", did you mean %q?", k)
		}
	}
	return ""
}
