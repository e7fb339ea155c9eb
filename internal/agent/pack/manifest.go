package pack

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// manifest is the content of a Package document.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/distributor-working-with-packages-create.html
type manifest struct {
	Version  string                                                 `json:"version"`
	Packages map[string]map[string]map[string]struct{ File string } `json:"packages"` // platform, its version, architecture
	Files    map[string]struct {
		Checksums map[string]string `json:"checksums"`
		Size      int64             `json:"size"`
	} `json:"files"`
}

// Machine is what a manifest chooses by.
type Machine struct {
	Platforms     []string // names of the distribution, the most exact first
	Version       string
	Architectures []string
}

const anything = "_any"

// choice is the archive for a machine.
type choice struct {
	version, file, sha256 string
}

var (
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)
	fileForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_. -]{0,199}$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$`)
)

// choose reads a manifest and finds the archive for a machine.
func choose(content []byte, m Machine) (choice, error) {
	var all manifest
	if err := json.Unmarshal(content, &all); err != nil {
		return choice{}, fmt.Errorf("the manifest of the package cannot be read: %w", err)
	}
	if !versionForm.MatchString(all.Version) {
		return choice{}, errors.New("the manifest of the package has no version")
	}
	for _, platform := range append(m.Platforms, anything) {
		for _, version := range []string{m.Version, anything} {
			for _, architecture := range append(m.Architectures, anything) {
				if f, ok := all.Packages[platform][version][architecture]; ok {
					return all.choice(f.File)
				}
			}
		}
	}
	return choice{}, fmt.Errorf("the package has nothing for %v %s on %v", m.Platforms, m.Version, m.Architectures)
}

func (m manifest) choice(file string) (choice, error) {
	sum := m.Files[file].Checksums["sha256"]
	if !fileForm.MatchString(file) || len(sum) != 64 {
		return choice{}, fmt.Errorf("the manifest of the package has no SHA-256 for %q", file)
	}
	return choice{version: m.Version, file: file, sha256: sum}, nil
}
