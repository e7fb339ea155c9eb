package ssmdoc

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Types of parameters, variables and outputs.
const (
	TypeString     = "String"
	TypeStringList = "StringList"
	TypeInteger    = "Integer"
	TypeBoolean    = "Boolean"
	TypeStringMap  = "StringMap"
	TypeMapList    = "MapList"
)

// BaseType is the type whose values a declared type takes: AWS::EC2::Image::Id
// is a String, List<AWS::EC2::Instance::Id> a StringList. Known is false for
// any other word.
func BaseType(declared string) (base string, known bool) {
	switch declared {
	case TypeString, TypeStringList, TypeInteger, TypeBoolean, TypeStringMap, TypeMapList:
		return declared, true
	}
	if inner, ok := strings.CutPrefix(declared, "List<"); ok {
		return TypeStringList, strings.HasPrefix(inner, "AWS::") && strings.HasSuffix(inner, ">")
	}
	return TypeString, strings.HasPrefix(declared, "AWS::")
}

// BindParameters checks what was given at run time (every value is a list of
// strings, whatever the type) against the declarations, adds the defaults, and
// answers values by type: String string, StringList []any of string, Integer
// int64, Boolean bool, StringMap map[string]any, MapList []any of map[string]any.
// A default that holds a reference ({{ssm:name}}) is answered as written, for
// the caller to Expand and then Check. The error is a *ParameterError.
func BindParameters(d *Document, given map[string][]string) (map[string]any, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if d.Parameter(name) == nil {
			return nil, &ParameterError{Name: name, Fault: Unknown, Message: fmt.Sprintf("Parameter %q is not defined in the document.", name)}
		}
	}
	bound := make(map[string]any, len(d.Parameters))
	for i := range d.Parameters {
		p := &d.Parameters[i]
		v, err := p.bind(given)
		if err != nil {
			return nil, err
		}
		bound[p.Name] = v
	}
	return bound, nil
}

func (p *Parameter) bind(given map[string][]string) (any, error) {
	if values, ok := given[p.Name]; ok {
		v, err := p.Value(values)
		if err != nil {
			return nil, err
		}
		return v, p.Check(v)
	}
	if p.Default == nil {
		return nil, &ParameterError{Name: p.Name, Fault: Missing, Message: fmt.Sprintf("Parameter %q is required and was not given.", p.Name)}
	}
	return p.fromDefault(), nil
}

// fromDefault is the default as a value of the parameter's type. Validate has
// checked it; an odd one of a document stored before is answered as written.
func (p *Parameter) fromDefault() any {
	v := p.Default.Any()
	if len(References(v)) > 0 {
		return v
	}
	base, _ := BaseType(p.Type)
	if s, isText := v.(string); isText && base != TypeString {
		if typed, err := p.Value([]string{s}); err == nil {
			return typed
		}
	}
	if base == TypeString && p.Default.Kind != List && p.Default.Kind != Map {
		return p.Default.Str()
	}
	return v
}

func (p *Parameter) invalid(format string, args ...any) error {
	return &ParameterError{Name: p.Name, Fault: Invalid, Message: fmt.Sprintf("Parameter %q ", p.Name) + fmt.Sprintf(format, args...) + "."}
}

// Value reads the strings given for the parameter as a value of its type
// without looking at the other constraints.
func (p *Parameter) Value(given []string) (any, error) {
	base, _ := BaseType(p.Type)
	switch base {
	case TypeStringList:
		return plain(given), nil
	case TypeMapList:
		return p.mapList(given)
	}
	if len(given) != 1 {
		return nil, p.invalid("is a %s and takes one value, not %d", p.Type, len(given))
	}
	switch base {
	case TypeInteger:
		i, err := strconv.ParseInt(given[0], 10, 64)
		if err != nil {
			return nil, p.invalid("has a value that is not an Integer")
		}
		return i, nil
	case TypeBoolean:
		if given[0] != "true" && given[0] != "false" {
			return nil, p.invalid("has a value that is not a Boolean, true or false")
		}
		return given[0] == "true", nil
	case TypeStringMap:
		n, err := parseJSON([]byte(given[0]))
		if err != nil || n.Kind != Map {
			return nil, p.invalid("has a value that is not a StringMap, a JSON object")
		}
		return n.Any(), nil
	}
	return given[0], nil
}

func (p *Parameter) mapList(given []string) (any, error) {
	out := []any{}
	for _, s := range given {
		n, err := parseJSON([]byte(s))
		switch {
		case err == nil && n.Kind == Map:
			out = append(out, n.Any())
		case err == nil && n.Kind == List && len(given) == 1:
			out = n.Any().([]any)
		default:
			return nil, p.invalid("has a value that is not a MapList, JSON objects")
		}
	}
	for _, item := range out {
		if _, ok := item.(map[string]any); !ok {
			return nil, p.invalid("has a value that is not a MapList, JSON objects")
		}
	}
	return out, nil
}

// Check tests a value of the parameter's type against its constraints:
// allowedValues, allowedPattern and minChars/maxChars hold for each item of a
// list, minItems/maxItems for lists and maps. The error is a *ParameterError.
func (p *Parameter) Check(value any) error {
	if err := p.checkKind(value); err != nil {
		return err
	}
	items, count := []any{value}, -1
	switch v := value.(type) {
	case []any:
		items, count = v, len(v)
	case map[string]any:
		items, count = nil, len(v)
	}
	if count >= 0 && p.MinItems != nil && count < *p.MinItems {
		return p.invalid("has %d items, fewer than its minItems %d", count, *p.MinItems)
	}
	if count >= 0 && p.MaxItems != nil && count > *p.MaxItems {
		return p.invalid("has %d items, more than its maxItems %d", count, *p.MaxItems)
	}
	match := pattern{}
	if p.AllowedPattern != "" {
		var err error
		if match, err = compilePattern(p.AllowedPattern); err != nil {
			return p.invalid("has an allowedPattern that is not a regular expression")
		}
	}
	for _, item := range items {
		if err := p.checkItem(item, match); err != nil {
			return err
		}
	}
	return nil
}

// checkKind tests that the value has the type, each item of a list included.
func (p *Parameter) checkKind(value any) error {
	base, _ := BaseType(p.Type)
	ok := false
	switch v := value.(type) {
	case string:
		ok = base == TypeString
	case int64:
		ok = base == TypeInteger
	case bool:
		ok = base == TypeBoolean
	case map[string]any:
		ok = base == TypeStringMap
	case []any:
		ok = base == TypeStringList || base == TypeMapList
		for _, item := range v {
			_, isText := item.(string)
			_, isMap := item.(map[string]any)
			ok = ok && (base == TypeStringList && isText || base == TypeMapList && isMap)
		}
	}
	if !ok {
		return p.invalid("has a value that is not a %s", p.Type)
	}
	return nil
}

func (p *Parameter) checkItem(item any, match pattern) error {
	if len(p.AllowedValues) > 0 && !slices.ContainsFunc(p.AllowedValues, func(a any) bool { return equalText(a, item) }) {
		return p.invalid("has a value that is not one of its allowedValues %s", p.allowed())
	}
	s, isText := item.(string)
	if !isText {
		return nil
	}
	if p.AllowedPattern != "" && !match.match(s) {
		return p.invalid("has a value not matching %q", p.AllowedPattern)
	}
	n := utf8.RuneCountInString(s)
	if p.MinChars != nil && n < *p.MinChars {
		return p.invalid("has a value of %d characters, fewer than its minChars %d", n, *p.MinChars)
	}
	if p.MaxChars != nil && n > *p.MaxChars {
		return p.invalid("has a value of %d characters, more than its maxChars %d", n, *p.MaxChars)
	}
	return nil
}

func (p *Parameter) allowed() string {
	b, err := json.Marshal(p.AllowedValues)
	if err != nil {
		return ""
	}
	return string(b)
}
