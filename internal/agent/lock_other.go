//go:build !unix

package agent

// lockDir does nothing here: running two node programs on one state directory
// is left to the service manager to prevent.
func lockDir(string) (unlock func(), err error) { return func() {}, nil }
