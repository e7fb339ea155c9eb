package shape

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// maxReported bounds how many broken constraints one error names.
const maxReported = 20

// Validate checks v, a pointer to the Go value of structure ref, against the
// constraints of the model: required members, lengths, ranges, patterns,
// enumerations, one member in a union. Everything broken is told in one
// ValidationException in AWS's words; sensitive values are not repeated.
func Validate(m *Model, ref int, v any) error {
	rv := reflect.ValueOf(v)
	p := planOf(m, ref, rv.Type())
	var c checker
	c.structure(p, held(rv), "", false)
	return c.fault()
}

// checker gathers what is broken.
type checker struct {
	found []string
	count int
}

func (c *checker) fault() error {
	switch {
	case c.count == 0:
		return nil
	case c.count == 1:
		return fault.Validation("%s", "1 validation error detected: "+c.found[0])
	}
	return fault.Validation("%d validation errors detected: %s", c.count, strings.Join(c.found, "; "))
}

func (c *checker) add(text string) {
	if c.count++; len(c.found) < maxReported {
		c.found = append(c.found, text)
	}
}

// failed records that the value at path broke a constraint.
func (c *checker) failed(v reflect.Value, path string, hidden bool, constraint string) {
	value := "Value null at '"
	switch {
	case hidden:
		value = "Value at '"
	case v.IsValid():
		value = "Value '" + shown(v) + "' at '"
	}
	c.add(value + path + "' failed to satisfy constraint: " + constraint)
}

func (c *checker) structure(p *plan, v reflect.Value, path string, hidden bool) {
	set := 0
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.index)
		if absent(fv) {
			if f.Required {
				c.failed(reflect.Value{}, path+f.path, false, "Member must not be null")
			}
			continue
		}
		set++
		if !f.plan.plain() {
			c.value(f.plan, held(fv), path+f.path, hidden || f.sensitive)
		}
	}
	if p.shape.Union && set != 1 {
		c.add(fmt.Sprintf("Value at '%s' failed to satisfy constraint: Member must have exactly one of its members set", strings.TrimSuffix(path, ".member.")))
	}
}

// plain reports that nothing below the plan can break a constraint.
func (p *plan) plain() bool {
	return p.rules == nil && p.kind != Structure && p.kind != List && p.kind != Map
}

func (c *checker) value(p *plan, v reflect.Value, path string, hidden bool) {
	for _, b := range p.rules.broken(v) {
		c.failed(v, path, hidden, b)
	}
	switch p.kind {
	case Structure:
		c.structure(p, v, path+".", hidden)
	case List:
		c.list(p, v, path, hidden || p.elem.shape.Sensitive)
	case Map:
		c.mapping(p, v, path, hidden || p.elem.shape.Sensitive || p.key.shape.Sensitive)
	}
}

// list checks the elements. Broken scalars are told once, for the whole list.
func (c *checker) list(p *plan, v reflect.Value, path string, hidden bool) {
	if p.elem.plain() {
		return
	}
	for i := range v.Len() {
		el := held(v.Index(i))
		if len(p.elem.rules.broken(el)) > 0 && p.elem.kind != List && p.elem.kind != Map {
			c.failed(v, path, hidden, "Member must satisfy constraint: "+p.elem.rules.all())
			return
		}
		if p.elem.kind == Structure || p.elem.kind == List || p.elem.kind == Map {
			c.value(p.elem, el, path+"."+strconv.Itoa(i+1)+".member", hidden)
		}
	}
}

// mapping checks keys and values. Broken ones are told once each.
func (c *checker) mapping(p *plan, v reflect.Value, path string, hidden bool) {
	keys, values := p.key.rules == nil, p.elem.plain()
	if keys && values {
		return
	}
	for _, k := range sortedKeys(v) {
		if !keys && len(p.key.rules.broken(k)) > 0 {
			c.failed(v, path, hidden, "Map keys must satisfy constraint: "+p.key.rules.all())
			keys = true
		}
		if values {
			continue
		}
		el := held(v.MapIndex(k))
		if len(p.elem.rules.broken(el)) > 0 {
			c.failed(v, path, hidden, "Map value must satisfy constraint: "+p.elem.rules.all())
			values = true
			continue
		}
		if p.elem.kind == Structure || p.elem.kind == List || p.elem.kind == Map {
			c.value(p.elem, el, path+"."+k.String()+".member", hidden)
		}
	}
}
