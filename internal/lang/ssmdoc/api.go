package ssmdoc

import (
	"errors"
	"strconv"
)

// MaxContent is the largest content of a document in bytes.
const MaxContent = 64 * 1024

var errTodo = errors.New("ssmdoc: not written yet")

// Parse reads content strictly: duplicate keys, YAML anchors, more than
// MaxContent bytes and more than 50 levels are refused. The error is an *Error.
// It does not check the rules of a document type: see Validate.
func Parse(content []byte, format string) (*Document, error) { return nil, errTodo }

// Validate checks the document by the rules of its type (Command, Automation,
// Session, ...). The error is an *Error.
func (d *Document) Validate(documentType string) error { return errTodo }

// BindParameters checks what was given at run time (every value is a list of
// strings, whatever the type) against the declarations, adds the defaults, and
// answers values by type: String string, StringList []any of string, Integer
// int64, Boolean bool, StringMap map[string]any, MapList []any of map[string]any.
// The error is a *ParameterError.
func BindParameters(d *Document, given map[string][]string) (map[string]any, error) {
	return nil, errTodo
}

// Lookup answers the value of a reference by its trimmed name: "name",
// "step.Output", "global:DATE", "automation:EXECUTION_ID", "variable:x",
// "ssm:/path". Found false leaves the text of the reference as it is.
type Lookup func(name string) (value any, found bool, err error)

// Expand replaces every reference in value (what Node.Any gives) in one pass
// and answers a new value. A string that is one reference and nothing else
// takes the value with its type; a list in such a place inside a list is
// spliced into it. Inside other text strings stand as they are and everything else
// as JSON. What was inserted is not looked at again.
func Expand(value any, lookup Lookup) (any, error) { return nil, errTodo }

// References are the distinct names of the references in value, in order.
func References(value any) []string { return nil }

// Select applies a JSONPath ("$.a.b", "$.list[0]", "$..x", "$.list[*].id") to
// a plain value. A path that names one place answers its value; one with a
// wildcard, slice, filter or descent answers []any of all matches. Nothing found is nil.
func Select(value any, path string) (any, error) { return nil, errTodo }

// Hash is the lower-case hex SHA-256 of the content, as in DocumentDescription.Hash.
func Hash(content []byte) string { return "" }

// Convert writes content of one format in another (JSON and YAML both ways;
// the same format is answered as it is).
func Convert(content []byte, from, to string) ([]byte, error) { return nil, errTodo }

// Match decides the rule. Expand resolves the references of Variable and
// Operand (a closure over Expand).
func (r *Rule) Match(expand func(any) (any, error)) (bool, error) { return false, errTodo }

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
