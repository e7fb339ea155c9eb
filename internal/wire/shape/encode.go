package shape

import (
	"encoding/base64"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// encoder writes the Go value of a shape as JSON.
type encoder struct {
	buf    []byte
	all    bool // also the members that REST puts into path and query
	redact bool // sensitive parts are left out
}

// EncodeJSON renders v, the Go value (or a pointer to it) of structure ref, as
// one JSON object with all its members. Times are seconds since 1970.
func EncodeJSON(m *Model, ref int, v any) ([]byte, error) {
	return encode(m, ref, &encoder{all: true}, v), nil
}

func encode(m *Model, ref int, e *encoder, v any) []byte {
	rv := reflect.ValueOf(v)
	p := planOf(m, ref, rv.Type())
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return append(e.buf, "{}"...)
		}
		rv = rv.Elem()
	}
	if e.buf == nil {
		e.buf = make([]byte, 0, 256)
	}
	e.structure(p, rv)
	return e.buf
}

func (e *encoder) structure(p *plan, v reflect.Value) {
	e.buf = append(e.buf, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.Location != "" && !e.all || e.redact && f.sensitive {
			continue
		}
		fv := v.Field(f.index)
		if absent(fv) {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(e.buf, f.quoted...)
		e.value(f.plan, held(fv))
	}
	e.buf = append(e.buf, '}')
}

func (e *encoder) value(p *plan, v reflect.Value) {
	switch p.kind {
	case Structure:
		e.structure(p, v)
	case List:
		e.list(p, v)
	case Map:
		e.mapping(p, v)
	case String:
		e.buf = appendQuoted(e.buf, v.String())
	case Integer, Long:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case Boolean:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case Timestamp:
		e.buf = appendEpoch(e.buf, v.Interface().(time.Time))
	case Blob:
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, v.Bytes())
		e.buf = append(e.buf, '"')
	case Float, Double:
		e.buf = strconv.AppendFloat(e.buf, v.Float(), 'g', -1, int(p.typ.Size())*8)
	}
}

func (e *encoder) list(p *plan, v reflect.Value) {
	e.buf = append(e.buf, '[')
	for i := range v.Len() {
		if e.redact && p.elem.shape.Sensitive {
			break
		}
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.item(p.elem, v.Index(i))
	}
	e.buf = append(e.buf, ']')
}

// item writes an element of a list or map; one that holds nothing is the empty
// value of its kind, since null is not allowed there.
func (e *encoder) item(p *plan, v reflect.Value) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		v = reflect.Zero(v.Type().Elem())
	}
	e.value(p, held(v))
}

// mapping writes the entries in the order of their keys, so that equal values
// have equal bytes.
func (e *encoder) mapping(p *plan, v reflect.Value) {
	e.buf = append(e.buf, '{')
	if !e.redact || !p.elem.shape.Sensitive && !p.key.shape.Sensitive {
		for i, k := range sortedKeys(v) {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.buf = append(appendQuoted(e.buf, k.String()), ':')
			e.item(p.elem, v.MapIndex(k))
		}
	}
	e.buf = append(e.buf, '}')
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// appendEpoch writes seconds since 1970 with milliseconds when there are any,
// the resolution of AWS.
func appendEpoch(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		b = append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes s as a JSON string; bytes that are not UTF-8 become
// U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = appendEscape(append(b, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
