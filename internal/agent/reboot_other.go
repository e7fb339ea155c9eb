//go:build !linux

package agent

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// bootID cannot be had here: a suspended command goes on with the next start
// of the program.
func bootID() string { return "" }

// reboot restarts the machine.
func reboot() error {
	argv := []string{"shutdown", "-r", "now"}
	if runtime.GOOS == "windows" {
		argv = []string{"shutdown", "/r", "/t", "0"}
	}
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("shutdown: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
