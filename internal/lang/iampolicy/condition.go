package iampolicy

import (
	"fmt"
	"strings"
)

// quantifier says how many of a request's values must match.
type quantifier int8

const (
	single quantifier = iota
	forAnyValue
	forAllValues
)

// condition is one key under one operator.
type condition struct {
	operator   string
	key        string
	known      bool
	quantifier quantifier
	ifExists   bool
	null       bool
	negated    bool
	values     []matcher
	nullWanted []bool
}

// matcher compares one value of the request with one of the policy.
type matcher interface {
	match(e *env, value string) truth
}

// operator is how the values of a policy are compiled.
type operator struct {
	negated bool
	compile func(text string, variables bool) (matcher, error)
}

// operators is the language's table; the negated ones share the compiler of
// what they negate.
var operators = map[string]operator{
	"StringEquals":              {false, compileEquals},
	"StringNotEquals":           {true, compileEquals},
	"StringEqualsIgnoreCase":    {false, compileFold},
	"StringNotEqualsIgnoreCase": {true, compileFold},
	"StringLike":                {false, compileLike},
	"StringNotLike":             {true, compileLike},
	"NumericEquals":             {false, numeric(0)},
	"NumericNotEquals":          {true, numeric(0)},
	"NumericLessThan":           {false, numeric(-1)},
	"NumericLessThanEquals":     {false, numeric(-1, 0)},
	"NumericGreaterThan":        {false, numeric(1)},
	"NumericGreaterThanEquals":  {false, numeric(1, 0)},
	"DateEquals":                {false, date(0)},
	"DateNotEquals":             {true, date(0)},
	"DateLessThan":              {false, date(-1)},
	"DateLessThanEquals":        {false, date(-1, 0)},
	"DateGreaterThan":           {false, date(1)},
	"DateGreaterThanEquals":     {false, date(1, 0)},
	"Bool":                      {false, compileBool},
	"BinaryEquals":              {false, compileBinary},
	"IpAddress":                 {false, compileAddress},
	"NotIpAddress":              {true, compileAddress},
	"ArnEquals":                 {false, compileARN},
	"ArnLike":                   {false, compileARN},
	"ArnNotEquals":              {true, compileARN},
	"ArnNotLike":                {true, compileARN},
}

// newCondition reads an operator's name with its set prefix and IfExists.
func newCondition(name, key string) (condition, operator, error) {
	c := condition{operator: name, key: key, known: known(key)}
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		c.quantifier, base = forAnyValue, rest
	} else if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		c.quantifier, base = forAllValues, rest
	}
	if base == "Null" && c.quantifier == single {
		c.null = true
		return c, operator{}, nil
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	op, ok := operators[base]
	if !ok {
		return c, op, fmt.Errorf("%q is not a condition operator", name)
	}
	c.negated = op.negated
	return c, op, nil
}

// match is the condition's answer. Values of a policy are alternatives.
func (c *condition) match(e *env) truth {
	values, state := e.lookup(c.key)
	if state == ambiguous || (state == absent && !c.known) {
		return unknown
	}
	if c.null {
		return c.matchNull(len(values) == 0)
	}
	if len(values) == 0 {
		return c.matchAbsent()
	}
	all, any := yes, no
	for _, v := range values {
		t := c.matchValue(e, v)
		all, any = min(all, t), max(any, t)
	}
	switch {
	case c.quantifier == forAllValues:
		return all
	case c.quantifier == forAnyValue:
		return any
	case all == any:
		return all
	}
	// Several values without a set operator, and they do not agree.
	return unknown
}

func (c *condition) matchNull(absent bool) truth {
	for _, wanted := range c.nullWanted {
		if wanted == absent {
			return yes
		}
	}
	return no
}

// matchAbsent is AWS's answer for a key that the request does not carry, or
// carries without values.
func (c *condition) matchAbsent() truth {
	switch {
	case c.ifExists, c.quantifier == forAllValues:
		return yes
	case c.quantifier == forAnyValue:
		return no
	}
	return truthOf(c.negated)
}

func (c *condition) matchValue(e *env, v string) truth {
	t := no
	for _, m := range c.values {
		if t = max(t, m.match(e, v)); t == yes {
			break
		}
	}
	if c.negated {
		return not(t)
	}
	return t
}
