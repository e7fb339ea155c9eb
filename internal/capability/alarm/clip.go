package alarm

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is kept of texts that senders make as long as they like, in bytes.
// Assumption: enough to act on; the key is made of the whole.
const (
	maxName  = 256
	maxText  = 4096
	maxPairs = 100
)

// clip cuts s to n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// clipAll cuts names and values, and keeps the first pairs in order of names.
func clipAll(m map[string]string) map[string]string {
	out := make(map[string]string, min(len(m), maxPairs))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(out) == maxPairs {
			break
		}
		out[clip(k, maxName)] = clip(m[k], maxText)
	}
	return out
}
