package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String", "integer": "Integer", "long": "Long",
	"boolean": "Boolean", "timestamp": "Timestamp", "blob": "Blob", "float": "Float", "double": "Double",
}

func (g *generator) schema() string {
	b := g.header(wirePath + "/shape")
	md := g.m.Metadata
	signing := md.SigningName
	if signing == "" {
		signing = md.EndpointPrefix
	}
	fmt.Fprintf(b, "// Model is the schema of %s.\nvar Model = &shape.Model{\nService: %q, SigningName: %q, Protocol: %q, JSONVersion: %q, TargetPrefix: %q, Version: %q, Namespace: %q,\n",
		g.model, g.model, signing, md.Protocol, md.JSONVersion, md.TargetPrefix, md.APIVersion, md.XMLNamespace)
	b.WriteString("Shapes: []shape.Shape{\n")
	for i, n := range g.names {
		g.shape(b, i, n, g.m.Shapes[n])
	}
	b.WriteString("},\nOperations: operations(),\n}\n")
	return b.String()
}

func (g *generator) shape(b *strings.Builder, i int, name string, s *modelShape) {
	fmt.Fprintf(b, "%d: {Name: %q, Kind: shape.%s", i, name, kinds[s.Type])
	if s.Type == "list" {
		fmt.Fprintf(b, ", Elem: %d", g.index[s.Member.Shape])
	}
	if s.Type == "map" {
		fmt.Fprintf(b, ", Key: %d, Elem: %d", g.index[s.Key.Shape], g.index[s.Value.Shape])
	}
	if s.Min != nil {
		fmt.Fprintf(b, ", HasMin: true, Min: %d", int64(*s.Min))
	}
	if s.Max != nil {
		fmt.Fprintf(b, ", HasMax: true, Max: %d", int64(*s.Max))
	}
	if s.Pattern != "" {
		fmt.Fprintf(b, ", Pattern: %q", s.Pattern)
	}
	if len(s.Enum) > 0 {
		fmt.Fprintf(b, ", Enum: %#v", s.Enum)
	}
	if s.Sensitive {
		b.WriteString(", Sensitive: true")
	}
	if s.Union {
		b.WriteString(", Union: true")
	}
	if s.Exception {
		fmt.Fprintf(b, ", Error: &shape.Error{Code: %q, Status: %d}", g.errorCode(name, s), errorStatus(s))
	}
	g.members(b, name, s)
	b.WriteString("},\n")
}

func (g *generator) members(b *strings.Builder, name string, s *modelShape) {
	if len(s.Members.names) == 0 {
		return
	}
	b.WriteString(", Members: []shape.Member{\n")
	for _, mn := range s.Members.names {
		r := s.Members.refs[mn]
		fmt.Fprintf(b, "{Name: %q, Shape: %d", mn, g.index[r.Shape])
		if required(s, mn) {
			b.WriteString(", Required: true")
		}
		if r.IdempotencyToken {
			b.WriteString(", IdempotencyToken: true")
		}
		if ownSensitive[g.model][name+"."+mn] {
			b.WriteString(", Sensitive: true")
		}
		if r.Location != "" {
			fmt.Fprintf(b, ", Location: %q, LocationName: %q", r.Location, r.LocationName)
		}
		b.WriteString("},\n")
	}
	b.WriteString("}")
}

func (g *generator) operations() string {
	b := g.header("context", "", wirePath, wirePath+"/shape")
	b.WriteString("func operations() []shape.Operation {\nreturn []shape.Operation{\n")
	names := slices.Sorted(maps.Keys(g.m.Operations))
	for _, n := range names {
		g.operation(b, n, g.m.Operations[n])
	}
	b.WriteString("}\n}\n\n")
	for _, n := range names {
		fmt.Fprintf(b, "// Bind%s binds the operation %s.\nfunc Bind%s(f func(context.Context, *%sInput) (*%sOutput, error)) wire.Binding {\nreturn wire.Bind(Model, %q, f)\n}\n\n", n, n, n, n, n, n)
	}
	return b.String()
}

func (g *generator) operation(b *strings.Builder, name string, op *operation) {
	status := op.HTTP.ResponseCode
	if status == 0 {
		status = 200
	}
	fmt.Fprintf(b, "{Name: %q, Method: %q, URI: %q, Status: %d, Input: %d, Output: %d", name, op.HTTP.Method, op.HTTP.RequestURI, status,
		g.index[op.Input.Shape], g.index[op.Output.Shape])
	if len(op.Errors) > 0 {
		b.WriteString(", Errors: []int{")
		for i, e := range op.Errors {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%d", g.index[e.Shape])
		}
		b.WriteString("}")
	}
	if op.Output.ResultWrapper != "" {
		fmt.Fprintf(b, ", ResultWrapper: %q", op.Output.ResultWrapper)
	}
	if p, ok := g.m.Pagination[name]; ok {
		fmt.Fprintf(b, ", Pagination: &shape.Pagination{InputToken: %q, OutputToken: %q, LimitKey: %q, ResultKey: %q}",
			text(p.InputToken), text(p.OutputToken), text(p.LimitKey), text(p.ResultKey))
	}
	fmt.Fprintf(b, ", NewInput: func() any { return new(%sInput) }, NewOutput: func() any { return new(%sOutput) }},\n", name, name)
}
