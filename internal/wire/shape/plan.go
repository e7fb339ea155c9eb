package shape

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// plan is what the codec knows of one shape together with the Go type that
// holds it. Plans are made once and read by many.
type plan struct {
	shape  *Shape
	kind   Kind
	typ    reflect.Type // without the pointer
	fields []field      // of a structure
	body   map[string]int
	all    map[string]int // body and the members in the path or the query
	elem   *plan
	key    *plan
	rules  *rules
}

// field is one member of a structure.
type field struct {
	*Member
	plan      *plan
	index     int    // of the Go field
	quoted    string // "Name": as it is written
	path      string // as it is named in a validation error
	sensitive bool
}

type planKey struct {
	model *Model
	ref   int
	typ   reflect.Type
}

var (
	plans    sync.Map // planKey -> *plan, complete ones only
	planning sync.Mutex
)

// planOf finds or makes the plan of shape ref held by type t. It panics when
// the two do not fit: the generator is wrong then.
func planOf(m *Model, ref int, t reflect.Type) *plan {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	k := planKey{m, ref, t}
	if p, ok := plans.Load(k); ok {
		return p.(*plan)
	}
	planning.Lock()
	defer planning.Unlock()
	made := map[planKey]*plan{}
	p := build(k, made)
	for k, p := range made {
		plans.LoadOrStore(k, p)
	}
	return p
}

// build makes the plan of k and of all below it.
func build(k planKey, made map[planKey]*plan) *plan {
	if k.typ.Kind() == reflect.Pointer {
		k.typ = k.typ.Elem()
	}
	if p := made[k]; p != nil {
		return p
	}
	s := &k.model.Shapes[k.ref]
	p := &plan{shape: s, kind: s.Kind, typ: k.typ, rules: rulesOf(s)}
	made[k] = p
	if !p.fits() {
		panic(fmt.Sprintf("shape: %s of %s cannot be held by %s", s.Name, k.model.Service, k.typ))
	}
	switch s.Kind {
	case Structure:
		p.structure(k, made)
	case List:
		p.elem = build(planKey{k.model, s.Elem, k.typ.Elem()}, made)
	case Map:
		p.key = build(planKey{k.model, s.Key, k.typ.Key()}, made)
		p.elem = build(planKey{k.model, s.Elem, k.typ.Elem()}, made)
	}
	return p
}

func (p *plan) structure(k planKey, made map[planKey]*plan) {
	p.body, p.all = map[string]int{}, map[string]int{}
	if len(p.shape.Members) > 64*len(members{}) {
		panic("shape: " + p.shape.Name + " has more members than the decoder can count")
	}
	for i := range p.shape.Members {
		mb := &p.shape.Members[i]
		index := p.fieldOf(i)
		if index < 0 {
			continue
		}
		child := build(planKey{k.model, mb.Shape, p.typ.Field(index).Type}, made)
		f := field{Member: mb, plan: child, index: index, quoted: `"` + mb.Name + `":`, path: pathName(mb.Name)}
		f.sensitive = mb.Sensitive || child.shape.Sensitive
		p.fields = append(p.fields, f)
		p.all[mb.Name] = len(p.fields) - 1
		if mb.Location == "" {
			p.body[mb.Name] = len(p.fields) - 1
		}
	}
}

// fieldOf is the Go field of member i: the same index, but for exceptions,
// whose Message comes first.
func (p *plan) fieldOf(i int) int {
	name := p.shape.Members[i].Name
	if p.shape.Error == nil {
		if i >= p.typ.NumField() || !strings.EqualFold(p.typ.Field(i).Name, name) {
			panic("shape: " + p.typ.String() + " does not follow the order of " + p.shape.Name)
		}
		return i
	}
	for j := range p.typ.NumField() {
		if strings.EqualFold(p.typ.Field(j).Name, name) {
			return j
		}
	}
	return -1
}

var timeType = reflect.TypeFor[time.Time]()

// fits reports whether the Go type can hold the shape.
func (p *plan) fits() bool {
	switch k := p.typ.Kind(); p.kind {
	case Structure:
		return k == reflect.Struct
	case List:
		return k == reflect.Slice
	case Map:
		return k == reflect.Map
	case String:
		return k == reflect.String
	case Integer:
		return k == reflect.Int32
	case Long:
		return k == reflect.Int64
	case Boolean:
		return k == reflect.Bool
	case Timestamp:
		return p.typ == timeType
	case Blob:
		return k == reflect.Slice && p.typ.Elem().Kind() == reflect.Uint8
	case Float:
		return k == reflect.Float32
	case Double:
		return k == reflect.Float64
	}
	return false
}

// absent reports whether the field v holds no value. Enumerations are plain
// strings, whose zero is absence.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

// hold gives the value that v leads to, made when v is a pointer.
func hold(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	n := reflect.New(v.Type().Elem())
	v.Set(n)
	return n.Elem()
}

// held is the value behind v; v is not absent.
func held(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}
