// Package secret holds text that must not be printed.
package secret

import "log/slog"

const hidden = "(hidden)"

// String is a text that formatting, logging and JSON show as "(hidden)".
type String struct{ text string }

// New wraps a text.
func New(text string) String { return String{text} }

// Reveal is the text itself.
func (s String) Reveal() string { return s.text }

// Empty says that the text is "".
func (s String) Empty() bool { return s.text == "" }

// String hides the text.
func (s String) String() string { return hidden }

// GoString hides the text from %#v.
func (s String) GoString() string { return hidden }

// LogValue hides the text from logs.
func (s String) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the text from JSON and other encoders.
func (s String) MarshalText() ([]byte, error) { return []byte(hidden), nil }
