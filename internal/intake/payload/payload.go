// Package payload reads the JSON that senders of alarms post: strictly where a
// mistake could change what an alarm means (types, members given twice, names in
// the wrong case), leniently where senders differ (members not known here,
// members that are missing, null for absent).
package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 32

// Object is a JSON object being read. The first mistake found anywhere in the
// document is kept; Err tells it.
type Object struct {
	path    string
	members map[string]any
	problem *error
}

// Parse reads a document, which has to be one object.
func Parse(data []byte) (*Object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the end of the JSON document")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the document must be a JSON object")
	}
	return &Object{members: m, problem: new(error)}, nil
}

func value(d *json.Decoder, path string, depth int) (any, error) {
	t, err := token(d)
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		if s, ok := t.(string); ok {
			return storable(s), nil
		}
		return t, nil
	}
	if depth == MaxDepth {
		return nil, fmt.Errorf("%s: nested deeper than %d", name(path), MaxDepth)
	}
	if delim == '[' {
		return list(d, path, depth+1)
	}
	return object(d, path, depth+1)
}

func token(d *json.Decoder) (json.Token, error) {
	t, err := d.Token()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("not well-formed JSON at byte %d: %w", syntax.Offset, syntax)
	}
	if err != nil {
		return nil, errors.New("not well-formed JSON: it ends early")
	}
	return t, nil
}

// storable replaces the one character that PostgreSQL does not store.
func storable(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }

func list(d *json.Decoder, path string, depth int) (any, error) {
	out := []any{}
	for d.More() {
		v, err := value(d, fmt.Sprintf("%s[%d]", path, len(out)), depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := token(d)
	return out, err
}

func object(d *json.Decoder, path string, depth int) (any, error) {
	out := map[string]any{}
	for d.More() {
		t, err := token(d)
		if err != nil {
			return nil, err
		}
		key := storable(t.(string)) // the decoder takes nothing else for a key
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("%s is given twice", name(join(path, key)))
		}
		if out[key], err = value(d, join(path, key), depth); err != nil {
			return nil, err
		}
	}
	_, err := token(d)
	return out, err
}

func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "":
		return path
	}
	return path + "." + key
}

// name is a path for an error, cut where a sender made it long.
func name(path string) string {
	const most = 200
	if path == "" {
		return "the document"
	}
	if len(path) > most {
		path = path[:most] + "..."
	}
	return strings.ToValidUTF8(path, "\uFFFD")
}

// Err is the first mistake that reading found.
func (o *Object) Err() error { return *o.problem }

// Fail keeps a mistake in a member, unless there was one before.
func (o *Object) Fail(key, format string, args ...any) {
	if *o.problem == nil {
		*o.problem = fmt.Errorf("%s %s", name(join(o.path, key)), fmt.Sprintf(format, args...))
	}
}

// Has says that a member is there and not null.
func (o *Object) Has(key string) bool { return o.members[key] != nil }

// Text reads a text, "" when it is absent.
func (o *Object) Text(key string) string {
	switch v := o.members[key].(type) {
	case nil:
		return ""
	case string:
		return v
	}
	o.Fail(key, "must be a text")
	return ""
}

// OneOf reads a text that is absent or one of values.
func (o *Object) OneOf(key string, values ...string) string {
	s := o.Text(key)
	if s != "" && !slices.Contains(values, s) {
		o.Fail(key, "must be one of %s", strings.Join(values, ", "))
	}
	return s
}

// Int reads a whole number, 0 when it is absent.
func (o *Object) Int(key string) int64 {
	switch v := o.members[key].(type) {
	case nil:
		return 0
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
	}
	o.Fail(key, "must be a whole number")
	return 0
}

// Time reads a time in one of the layouts; absent, "" and year 1 are the zero
// time.
func (o *Object) Time(key string, layouts ...string) time.Time {
	s := o.Text(key)
	if s == "" {
		return time.Time{}
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return known(t)
		}
	}
	o.Fail(key, "must be a time such as 2026-07-01T12:00:00Z")
	return time.Time{}
}

// known is the zero time for those that Go and others write for "none".
func known(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}

// Texts reads an object whose values are texts, nil when it is absent.
func (o *Object) Texts(key string) map[string]string {
	sub := o.Object(key)
	if sub == nil {
		return nil
	}
	out := make(map[string]string, len(sub.members))
	for k := range sub.members {
		out[k] = sub.Text(k)
	}
	return out
}

// Object reads an object, nil when it is absent.
func (o *Object) Object(key string) *Object {
	switch v := o.members[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return &Object{path: join(o.path, key), members: v, problem: o.problem}
	}
	o.Fail(key, "must be an object")
	return nil
}

// Objects reads a list of objects.
func (o *Object) Objects(key string) (out []*Object) {
	list, ok := o.members[key].([]any)
	if !ok {
		if o.Has(key) {
			o.Fail(key, "must be a list")
		}
		return nil
	}
	for i, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			o.Fail(fmt.Sprintf("%s[%d]", key, i), "must be an object")
			return nil
		}
		out = append(out, &Object{path: fmt.Sprintf("%s[%d]", join(o.path, key), i), members: m, problem: o.problem})
	}
	return out
}

// First reads the first of a list of texts, "" when there is none.
func (o *Object) First(key string) string {
	list, ok := o.members[key].([]any)
	if !ok && o.Has(key) {
		o.Fail(key, "must be a list")
	}
	if len(list) == 0 {
		return ""
	}
	s, ok := list[0].(string)
	if !ok {
		o.Fail(key+"[0]", "must be a text")
	}
	return s
}
