//go:build !unix

package server

import (
	"os"
	"path/filepath"
)

// dataLocked says that lockData keeps a second hub out.
const dataLocked = false

// lockData opens the lock file; the store itself refuses a second writer here.
func lockData(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}
