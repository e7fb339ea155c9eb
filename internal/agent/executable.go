package agent

import (
	"os"
	"path/filepath"
	"strings"
)

// executable is the file of this program. Linux names a file that was replaced
// under the running program with a mark behind it.
func executable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return exe, nil
}
