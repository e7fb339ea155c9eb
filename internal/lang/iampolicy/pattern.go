package iampolicy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// truth is a three-valued answer, ordered so that min is "and", max is "or".
type truth int8

const (
	no truth = iota
	unknown
	yes
)

func not(t truth) truth { return yes - t }

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

type tokenKind int8

const (
	literal tokenKind = iota
	anyOne
	anyRun
	variable
)

// token is a piece of a pattern. text is the literal or the variable's key.
type token struct {
	kind       tokenKind
	text       string
	def        string
	hasDefault bool
}

// pattern is a compiled text with wildcards and variables.
type pattern struct {
	tokens    []token
	variables bool
}

// matchAll reports a pattern that is one "*".
func (p *pattern) matchAll() bool { return len(p.tokens) == 1 && p.tokens[0].kind == anyRun }

// dialect says what is special in a text.
type dialect struct{ wildcards, variables bool }

func compilePattern(text string, d dialect) (*pattern, error) {
	p := &pattern{}
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			p.tokens = append(p.tokens, token{kind: literal, text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case d.variables && strings.HasPrefix(text[i:], "${"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, errors.New("a policy variable is not closed")
			}
			body := text[i+2 : i+end]
			i += end + 1
			if body == "*" || body == "?" || body == "$" {
				lit.WriteString(body)
				continue
			}
			t, err := compileVariable(body)
			if err != nil {
				return nil, err
			}
			flush()
			p.tokens = append(p.tokens, t)
			p.variables = true
		case d.wildcards && c == '*':
			flush()
			if n := len(p.tokens); n == 0 || p.tokens[n-1].kind != anyRun {
				p.tokens = append(p.tokens, token{kind: anyRun})
			}
			i++
		case d.wildcards && c == '?':
			flush()
			p.tokens = append(p.tokens, token{kind: anyOne})
			i++
		default:
			lit.WriteByte(c)
			i++
		}
	}
	flush()
	return p, nil
}

// compileVariable reads `aws:username` or `aws:username, 'default'`.
func compileVariable(body string) (token, error) {
	key, def, hasDefault := strings.Cut(body, ",")
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, "*?$'{") || !strings.Contains(key, ":") {
		return token{}, errors.New("${" + body + "} is not a policy variable")
	}
	if hasDefault {
		def = strings.TrimSpace(def)
		if len(def) < 2 || def[0] != '\'' || def[len(def)-1] != '\'' {
			return token{}, errors.New("the default of ${" + body + "} is not in single quotes")
		}
		def = def[1 : len(def)-1]
	}
	return token{kind: variable, text: key, def: def, hasDefault: hasDefault}, nil
}

// match is the answer for s. A variable without a value stands for any text,
// and then a match is only unknown.
func (p *pattern) match(e *env, s string) truth {
	if !p.variables {
		return truthOf(glob(p.tokens, s))
	}
	tokens, complete := p.resolve(e)
	switch {
	case !glob(tokens, s):
		return no
	case !complete:
		return unknown
	}
	return yes
}

// matchFold is match without regard to case, for patterns without wildcards.
func (p *pattern) matchFold(e *env, s string) truth {
	tokens, complete := p.resolve(e)
	if !complete {
		return unknown
	}
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text)
	}
	return truthOf(strings.EqualFold(b.String(), s))
}

// resolve puts values for variables; a value is literal even with a "*" in it.
func (p *pattern) resolve(e *env) (tokens []token, complete bool) {
	if !p.variables {
		return p.tokens, true
	}
	tokens, complete = make([]token, len(p.tokens)), true
	for i, t := range p.tokens {
		if t.kind == variable {
			values, state := e.lookup(t.text)
			switch {
			case state == found && len(values) == 1:
				t = token{kind: literal, text: values[0]}
			case state != ambiguous && len(values) == 0 && t.hasDefault:
				t = token{kind: literal, text: t.def}
			default:
				t, complete = token{kind: anyRun}, false
			}
		}
		tokens[i] = t
	}
	return tokens, complete
}

// glob matches greedily and goes back to the last run only, which is enough
// for patterns whose pieces between runs have a fixed form.
func glob(tokens []token, s string) bool {
	ti, si, runT, runS := 0, 0, -1, 0
	for {
		if ti == len(tokens) {
			if si == len(s) {
				return true
			}
		} else if t := tokens[ti]; t.kind == anyRun {
			ti++
			if ti == len(tokens) {
				return true
			}
			runT, runS = ti, si
			continue
		} else if n := step(t, s[si:]); n >= 0 {
			ti++
			si += n
			continue
		}
		if runT < 0 || runS >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[runS:])
		runS += n
		ti, si = runT, runS
	}
}

// step is how much of s the token takes, -1 when it does not match.
func step(t token, s string) int {
	if t.kind == anyOne {
		if s == "" {
			return -1
		}
		_, n := utf8.DecodeRuneInString(s)
		return n
	}
	if strings.HasPrefix(s, t.text) {
		return len(t.text)
	}
	return -1
}
