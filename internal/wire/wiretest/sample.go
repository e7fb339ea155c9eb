package wiretest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Sample fills v, a pointer to the Go value of structure ref, with values that
// satisfy the constraints of the model: the required members, or all of them
// when full.
func Sample(t testing.TB, m *shape.Model, ref int, v any, full bool) {
	t.Helper()
	s := &sampler{t: t, m: m, max: full}
	s.structure(ref, reflect.ValueOf(v).Elem(), 0)
}

// sampler fills Go values out of the schema, each value within its constraints.
type sampler struct {
	t   testing.TB
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
	fits := func(v string) bool { return len(sh.Check(v)) == 0 }
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
