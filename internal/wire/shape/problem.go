package shape

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// problem is why an input cannot be read. The path is filled in on the way out,
// innermost name first.
type problem struct {
	text       string
	constraint bool // a broken constraint (ValidationException), not a broken body
	whole      bool // the text itself is broken: the place is a byte, not a member
	path       []string
}

func refuse(format string, args ...any) *problem {
	return &problem{text: fmt.Sprintf(format, args...)}
}

// in adds the name of the place where the problem is.
func (p *problem) in(name string) *problem {
	if !p.whole {
		p.path = append(p.path, name)
	}
	return p
}

// fault is the problem as the caller sees it.
func (p *problem) fault() error {
	if p == nil {
		return nil
	}
	slices.Reverse(p.path)
	place := strings.Join(p.path, ".")
	if p.constraint {
		return fault.Validation("1 validation error detected: Value '' at '%s' failed to satisfy constraint: %s", place, p.text)
	}
	if place == "" {
		return fault.Serialization("%s", p.text)
	}
	return fault.Serialization("%s at '%s'", p.text, place)
}

// pathName is a member's name as AWS writes it in a path: first letter small.
func pathName(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

// quoted shows a name out of the input, cut short.
func quoted(name string) string {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "..."
	}
	return strconv.Quote(name)
}
