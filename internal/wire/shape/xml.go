package shape

import (
	"bytes"
	"encoding/xml"
	"reflect"
)

// xmlWriter writes the answers of the query protocol.
type xmlWriter struct{ bytes.Buffer }

func (w *xmlWriter) text(name, s string) {
	w.WriteString("<" + name + ">")
	_ = xml.EscapeText(&w.Buffer, []byte(s)) // a buffer takes everything
	w.WriteString("</" + name + ">")
}

// encodeXML renders an output: the result in its wrapper and the request id.
func encodeXML(m *Model, op *Operation, requestID string, out any) []byte {
	var w xmlWriter
	w.WriteString("<" + op.Name + `Response xmlns="` + m.Namespace + `">`)
	if op.ResultWrapper != "" {
		w.WriteString("<" + op.ResultWrapper + ">")
	}
	if v := reflect.ValueOf(out); op.Output != None && v.IsValid() && !v.IsNil() {
		w.structure(planOf(m, op.Output, v.Type()), v.Elem())
	}
	if op.ResultWrapper != "" {
		w.WriteString("</" + op.ResultWrapper + ">")
	}
	w.WriteString("<ResponseMetadata>")
	w.text("RequestId", requestID)
	w.WriteString("</ResponseMetadata></" + op.Name + "Response>")
	return w.Bytes()
}

func (w *xmlWriter) structure(p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		if fv := v.Field(f.index); !absent(fv) {
			w.value(f.plan, held(fv), f.Name)
		}
	}
}

func (w *xmlWriter) value(p *plan, v reflect.Value, name string) {
	switch p.kind {
	case Structure:
		w.WriteString("<" + name + ">")
		w.structure(p, v)
		w.WriteString("</" + name + ">")
	case List:
		w.WriteString("<" + name + ">")
		for i := range v.Len() {
			w.value(p.elem, held(v.Index(i)), "member")
		}
		w.WriteString("</" + name + ">")
	default:
		w.text(name, scalarText(p, v))
	}
}

// node is an XML element as the client side reads it.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func (n *node) child(name string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

// decodeXML reads an output of the query protocol.
func decodeXML(m *Model, op *Operation, body []byte, out any) error {
	var root node
	if err := xml.Unmarshal(body, &root); err != nil {
		return refuse("the response is not valid XML").fault()
	}
	n := &root
	if op.ResultWrapper != "" {
		n = root.child(op.ResultWrapper)
	}
	if n == nil {
		return nil
	}
	v := reflect.ValueOf(out).Elem()
	return n.structure(planOf(m, op.Output, v.Type()), v).fault()
}

func (n *node) structure(p *plan, v reflect.Value) *problem {
	for i := range p.fields {
		f := &p.fields[i]
		c := n.child(f.Name)
		if c == nil {
			continue
		}
		if bad := c.value(f.plan, v.Field(f.index)); bad != nil {
			return bad.in(f.path)
		}
	}
	return nil
}

func (n *node) value(p *plan, v reflect.Value) *problem {
	switch p.kind {
	case Structure:
		return n.structure(p, hold(v))
	case List:
		v.Set(reflect.MakeSlice(v.Type(), len(n.Nodes), len(n.Nodes)))
		for i := range n.Nodes {
			if bad := n.Nodes[i].value(p.elem, v.Index(i)); bad != nil {
				return bad
			}
		}
		return nil
	}
	return locatedScalar(p, v, n.Text)
}
