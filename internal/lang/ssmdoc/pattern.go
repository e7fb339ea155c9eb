package ssmdoc

import (
	"regexp"
	"time"

	"github.com/dlclark/regexp2"
)

const patternTime = 50 * time.Millisecond

// pattern is an allowedPattern. RE2 is tried first; what it refuses
// (look-ahead, back references) runs under a time limit instead.
type pattern struct {
	re2  *regexp.Regexp
	slow *regexp2.Regexp
}

func compilePattern(text string) (pattern, error) {
	whole := `\A(?:` + text + `)\z`
	re, err := regexp.Compile(whole)
	if err == nil {
		return pattern{re2: re}, nil
	}
	slow, slowErr := regexp2.Compile(whole, regexp2.None)
	if slowErr != nil {
		if _, plain := regexp.Compile(text); plain != nil { // the position is that in the author's text
			err = plain
		}
		return pattern{}, err
	}
	slow.MatchTimeout = patternTime
	return pattern{slow: slow}, nil
}

// match says that the pattern fits all of s: one that fits a part would let
// the rest be anything. A pattern that takes too long does not match.
func (p pattern) match(s string) bool {
	if p.re2 != nil {
		return p.re2.MatchString(s)
	}
	ok, err := p.slow.MatchString(s)
	return err == nil && ok
}

// NeedsLookaround says that a pattern works here but not on stock nodes, which
// know RE2 only.
func NeedsLookaround(allowedPattern string) bool {
	p, err := compilePattern(allowedPattern)
	return err == nil && p.slow != nil
}
