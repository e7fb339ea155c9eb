package shape

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rules are the constraints of a shape on its own value.
type rules struct {
	shape   *Shape
	pattern *pattern
	enum    map[string]bool
}

// rulesOf is nil for a shape without constraints.
func rulesOf(s *Shape) *rules {
	if !s.HasMin && !s.HasMax && s.Pattern == "" && len(s.Enum) == 0 {
		return nil
	}
	r := &rules{shape: s, pattern: patternOf(s.Pattern)}
	if len(s.Enum) > 0 {
		r.enum = map[string]bool{}
		for _, e := range s.Enum {
			r.enum[e] = true
		}
	}
	return r
}

// Check lists the constraints of a string shape that value breaks, as AWS words
// them.
func (s *Shape) Check(value string) []string {
	return rulesOf(s).broken(reflect.ValueOf(value))
}

// broken lists the constraints that v does not satisfy, as AWS words them.
func (r *rules) broken(v reflect.Value) []string {
	if r == nil {
		return nil
	}
	switch r.shape.Kind {
	case String:
		return r.text(v.String())
	case List, Map, Blob:
		return r.limits(int64(v.Len()), "have length")
	case Integer, Long:
		return r.limits(v.Int(), "have value")
	}
	return nil
}

func (r *rules) text(s string) []string {
	var out []string
	if r.enum != nil && !r.enum[s] {
		out = append(out, enumText(r.shape.Enum))
	}
	if r.shape.HasMin || r.shape.HasMax {
		out = append(out, r.limits(int64(utf8.RuneCountInString(s)), "have length")...)
	}
	if r.pattern != nil && !r.pattern.match(s) {
		out = append(out, "Member must satisfy regular expression pattern: "+r.shape.Pattern)
	}
	return out
}

func (r *rules) limits(n int64, what string) []string {
	switch {
	case r.shape.HasMax && n > r.shape.Max:
		return []string{fmt.Sprintf("Member must %s less than or equal to %d", what, r.shape.Max)}
	case r.shape.HasMin && n < r.shape.Min:
		return []string{fmt.Sprintf("Member must %s greater than or equal to %d", what, r.shape.Min)}
	}
	return nil
}

// all lists every constraint, for the values inside a list or a map, where AWS
// does not say which one is broken.
func (r *rules) all() string {
	var out []string
	what := map[Kind]string{Integer: "have value", Long: "have value"}[r.shape.Kind]
	if what == "" {
		what = "have length"
	}
	if r.shape.HasMax {
		out = append(out, fmt.Sprintf("Member must %s less than or equal to %d", what, r.shape.Max))
	}
	if r.shape.HasMin {
		out = append(out, fmt.Sprintf("Member must %s greater than or equal to %d", what, r.shape.Min))
	}
	if r.shape.Pattern != "" {
		out = append(out, "Member must satisfy regular expression pattern: "+r.shape.Pattern)
	}
	if len(r.shape.Enum) > 0 {
		out = append(out, enumText(r.shape.Enum))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func enumText(enum []string) string {
	return "Member must satisfy enum value set: [" + strings.Join(enum, ", ") + "]"
}

// maxShown bounds how much of a value an error repeats, in bytes.
const maxShown = 1024

// shown renders a value for an error text: a list as [a, b], a map as {k=v}.
func shown(v reflect.Value) string {
	var b strings.Builder
	show(&b, v)
	if s := b.String(); len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "..."
	}
	return b.String()
}

func show(b *strings.Builder, v reflect.Value) {
	if b.Len() > maxShown {
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		b.WriteByte('[')
		for i := 0; i < v.Len() && b.Len() <= maxShown; i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			show(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.String:
		b.WriteString(v.String())
	case reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	default:
		b.WriteString("...") // structures and maps say nothing useful in one line
	}
}
