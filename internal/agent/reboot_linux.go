package agent

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// bootID is another one after each start of the machine.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// reboot restarts the machine: with systemd when it runs, else with shutdown.
func reboot() error {
	argv := []string{"shutdown", "-r", "now"}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		argv = []string{"systemctl", "reboot"}
	}
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
