package shape

import "log/slog"

// Redacted is the JSON of a value without its sensitive parts.
type Redacted []byte

// String is the JSON.
func (r Redacted) String() string { return string(r) }

// MarshalJSON is the JSON as it is.
func (r Redacted) MarshalJSON() ([]byte, error) { return r, nil }

// Redact renders v, a value of structure ref or a pointer to one, without the
// members that the model marks as sensitive: they are left out, not masked. It
// fits a journal row and a log line.
func Redact(m *Model, ref int, v any) any {
	if v == nil {
		return Redacted("{}")
	}
	return Redacted(encode(m, ref, &encoder{all: true, redact: true}, v))
}

// LogValue renders v, a value of shape ref, without its sensitive parts.
func LogValue(m *Model, ref int, v any) slog.Value {
	return slog.AnyValue(Redact(m, ref, v))
}
