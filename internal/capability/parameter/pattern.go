package parameter

import (
	"regexp"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

const patternTime = 50 * time.Millisecond

// checkPattern matches a whole value with an allowed pattern. RE2 is tried
// first; what it refuses runs under a time limit.
//
// Assumption: the pattern must match the whole value, as document parameters'
// server-side patterns do; AWS does not say.
func checkPattern(pattern, value string) error {
	if pattern == "" {
		return nil
	}
	whole := `\A(?:` + pattern + `)\z`
	if re, err := regexp.Compile(whole); err == nil {
		return mismatch(re.MatchString(value), pattern)
	}
	slow, err := regexp2.Compile(whole, regexp2.None)
	if err != nil {
		return &ssm.InvalidAllowedPatternException{Message: "The allowed pattern is not a valid regular expression: " + err.Error()}
	}
	slow.MatchTimeout = patternTime
	ok, err := slow.MatchString(value)
	if err != nil {
		return &ssm.ParameterPatternMismatchException{Message: "Parameter value: matching with allowedPattern takes too long."}
	}
	return mismatch(ok, pattern)
}

func mismatch(ok bool, pattern string) error {
	if ok {
		return nil
	}
	return &ssm.ParameterPatternMismatchException{Message: "Parameter value, cannot be validated against allowedPattern: " + pattern}
}
