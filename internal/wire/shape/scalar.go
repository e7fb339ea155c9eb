package shape

import (
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// numeric reads a number or a time.
func (d *decoder) numeric(p *plan, v reflect.Value) *problem {
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		return d.mismatch(p)
	}
	b, bad := d.number()
	if bad != nil {
		return bad
	}
	switch p.kind {
	case Timestamp:
		t, ok := epoch(string(b))
		if !ok {
			return refuse("%s is not a time in seconds since 1970", quoted(string(b)))
		}
		hold(v).Set(reflect.ValueOf(t))
		return nil
	default:
		return scalar(p, v, string(b))
	}
}

// scalar sets v from a number, boolean or string written as text.
func scalar(p *plan, v reflect.Value, s string) *problem {
	switch p.kind {
	case String:
		hold(v).SetString(s)
	case Boolean:
		if s != "true" && s != "false" {
			return refuse("%s can not be converted to a Boolean", quoted(s))
		}
		hold(v).SetBool(s == "true")
	case Integer, Long:
		n, err := strconv.ParseInt(s, 10, int(p.typ.Size())*8)
		if err != nil {
			return refuse("%s can not be converted to %s", quoted(s), p.kind)
		}
		hold(v).SetInt(n)
	case Float, Double:
		n, err := strconv.ParseFloat(s, int(p.typ.Size())*8)
		if err != nil {
			return refuse("%s can not be converted to %s", quoted(s), p.kind)
		}
		hold(v).SetFloat(n)
	default:
		return refuse("%s can not be converted to %s", quoted(s), p.kind)
	}
	return nil
}

// The seconds of years 1 to 9999.
const (
	minEpoch = -62135596800
	maxEpoch = 253402300799
)

// epoch reads seconds since 1970, exact to the microsecond (the resolution of
// the databases; finer digits are cut).
func epoch(s string) (time.Time, bool) {
	if strings.ContainsAny(s, "eE.") {
		return decimalEpoch(s)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < minEpoch || n > maxEpoch {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

func decimalEpoch(s string) (time.Time, bool) {
	if f, err := strconv.ParseFloat(s, 64); err != nil || len(s) > 40 || f < minEpoch || f > maxEpoch {
		return time.Time{}, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 4 {
		return time.Unix(0, 0).UTC(), true // smaller than any time here
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return time.Time{}, false
	}
	r.Mul(r, big.NewRat(1e6, 1))
	q := new(big.Int).Quo(r.Num(), r.Denom())
	return time.UnixMicro(q.Int64()).UTC(), true
}

// mismatch says that the next token cannot be the value of p.
func (d *decoder) mismatch(p *plan) *problem {
	token := "NUMBER_VALUE"
	switch c := d.peek(); {
	case d.end():
		return d.syntax()
	case c == '{':
		token = "START_OBJECT"
	case c == '[':
		token = "START_ARRAY"
	case c == '"':
		token = "STRING_VALUE"
	case c == 't':
		token = "TRUE_VALUE"
	case c == 'f':
		token = "FALSE_VALUE"
	case c == 'n':
		token = "VALUE_NULL"
	case c != '-' && (c < '0' || c > '9'):
		return d.syntax()
	}
	return refuse("%s can not be converted to %s", token, p.kind)
}

var kindNames = [...]string{
	Structure: "a Structure", List: "a List", Map: "a Map", String: "a String", Integer: "an Integer", Long: "a Long",
	Boolean: "a Boolean", Timestamp: "a Timestamp", Blob: "a Blob", Float: "a Float", Double: "a Double",
}

// String is the kind with its article, as error texts need it.
func (k Kind) String() string {
	if int(k) >= len(kindNames) || k == 0 {
		return "an unknown kind"
	}
	return kindNames[k]
}

// similar hints at the member that name is but for its case.
func (p *plan) similar(name string) string {
	for i := range p.fields {
		if strings.EqualFold(p.fields[i].Name, name) {
			return " (did you mean " + strconv.Quote(p.fields[i].Name) + "?)"
		}
	}
	return ""
}
