package main

import (
	"fmt"
	"slices"
	"strings"
)

func (g *generator) types() string {
	body := new(strings.Builder)
	for _, n := range g.names {
		if s := g.m.Shapes[n]; s.Type == "structure" && !s.Exception {
			g.structure(body, n, s)
		}
	}
	var imports []string
	if strings.Contains(body.String(), "slog.") {
		imports = append(imports, "log/slog")
	}
	if strings.Contains(body.String(), "time.Time") {
		imports = append(imports, "time")
	}
	if strings.Contains(body.String(), "shape.") {
		imports = append(imports, "", wirePath+"/shape")
	}
	b := g.header(imports...)
	b.WriteString(body.String())
	return b.String()
}

func (g *generator) structure(b *strings.Builder, name string, s *modelShape) {
	goName := g.goName[name]
	fmt.Fprintf(b, "// %s is %s.\ntype %s struct {\n", goName, g.what(name), goName)
	for _, mn := range s.Members.names {
		r := s.Members.refs[mn]
		fmt.Fprintf(b, "%s %s `json:\"%s,omitzero\"`\n", export(mn), g.goType(r.Shape, true), mn)
	}
	b.WriteString("}\n\n")
	if g.marked[name] {
		fmt.Fprintf(b, "// LogValue renders the value without what is sensitive in it.\nfunc (v %s) LogValue() slog.Value {\nreturn shape.LogValue(Model, %d, v)\n}\n\n", goName, g.index[name])
	}
}

func (g *generator) what(name string) string {
	goName := g.goName[name]
	if op, ok := strings.CutSuffix(goName, "Input"); ok && g.m.Operations[op] != nil {
		return "the input of " + op
	}
	if op, ok := strings.CutSuffix(goName, "Output"); ok && g.m.Operations[op] != nil {
		return "the output of " + op
	}
	if g.m.Shapes[name].Union {
		return "the union " + name + ": one member is set"
	}
	return "the shape " + name
}

func (g *generator) enums() string {
	b := g.header()
	used := map[string]bool{}
	for _, n := range g.names {
		s := g.m.Shapes[n]
		if len(s.Enum) == 0 {
			continue
		}
		goName := g.goName[n]
		fmt.Fprintf(b, "// %s is an enumeration; \"\" stands for absent.\ntype %s string\n\n// The values of %s.\nconst (\n", goName, goName, goName)
		for _, v := range s.Enum {
			c := goName + enumName(v)
			for used[c] {
				c += "Value"
			}
			used[c] = true
			fmt.Fprintf(b, "%s %s = %q\n", c, goName, v)
		}
		b.WriteString(")\n\n")
	}
	return b.String()
}

// enumName keeps mixed case and turns SHOUTED_NAMES into ShoutedNames.
func enumName(v string) string {
	if v == strings.ToUpper(v) {
		v = strings.ToLower(v)
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, export(v))
}

func (g *generator) errors() string {
	body := new(strings.Builder)
	for _, n := range g.names {
		if s := g.m.Shapes[n]; s.Exception {
			g.errorType(body, n, s)
		}
	}
	var imports []string
	if strings.Contains(body.String(), "time.Time") {
		imports = append(imports, "time")
	}
	b := g.header(imports...)
	b.WriteString(body.String())
	return b.String()
}

func (g *generator) errorType(b *strings.Builder, name string, s *modelShape) {
	goName := g.goName[name]
	fmt.Fprintf(b, "// %s is the error %s.\ntype %s struct {\nMessage string\n", goName, g.errorCode(name, s), goName)
	for _, mn := range s.Members.names {
		if !strings.EqualFold(mn, "message") {
			fmt.Fprintf(b, "%s %s `json:\"%s,omitzero\"`\n", export(mn), g.goType(s.Members.refs[mn].Shape, true), mn)
		}
	}
	fmt.Fprintf(b, "}\n\n// Error is the code and the message.\nfunc (e *%s) Error() string { return %q + e.Message }\n\n", goName, g.errorCode(name, s)+": ")
	fmt.Fprintf(b, "// ErrorCode is the code on the wire.\nfunc (e *%s) ErrorCode() string { return %q }\n\n", goName, g.errorCode(name, s))
	fmt.Fprintf(b, "// ErrorMessage is the text for the caller.\nfunc (e *%s) ErrorMessage() string { return e.Message }\n\n", goName)
	fmt.Fprintf(b, "// HTTPStatus is the status of the response.\nfunc (e *%s) HTTPStatus() int { return %d }\n\n", goName, errorStatus(s))
}

func (g *generator) errorCode(name string, s *modelShape) string {
	if s.Error != nil && s.Error.Code != "" {
		return s.Error.Code
	}
	return name
}

func errorStatus(s *modelShape) int {
	switch {
	case s.Error != nil && s.Error.HTTPStatusCode != 0:
		return s.Error.HTTPStatusCode
	case s.Fault:
		return 500
	}
	return 400
}

func required(s *modelShape, member string) bool { return slices.Contains(s.Required, member) }
