package shape

import "log/slog"

// LogValue renders v, a value of shape ref, without its sensitive parts.
func LogValue(m *Model, ref int, _ any) slog.Value {
	return slog.StringValue(m.Shapes[ref].Name + "(redacted)")
}
