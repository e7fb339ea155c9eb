package shape

import (
	"regexp"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
)

// matchLimit bounds the time of one match of a pattern that backtracks.
const matchLimit = 50 * time.Millisecond

// pattern is a constraint of the model. It is compiled at its first use: RE2
// when the pattern allows it, else a backtracking engine with a time limit.
type pattern struct {
	source string
	once   sync.Once
	re     *regexp.Regexp
	slow   *regexp2.Regexp
}

// javaUnicode finds \uXXXX, which Java knows and RE2 writes \x{XXXX}. The models
// also write six digits (\u10FFFF).
var javaUnicode = regexp.MustCompile(`\\u([0-9A-Fa-f]{4,6})`)

// whole anchors a pattern: AWS matches the whole value, like Java's matches().
func whole(source string) string {
	return `\A(?:` + javaUnicode.ReplaceAllString(source, `\x{$1}`) + `)\z`
}

func (p *pattern) compile() {
	p.once.Do(func() {
		var err error
		if p.re, err = regexp.Compile(whole(p.source)); err == nil {
			return
		}
		p.slow = regexp2.MustCompile(`\A(?:`+p.source+`)\z`, regexp2.RE2)
		p.slow.MatchTimeout = matchLimit
	})
}

// match reports whether the whole of s fits. A match that takes too long does
// not.
func (p *pattern) match(s string) bool {
	p.compile()
	if p.re != nil {
		return p.re.MatchString(s)
	}
	ok, err := p.slow.MatchString(s)
	return ok && err == nil
}

// patterns holds each pattern once, by its text: shapes share them.
var patterns sync.Map

func patternOf(source string) *pattern {
	if source == "" {
		return nil
	}
	p, _ := patterns.LoadOrStore(source, &pattern{source: source})
	return p.(*pattern)
}
