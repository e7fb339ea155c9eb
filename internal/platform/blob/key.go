package blob

import (
	"fmt"
	"strings"
)

// Limits of a key, in bytes. A part is the name of a file on the file driver.
const (
	maxKey  = 1024
	maxPart = 200
)

// CheckKey refuses what is not parts of A-Z a-z 0-9 and -_.=+@ with single slashes
// between them, none of which begins with a dot or ends in .tmp or .attrs.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("blob: a key has 1 to %d bytes", maxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > maxPart || strings.TrimFunc(part, plain) != "" || reserved(part) {
			return fmt.Errorf("blob: the key %q has a part that is not allowed", key)
		}
	}
	return nil
}

// unfinished is the ending of files that a Put has not finished.
const unfinished = ".tmp"

// reserved are the endings that the file driver keeps for itself.
func reserved(part string) bool {
	return strings.HasSuffix(part, ".attrs") || strings.HasSuffix(part, unfinished)
}

func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.=+@", r)
}

// checkPrefix takes "" and the beginning of a key, with or without its last slash.
func checkPrefix(prefix string) error {
	if prefix = strings.TrimSuffix(prefix, "/"); prefix == "" {
		return nil
	}
	return CheckKey(prefix)
}
