// Package ptr goes between values and the pointers of optional members.
package ptr

import "time"

// Value is what p points to, the zero value when p is nil.
func Value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// OrNil points to v, nil when v is the zero value.
func OrNil[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// Moment points to t, nil when t is the zero time in whatever zone.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
