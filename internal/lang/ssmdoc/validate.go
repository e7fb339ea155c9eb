package ssmdoc

import (
	"regexp"
	"strings"
)

// Validate checks the document by the rules of its type (a DocumentType:
// Command, Automation, Session, ...). Types that Watchbill only stores need
// no more than well-formed content. The error is an *Error.
func (d *Document) Validate(documentType string) error {
	switch documentType {
	case "ChangeCalendar":
		return d.checkCalendar()
	case "Command", "Policy":
		return d.checkSchema(documentType, d.checkCommand, "1.2", "2.0", "2.2")
	case "Automation":
		return d.checkSchema(documentType, d.checkAutomation, "0.3")
	case "Automation.ChangeTemplate":
		return d.checkSchema(documentType, d.checkChangeTemplate, "0.3")
	case "Session":
		return d.checkSchema(documentType, d.checkSession, "1.0")
	case "Package":
		return d.checkSchema(documentType, d.checkPackage, "2.0")
	}
	return nil
}

// SchemaError says that schemaVersion is not one that the type has. It is
// apart from Error because AWS has a code of its own for it.
type SchemaError struct{ Err *Error }

func (e *SchemaError) Error() string { return e.Err.Error() }

// Unwrap is the Error with the place.
func (e *SchemaError) Unwrap() error { return e.Err }

func (d *Document) checkSchema(documentType string, rules func() error, versions ...string) error {
	if d.Root == nil {
		return &Error{Message: "a document of type " + documentType + " must be JSON or YAML"}
	}
	if d.Root.Kind != Map {
		return place{}.want(d.Root, Map)
	}
	if err := plainTags(place{}, d.Root); err != nil {
		return err
	}
	ok := false
	for _, v := range versions {
		ok = ok || d.SchemaVersion == v
	}
	if !ok {
		return d.schemaError(documentType, versions)
	}
	if err := d.checkParameters(); err != nil {
		return err
	}
	return rules()
}

func (d *Document) schemaError(documentType string, versions []string) error {
	n := d.Root.Get("schemaVersion")
	known := strings.Join(versions, ", ")
	if n == nil {
		return &SchemaError{&Error{Line: d.Root.Line, Message: "schemaVersion is missing, a " + documentType + " document has " + known}}
	}
	return &SchemaError{&Error{Line: n.Line, Path: "schemaVersion", Message: "schema version " + n.Str() + " is not one that a " + documentType + " document has: " + known}}
}

// plainTags refuses YAML tags of other languages.
func plainTags(at place, n *Node) error {
	if n.Tag != "" {
		return at.errorf(n.Line, "YAML tag %s is not allowed", n.Tag)
	}
	for i, item := range n.Items {
		if err := plainTags(at.index(i), item); err != nil {
			return err
		}
	}
	for _, f := range n.Fields {
		if err := plainTags(at.key(f.Key), f.Value); err != nil {
			return err
		}
	}
	return nil
}

var parameterName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (d *Document) checkParameters() error {
	for i := range d.Parameters {
		p := &d.Parameters[i]
		at := place{}.key("parameters").key(p.Name)
		if err := p.checkDeclaration(at, d.Root.At("parameters", p.Name)); err != nil {
			return err
		}
	}
	for _, v := range d.Variables {
		at := place{}.key("variables").key(v.Name)
		if base, known := BaseType(v.Type); !known || base != v.Type {
			return at.errorf(v.Line, "type %q is not one of %s", v.Type, strings.Join(types, ", "))
		}
	}
	return nil
}

var types = []string{TypeString, TypeStringList, TypeInteger, TypeBoolean, TypeMapList, TypeStringMap}

func (p *Parameter) checkDeclaration(at place, n *Node) error {
	if !parameterName.MatchString(p.Name) {
		return at.errorf(p.Line, "a parameter name has letters, digits, _ and - only")
	}
	err := at.only(n, "type", "description", "default", "allowedValues", "allowedPattern", "displayType",
		"minItems", "maxItems", "minChars", "maxChars", "requirementType")
	if err != nil {
		return err
	}
	if p.Type == "" {
		return at.errorf(p.Line, "the parameter needs a type")
	}
	if _, known := BaseType(p.Type); !known {
		return at.errorf(n.Get("type").Line, "parameter type %q is not one of %s or an AWS:: type%s", p.Type, strings.Join(types, ", "), meant(p.Type, types))
	}
	if _, err := compilePattern(p.AllowedPattern); err != nil {
		return at.key("allowedPattern").errorf(n.Get("allowedPattern").Line, "is not a regular expression: %v", err)
	}
	return p.checkDefault(at)
}

// checkDefault holds a default against the constraints unless it has a
// reference, whose value is not known yet.
func (p *Parameter) checkDefault(at place) error {
	if p.Default == nil {
		return nil
	}
	at = at.key("default")
	base, _ := BaseType(p.Type)
	refs := References(p.Default.Any())
	for _, name := range refs {
		if !strings.HasPrefix(name, "ssm:") {
			return at.errorf(p.Default.Line, "a default may refer to a Parameter Store parameter ({{ssm:name}}) only, not to %q", name)
		}
	}
	if len(refs) > 0 && base != TypeString && base != TypeStringList {
		return at.errorf(p.Default.Line, "a %s default may not refer to a Parameter Store parameter", p.Type)
	}
	if len(refs) > 0 {
		return nil
	}
	v := p.fromDefault()
	if s, ok := v.(string); ok && s == "" && base == TypeString && len(p.AllowedValues) == 0 {
		return nil // the usual way to make a parameter optional, whatever its pattern
	}
	if err := p.Check(v); err != nil {
		return at.errorf(p.Default.Line, "%s", err)
	}
	return nil
}
