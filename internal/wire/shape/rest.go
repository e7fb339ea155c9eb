package shape

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Match finds the operation whose method and path fit, and the labels of the
// path, decoded. The path is the escaped one: a label may hold %2F. Only REST
// models have paths.
func (m *Model) Match(method, escapedPath string) (*Operation, map[string]string) {
	if m.Protocol != ProtocolREST {
		return nil, nil
	}
	for i := range m.Operations {
		op := &m.Operations[i]
		if op.Method != method {
			continue
		}
		if labels, ok := matchPath(op.URI, escapedPath); ok {
			return op, labels
		}
	}
	return nil, nil
}

// matchPath compares a path with a template such as /tags/{arn} or /x/{key+}.
func matchPath(template, path string) (map[string]string, bool) {
	var labels map[string]string
	for template != "" {
		want, restT := segment(template)
		got, restP := segment(path)
		if !strings.HasPrefix(want, "/{") {
			if want != got {
				return nil, false
			}
			template, path = restT, restP
			continue
		}
		name := strings.TrimSuffix(want[2:], "}")
		if strings.HasSuffix(name, "+") {
			name, got, restP = strings.TrimSuffix(name, "+"), path, ""
		}
		value, err := url.PathUnescape(strings.TrimPrefix(got, "/"))
		if err != nil || value == "" {
			return nil, false
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[name] = value
		template, path = restT, restP
	}
	return labels, path == ""
}

// segment splits the first segment, with its slash, from the rest.
func segment(path string) (first, rest string) {
	if path == "" {
		return "", ""
	}
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[:i+1], path[i+1:]
	}
	return path, ""
}

// decodeREST reads path labels, query and body.
func decodeREST(m *Model, op *Operation, r *Request, labels map[string]string, in any) error {
	if err := decode(m, op.Input, &decoder{scanner: scanner{data: r.Body}}, in); err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	p := planOf(m, op.Input, v.Type())
	known := map[string]bool{}
	for i := range p.fields {
		f := &p.fields[i]
		var values []string
		switch f.Location {
		case "uri":
			if s, ok := labels[f.label()]; ok {
				values = []string{s}
			}
		case "querystring":
			values = r.Query[f.label()]
			known[f.label()] = true
		}
		if bad := located(f, v.Field(f.index), values); bad != nil {
			return bad.in(f.path).fault()
		}
	}
	return unknownQuery(r.Query, known)
}

// unknownQuery refuses a parameter that the operation does not have. Those of
// a presigned request are no input.
func unknownQuery(q url.Values, known map[string]bool) error {
	for name := range q {
		if !known[name] && !strings.HasPrefix(name, "X-Amz-") {
			return refuse("unknown query parameter %s", quoted(name)).fault()
		}
	}
	return nil
}

func (f *field) label() string {
	if f.LocationName != "" {
		return f.LocationName
	}
	return f.Name
}

// located sets a member from its text in the path or the query.
func located(f *field, v reflect.Value, values []string) *problem {
	switch {
	case len(values) == 0:
		return nil
	case f.plan.kind == List:
		v.Set(reflect.MakeSlice(v.Type(), len(values), len(values)))
		for i, s := range values {
			if bad := locatedScalar(f.plan.elem, v.Index(i), s); bad != nil {
				return bad
			}
		}
		return nil
	case len(values) > 1:
		return refuse("the parameter %s is given twice", quoted(f.label()))
	}
	return locatedScalar(f.plan, v, values[0])
}

// locatedScalar is scalar for text from a path, a query or a form, which JSON
// has not checked.
func locatedScalar(p *plan, v reflect.Value, s string) *problem {
	if _, bad := checked([]byte(s)); bad != nil {
		return bad
	}
	if strings.ContainsRune(s, 0) {
		return refuse("the request has a NUL character in a string")
	}
	switch p.kind {
	case Timestamp:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return refuse("%s is not an ISO 8601 time", quoted(s))
		}
		hold(v).Set(reflect.ValueOf(t.UTC()))
		return nil
	case Blob:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return refuse("the value is not valid base64")
		}
		v.SetBytes(b)
		return nil
	case String:
		if s == "" && v.Kind() == reflect.String && len(p.shape.Enum) > 0 {
			return &problem{text: enumText(p.shape.Enum), constraint: true}
		}
	}
	return scalar(p, v, s)
}

// encodeREST fills in path, query and body.
func encodeREST(m *Model, op *Operation, in any, r *Request) error {
	v := held(reflect.ValueOf(in))
	p := planOf(m, op.Input, v.Type())
	r.Path = op.URI
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.index)
		switch {
		case f.Location == "uri":
			if absent(fv) || scalarText(f.plan, held(fv)) == "" {
				return fmt.Errorf("shape: the member %s of %s stands in the path and must not be empty", f.Name, op.Name)
			}
			r.Path = strings.NewReplacer(
				"{"+f.label()+"}", escapeLabel(scalarText(f.plan, held(fv)), false),
				"{"+f.label()+"+}", escapeLabel(scalarText(f.plan, held(fv)), true)).Replace(r.Path)
		case f.Location == "querystring" && !absent(fv):
			r.Query[f.label()] = queryTexts(f.plan, held(fv))
		}
	}
	if len(p.body) > 0 {
		r.Header.Set("Content-Type", m.contentType())
		r.Body = encode(m, op.Input, &encoder{}, in)
	}
	return nil
}

func queryTexts(p *plan, v reflect.Value) []string {
	if p.kind != List {
		return []string{scalarText(p, v)}
	}
	out := make([]string, v.Len())
	for i := range out {
		out[i] = scalarText(p.elem, held(v.Index(i)))
	}
	return out
}

// scalarText is a value as path, query, form and XML write it.
func scalarText(p *plan, v reflect.Value) string {
	switch p.kind {
	case String:
		return v.String()
	case Integer, Long:
		return strconv.FormatInt(v.Int(), 10)
	case Boolean:
		return strconv.FormatBool(v.Bool())
	case Timestamp:
		return isoTime(v.Interface().(time.Time))
	case Blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case Float, Double:
		return strconv.FormatFloat(v.Float(), 'g', -1, int(p.typ.Size())*8)
	}
	return ""
}

func isoTime(t time.Time) string {
	return t.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.999Z")
}

// escapeLabel percent-encodes all but RFC 3986's unreserved characters; a
// greedy label keeps its slashes.
func escapeLabel(s string, greedy bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("-_.~", c) >= 0, greedy && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
