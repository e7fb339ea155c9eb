package iampolicy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

func compileEquals(text string, variables bool) (matcher, error) {
	return compilePattern(text, dialect{variables: variables})
}

func compileLike(text string, variables bool) (matcher, error) {
	return compilePattern(text, dialect{wildcards: true, variables: variables})
}

// foldMatcher is equality without regard to case.
type foldMatcher struct{ *pattern }

func (m foldMatcher) match(e *env, v string) truth { return m.matchFold(e, v) }

func compileFold(text string, variables bool) (matcher, error) {
	p, err := compilePattern(text, dialect{variables: variables})
	return foldMatcher{p}, err
}

// numberMatcher holds when comparing the request's number with the policy's
// gives one of want.
type numberMatcher struct {
	value number
	want  []int
}

type number struct {
	whole bool
	i     int64
	f     float64
}

func parseNumber(s string) (number, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: true, i: i, f: float64(i)}, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsAny(s, "xX_pP") {
		return number{}, fmt.Errorf("%q is not a number", s)
	}
	return number{f: f}, nil
}

func (n number) compare(o number) int {
	switch {
	case n.whole && o.whole && n.i < o.i, !(n.whole && o.whole) && n.f < o.f:
		return -1
	case n.whole && o.whole && n.i > o.i, !(n.whole && o.whole) && n.f > o.f:
		return 1
	}
	return 0
}

func numeric(want ...int) func(string, bool) (matcher, error) {
	return func(text string, _ bool) (matcher, error) {
		n, err := parseNumber(text)
		return numberMatcher{n, want}, err
	}
}

func (m numberMatcher) match(_ *env, v string) truth {
	n, err := parseNumber(v)
	if err != nil {
		return unknown
	}
	return truthOf(slices.Contains(m.want, n.compare(m.value)))
}

// dateMatcher is numberMatcher for points in time.
type dateMatcher struct {
	value time.Time
	want  []int
}

// dateForms are the forms of ISO 8601 that W3C profiles; a year alone is a
// year, any other run of digits counts seconds since 1970.
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}

func parseDate(s string) (time.Time, error) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	n, err := parseNumber(s)
	if err != nil || math.Abs(n.f) > 1e11 {
		return time.Time{}, fmt.Errorf("%q is not a date", s)
	}
	if n.whole {
		return time.Unix(n.i, 0), nil
	}
	return time.UnixMicro(int64(math.Round(n.f * 1e6))), nil
}

func date(want ...int) func(string, bool) (matcher, error) {
	return func(text string, _ bool) (matcher, error) {
		t, err := parseDate(text)
		return dateMatcher{t, want}, err
	}
}

func (m dateMatcher) match(_ *env, v string) truth {
	t, err := parseDate(v)
	if err != nil {
		return unknown
	}
	return truthOf(slices.Contains(m.want, t.Compare(m.value)))
}

type boolMatcher bool

func parseBool(s string) (bool, error) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func compileBool(text string, _ bool) (matcher, error) {
	b, err := parseBool(text)
	return boolMatcher(b), err
}

func (m boolMatcher) match(_ *env, v string) truth {
	b, err := parseBool(v)
	if err != nil {
		return unknown
	}
	return truthOf(b == bool(m))
}

type binaryMatcher []byte

func compileBinary(text string, _ bool) (matcher, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64", text)
	}
	return binaryMatcher(b), nil
}

func (m binaryMatcher) match(_ *env, v string) truth {
	b, err := base64.StdEncoding.DecodeString(v)
	if err != nil {
		return unknown
	}
	return truthOf(bytes.Equal(b, m))
}

type addressMatcher netip.Prefix

func compileAddress(text string, _ bool) (matcher, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return addressMatcher(netip.PrefixFrom(a, a.BitLen())), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return nil, fmt.Errorf("%q is not an address or a CIDR block", text)
	}
	return addressMatcher(p.Masked()), nil
}

func (m addressMatcher) match(_ *env, v string) truth {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return unknown
	}
	return truthOf(netip.Prefix(m).Contains(a.Unmap().WithZone("")))
}

// arnMatcher compares the components of an ARN one by one, each with wildcards
// of its own; the last takes the rest. It may have fewer than six when it ends
// in "*".
type arnMatcher []*pattern

const arnParts = 6

func compileARN(text string, variables bool) (matcher, error) {
	d := dialect{wildcards: true, variables: variables}
	parts := splitARN(text, variables)
	if len(parts) < arnParts && !strings.HasSuffix(text, "*") {
		return nil, fmt.Errorf("%q is not an ARN", text)
	}
	var m arnMatcher
	for _, part := range parts {
		p, err := compilePattern(part, d)
		if err != nil {
			return nil, err
		}
		m = append(m, p)
	}
	return m, nil
}

// splitARN cuts at the first five colons that are not inside a variable.
func splitARN(text string, variables bool) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text) && len(parts) < arnParts-1; i++ {
		if variables && strings.HasPrefix(text[i:], "${") {
			i += max(0, strings.IndexByte(text[i:], '}'))
			continue
		}
		if text[i] == ':' {
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func (m arnMatcher) match(e *env, v string) truth {
	t := yes
	for i, p := range m {
		part := v
		if i < len(m)-1 {
			var ok bool
			if part, v, ok = strings.Cut(v, ":"); !ok {
				return no
			}
		}
		if t = min(t, p.match(e, part)); t == no {
			return no
		}
	}
	return t
}

func compileNull(text string) (bool, error) {
	b, err := parseBool(text)
	if err != nil {
		return false, errors.New("the value of Null is true or false")
	}
	return b, nil
}
