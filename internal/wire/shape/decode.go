package shape

import (
	"encoding/base64"
	"reflect"
	"strconv"
)

// decoder reads JSON into the Go value of a shape.
type decoder struct {
	scanner
	all     bool // members of path and query may stand in the body
	lenient bool // unknown members are passed over
}

// DecodeJSON reads data, one JSON object with exact-case names, into v, a
// pointer to the Go type of structure ref. All members may stand in it, also
// those that REST puts into the path. Unknown members, duplicate keys, wrong
// types and trailing data are SerializationException.
func DecodeJSON(m *Model, ref int, data []byte, v any) error {
	return decode(m, ref, &decoder{scanner: scanner{data: data}, all: true}, v)
}

func decode(m *Model, ref int, d *decoder, v any) error {
	rv := reflect.ValueOf(v)
	p := planOf(m, ref, rv.Type())
	if d.end() {
		return nil // no body: no members
	}
	if d.peek() != '{' {
		return d.mismatch(p).fault()
	}
	if bad := d.structure(p, rv.Elem()); bad != nil {
		return bad.fault()
	}
	if !d.end() {
		return refuse("the request has data after its end, at byte %d", d.pos).fault()
	}
	return nil
}

// value reads the next value into v, a settable field, element or variable.
func (d *decoder) value(p *plan, v reflect.Value) *problem {
	switch p.kind {
	case Structure:
		return d.structure(p, hold(v))
	case List:
		return d.list(p, v)
	case Map:
		return d.mapping(p, v)
	case String:
		return d.textual(p, v)
	case Boolean:
		return d.boolean(p, v)
	case Blob:
		return d.blob(p, v)
	}
	return d.numeric(p, v)
}

// members is a set of the members of one structure.
type members [4]uint64

// add reports whether i was not there yet.
func (s *members) add(i int) bool {
	bit := uint64(1) << (i % 64)
	was := s[i/64] & bit
	s[i/64] |= bit
	return was == 0
}

func (d *decoder) structure(p *plan, v reflect.Value) *problem {
	if d.peek() != '{' {
		return d.mismatch(p)
	}
	if bad := d.open('{'); bad != nil {
		return bad
	}
	var seen members
	for first := true; ; first = false {
		ok, bad := d.more(first, '}')
		if bad != nil {
			return bad
		}
		if !ok {
			return nil
		}
		i, bad := d.member(p)
		if bad != nil {
			return bad
		}
		if i < 0 {
			continue
		}
		if !seen.add(i) {
			return refuse("the member %s is given twice", quoted(p.fields[i].Name))
		}
		if d.word("null") {
			continue
		}
		f := &p.fields[i]
		if bad := d.value(f.plan, v.Field(f.index)); bad != nil {
			return bad.in(f.path)
		}
	}
}

// member reads a member's name and finds its field, -1 when it was skipped.
func (d *decoder) member(p *plan) (int, *problem) {
	k, bad := d.key()
	if bad != nil {
		return 0, bad
	}
	names := p.body
	if d.all {
		names = p.all
	}
	if i, ok := names[string(k)]; ok {
		return i, nil
	}
	if d.lenient {
		return -1, d.skip()
	}
	return 0, refuse("unknown member %s in %s%s", quoted(string(k)), p.shape.Name, p.similar(string(k)))
}

func (d *decoder) list(p *plan, v reflect.Value) *problem {
	if d.peek() != '[' {
		return d.mismatch(p)
	}
	if bad := d.open('['); bad != nil {
		return bad
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for n := 0; ; n++ {
		ok, bad := d.more(n == 0, ']')
		if !ok || bad != nil {
			return bad
		}
		v.Grow(1)
		v.SetLen(n + 1)
		if bad := d.item(p.elem, v.Index(n)); bad != nil {
			return bad.in("member").in(strconv.Itoa(n + 1))
		}
	}
}

// item reads an element, which cannot be null.
func (d *decoder) item(p *plan, v reflect.Value) *problem {
	if d.peek() == 'n' {
		return refuse("null is not a value of a list or map")
	}
	return d.value(p, v)
}

func (d *decoder) mapping(p *plan, v reflect.Value) *problem {
	if d.peek() != '{' {
		return d.mismatch(p)
	}
	if bad := d.open('{'); bad != nil {
		return bad
	}
	t := v.Type()
	v.Set(reflect.MakeMap(t))
	for first := true; ; first = false {
		ok, bad := d.more(first, '}')
		if !ok || bad != nil {
			return bad
		}
		k, bad := d.key()
		if bad != nil {
			return bad
		}
		name := string(k)
		key := reflect.New(t.Key()).Elem()
		key.SetString(name)
		if v.MapIndex(key).IsValid() {
			return refuse("the key %s is given twice", quoted(name))
		}
		el := reflect.New(t.Elem()).Elem()
		if bad := d.item(p.elem, el); bad != nil {
			return bad.in("member").in(name)
		}
		v.SetMapIndex(key, el)
	}
}

func (d *decoder) textual(p *plan, v reflect.Value) *problem {
	if d.peek() != '"' {
		return d.mismatch(p)
	}
	b, bad := d.text()
	if bad != nil {
		return bad
	}
	if len(b) == 0 && v.Kind() == reflect.String && len(p.shape.Enum) > 0 {
		return &problem{text: enumText(p.shape.Enum), constraint: true}
	}
	hold(v).SetString(string(b))
	return nil
}

func (d *decoder) boolean(p *plan, v reflect.Value) *problem {
	switch d.peek() {
	case 't':
		if d.word("true") {
			hold(v).SetBool(true)
			return nil
		}
		return d.syntax()
	case 'f':
		if d.word("false") {
			hold(v).SetBool(false)
			return nil
		}
		return d.syntax()
	}
	return d.mismatch(p)
}

func (d *decoder) blob(p *plan, v reflect.Value) *problem {
	if d.peek() != '"' {
		return d.mismatch(p)
	}
	t, bad := d.text()
	if bad != nil {
		return bad
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(t))
	if err != nil {
		return refuse("the value is not valid base64")
	}
	v.SetBytes(b)
	return nil
}
