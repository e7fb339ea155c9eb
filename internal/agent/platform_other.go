//go:build !linux

package agent

import "runtime"

// platform is the name of the system; its version is not looked up.
func platform() (name, version string) {
	switch runtime.GOOS {
	case "darwin":
		return "macOS", ""
	case "windows":
		return "Microsoft Windows", ""
	}
	return runtime.GOOS, ""
}
