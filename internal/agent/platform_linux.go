package agent

import (
	"os"
	"strings"
)

// platform is the name and version of the distribution.
func platform() (name, version string) {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "Linux", ""
	}
	return osRelease(string(b))
}

func osRelease(text string) (name, version string) {
	values := map[string]string{"NAME": "Linux"}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	return values["NAME"], values["VERSION_ID"]
}
