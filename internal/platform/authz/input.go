package authz

import (
	"reflect"
	"strconv"
	"strings"
)

// values are the texts at a path of member names in v, through pointers, lists
// and maps.
func values(v any, path string) []string {
	return appendValues(nil, reflect.ValueOf(v), path)
}

func appendValues(out []string, v reflect.Value, path string) []string {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return out
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8 {
		for i := range v.Len() {
			out = appendValues(out, v.Index(i), path)
		}
		return out
	}
	if path == "" {
		return appendScalar(out, v)
	}
	name, rest, _ := strings.Cut(path, ".")
	switch v.Kind() {
	case reflect.Struct:
		if f := v.FieldByName(fieldName(name)); f.IsValid() {
			return appendValues(out, f, rest)
		}
	case reflect.Map:
		if f := v.MapIndex(reflect.ValueOf(name)); f.IsValid() {
			return appendValues(out, f, rest)
		}
	}
	return out
}

func appendScalar(out []string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			return append(out, v.String())
		}
	case reflect.Bool:
		return append(out, strconv.FormatBool(v.Bool()))
	case reflect.Int32, reflect.Int64, reflect.Int:
		return append(out, strconv.FormatInt(v.Int(), 10))
	}
	return out
}

// fieldName is the Go name of a member.
func fieldName(member string) string {
	return strings.ToUpper(member[:1]) + member[1:]
}

// tags are the tags at a member: a list of Key and Value, or a map.
func tags(v any, member string) map[string]string {
	out := map[string]string{}
	f := reflect.ValueOf(v)
	for f.Kind() == reflect.Pointer && !f.IsNil() {
		f = f.Elem()
	}
	if f.Kind() != reflect.Struct {
		return out
	}
	switch f = f.FieldByName(fieldName(member)); f.Kind() {
	case reflect.Map:
		for _, k := range f.MapKeys() {
			out[k.String()] = f.MapIndex(k).String()
		}
	case reflect.Slice:
		for i := range f.Len() {
			k, x := appendValues(nil, f.Index(i), "Key"), appendValues(nil, f.Index(i), "Value")
			if len(k) == 1 {
				out[k[0]] = strings.Join(x, "")
			}
		}
	}
	return out
}
