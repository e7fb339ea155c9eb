//go:build unix

package agent

import (
	"os"
	"syscall"
)

// StartAnew replaces this program by the one that its file is now, with the
// same arguments. It returns only when that failed.
func StartAnew() error {
	exe, err := executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}
