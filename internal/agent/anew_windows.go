//go:build windows

package agent

// StartAnew ends the program: its service manager starts it again.
func StartAnew() error { return ErrRestart }
