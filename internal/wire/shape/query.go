package shape

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// encodeForm writes an input as the form of the query protocol.
func encodeForm(m *Model, op *Operation, in any) url.Values {
	form := url.Values{"Action": {op.Name}, "Version": {m.Version}}
	v := held(reflect.ValueOf(in))
	formStructure(form, planOf(m, op.Input, v.Type()), v, "")
	return form
}

func formStructure(form url.Values, p *plan, v reflect.Value, prefix string) {
	for i := range p.fields {
		f := &p.fields[i]
		if fv := v.Field(f.index); !absent(fv) {
			formValue(form, f.plan, held(fv), prefix+f.Name)
		}
	}
}

func formValue(form url.Values, p *plan, v reflect.Value, name string) {
	switch p.kind {
	case Structure:
		formStructure(form, p, v, name+".")
	case List:
		if v.Len() == 0 {
			form.Set(name, "")
		}
		for i := range v.Len() {
			formValue(form, p.elem, held(v.Index(i)), name+".member."+strconv.Itoa(i+1))
		}
	default:
		form.Set(name, scalarText(p, v))
	}
}

// formReader reads an input out of a form and notes which names it used.
type formReader struct {
	form url.Values
	keys []string // sorted
	used map[string]bool
}

// decodeForm reads the input of a query operation: the form of the body, or
// the query of a GET.
func decodeForm(m *Model, op *Operation, r *Request, in any) error {
	form, err := FormOf(r)
	if err != nil {
		return err
	}
	fr := &formReader{form: form, used: map[string]bool{"Action": true, "Version": true}}
	for k, vs := range form {
		if len(vs) > 1 {
			return refuse("the parameter %s is given twice", quoted(k)).fault()
		}
		fr.keys = append(fr.keys, k)
	}
	slices.Sort(fr.keys)
	v := reflect.ValueOf(in).Elem()
	if bad := fr.structure(planOf(m, op.Input, v.Type()), v, ""); bad != nil {
		return bad.fault()
	}
	return unknownQuery(form, fr.used)
}

// FormOf reads the form of a query request: its body, or else its query.
func FormOf(r *Request) (url.Values, error) {
	if len(r.Body) == 0 {
		return r.Query, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, refuse("the form of the request is not valid").fault()
	}
	return form, nil
}

func (fr *formReader) structure(p *plan, v reflect.Value, prefix string) *problem {
	for i := range p.fields {
		f := &p.fields[i]
		if !fr.has(prefix + f.Name) {
			continue
		}
		if bad := fr.value(f.plan, v.Field(f.index), prefix+f.Name); bad != nil {
			return bad.in(f.path)
		}
	}
	return nil
}

func (fr *formReader) value(p *plan, v reflect.Value, name string) *problem {
	switch p.kind {
	case Structure:
		return fr.structure(p, hold(v), name+".")
	case List:
		return fr.list(p, v, name)
	case Map:
		return refuse("maps are not part of this protocol here")
	}
	if _, ok := fr.form[name]; !ok {
		return refuse("a structure can not be converted to %s", p.kind)
	}
	fr.used[name] = true
	return locatedScalar(p, v, fr.form.Get(name))
}

func (fr *formReader) list(p *plan, v reflect.Value, name string) *problem {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if vs, ok := fr.form[name]; ok && vs[0] == "" {
		fr.used[name] = true
	}
	for n := 1; fr.has(name + ".member." + strconv.Itoa(n)); n++ {
		v.Grow(1)
		v.SetLen(n)
		if bad := fr.value(p.elem, v.Index(n-1), name+".member."+strconv.Itoa(n)); bad != nil {
			return bad.in("member").in(strconv.Itoa(n))
		}
	}
	return nil
}

// has reports whether the form has name itself or names below it.
func (fr *formReader) has(name string) bool {
	if _, ok := fr.form[name]; ok {
		return true
	}
	i, _ := slices.BinarySearch(fr.keys, name+".")
	return i < len(fr.keys) && strings.HasPrefix(fr.keys[i], name+".")
}
