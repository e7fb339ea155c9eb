package authz_test

import "reflect"

// fill sets the texts of a struct, and one element of its lists of texts.
func fill(in any) {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[*string]():
			f.Set(reflect.ValueOf(new("x")))
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{"x"}))
		}
	}
}
