package runner

import (
	"io"
	"slices"
	"strings"
)

// hushed stands where a secret was.
const hushed = "****"

// minSecret is the shortest text that is looked for: shorter ones are in any
// output by chance.
const minSecret = 3

// redactor removes secrets from what a step prints. Nil removes nothing.
type redactor struct {
	replace *strings.Replacer
	longest int
}

// newRedactor knows each secret, and each line of one that has several.
func newRedactor(secrets []string) *redactor {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s)
		for line := range strings.Lines(s) {
			texts = append(texts, strings.TrimSpace(line))
		}
	}
	texts = slices.DeleteFunc(texts, func(s string) bool { return len(s) < minSecret })
	if len(texts) == 0 {
		return nil
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, t := range slices.Compact(texts) {
		pairs = append(pairs, t, hushed)
	}
	return &redactor{replace: strings.NewReplacer(pairs...), longest: len(texts[0])}
}

func (r *redactor) text(s string) string {
	if r == nil {
		return s
	}
	return r.replace.Replace(s)
}

// copy moves what a reader gives to a writer without the secrets. It holds
// back as much as could be the beginning of one.
func (r *redactor) copy(w io.Writer, from io.Reader) {
	var held []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		held = append(held, buf[:n]...)
		if err != nil {
			_, _ = io.WriteString(w, r.text(string(held)))
			return
		}
		held = r.flush(w, held)
	}
}

// flush writes what cannot be part of a secret any more, and gives the rest.
func (r *redactor) flush(w io.Writer, held []byte) []byte {
	clean := r.text(string(held))
	keep := min(r.longest-1, len(clean))
	_, _ = io.WriteString(w, clean[:len(clean)-keep])
	return append(held[:0], clean[len(clean)-keep:]...)
}
