package shape_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

var models = []*shape.Model{ssm.Model, contacts.Model, incidents.Model, sts.Model}

// sampler fills Go values out of the schema, each value within its constraints.
type sampler struct {
	t   *testing.T
	m   *shape.Model
	max bool // all members, not only the required ones
}

func (s *sampler) structure(ref int, v reflect.Value, depth int) {
	sh := &s.m.Shapes[ref]
	for i, mb := range sh.Members {
		first := i == 0 && (sh.Union || s.m.Protocol == shape.ProtocolQuery) // a form has no empty structure
		if !mb.Required && (!s.max || depth > 6) && !first {
			continue
		}
		s.value(mb.Shape, v.Field(i), depth+1)
		if sh.Union {
			return
		}
	}
}

func (s *sampler) value(ref int, v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	sh := &s.m.Shapes[ref]
	n := max(1, int(sh.Min))
	switch sh.Kind {
	case shape.Structure:
		s.structure(ref, v, depth)
	case shape.List:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.value(sh.Elem, v.Index(i), depth)
		}
	case shape.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, el := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		s.value(sh.Key, k, depth)
		s.value(sh.Elem, el, depth)
		v.SetMapIndex(k, el)
	case shape.String:
		v.SetString(s.text(sh))
	case shape.Integer, shape.Long:
		v.SetInt(max(7, sh.Min))
		if sh.HasMax {
			v.SetInt(sh.Max)
		}
	case shape.Boolean:
		v.SetBool(true)
	case shape.Timestamp:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 22, 16, 0, 0, 123e6, time.UTC)))
	case shape.Blob:
		v.SetBytes([]byte("a\x00\xffb"))
	default:
		s.t.Fatalf("%s: no sample for kind %v", sh.Name, sh.Kind)
	}
}

// hand-made values for patterns that the generator cannot read or fill.
var samples = []string{
	"a", "1", "x y \"quoted\" <&> \\ é 😀", "arn:aws:iam::123456789012:role/x", "2026-11-22T16:00:00Z",
	"12345678-1234-1234-1234-123456789012", "https://bucket.s3.amazonaws.com/key", "key name",
}

func (s *sampler) text(sh *shape.Shape) string {
	if len(sh.Enum) > 0 {
		return sh.Enum[0]
	}
	one := *sh
	fits := func(v string) bool { return shape.Fits(&one, v) }
	for _, v := range samples {
		if fits(v) {
			return v
		}
	}
	if v := strings.Repeat("a", int(max(1, sh.Min))); fits(v) {
		return v
	}
	return s.matching(sh, fits)
}

func (s *sampler) matching(sh *shape.Shape, fits func(string) bool) (out string) {
	defer func() {
		if r := recover(); r != nil {
			s.t.Fatalf("%s: pattern %s: %v", sh.Name, sh.Pattern, r)
		}
	}()
	g := rapid.StringMatching(sh.Pattern)
	for seed := range 200 {
		if v := g.Example(seed); fits(v) {
			return v
		}
	}
	panic(fmt.Sprintf("no sample found for length %d to %d", sh.Min, sh.Max))
}

// eachInput runs f for the minimal and the maximal input of every operation.
func eachInput(t *testing.T, f func(t *testing.T, m *shape.Model, op *shape.Operation, in any)) {
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			for _, full := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/max=%v", m.Service, op.Name, full), func(t *testing.T) {
					in := op.NewInput()
					s := &sampler{t: t, m: m, max: full}
					s.structure(op.Input, reflect.ValueOf(in).Elem(), 0)
					f(t, m, op, in)
				})
			}
		}
	}
}
