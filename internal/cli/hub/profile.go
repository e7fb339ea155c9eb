package hub

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// profile is one section of a file, keys in lower case.
type profile map[string]string

// readSection reads a section of an INI file; a file or section that is not
// there is empty. Nested values, which are indented, are not read.
func readSection(path, section string) (profile, error) {
	p := profile{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			in = strings.Join(strings.Fields(strings.Trim(trimmed, "[]")), " ") == section
		case in && line[0] != ' ' && line[0] != '\t':
			if k, v, ok := strings.Cut(trimmed, "="); ok {
				p[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("profile: %s: %w", path, err)
	}
	return p, nil
}
