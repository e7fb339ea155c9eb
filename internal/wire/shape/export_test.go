package shape

import "reflect"

// Fits reports whether s satisfies the constraints of a string shape.
func Fits(sh *Shape, s string) bool {
	return len(rulesOf(sh).broken(reflect.ValueOf(s))) == 0
}
