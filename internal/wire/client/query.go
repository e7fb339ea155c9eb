package client

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// prepareQuery writes an input as the form of the query protocol.
func (k *call) prepareQuery(tree map[string]any) error {
	if k.op == nil {
		return errors.New("the service has no such operation")
	}
	form := url.Values{"Action": {k.operation}, "Version": {k.model.Version}}
	flatten(form, "", tree)
	k.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	k.body = []byte(form.Encode())
	return nil
}

func flatten(form url.Values, name string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for key, y := range x {
			flatten(form, strings.TrimPrefix(name+"."+key, "."), y)
		}
	case []any:
		for i, y := range x {
			flatten(form, name+".member."+strconv.Itoa(i+1), y)
		}
	case nil:
	default:
		form.Set(name, fmt.Sprint(x))
	}
}

// element is any XML element.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

func (e *element) child(name string) *element {
	for i := range e.Children {
		if e.Children[i].XMLName.Local == name {
			return &e.Children[i]
		}
	}
	return nil
}

func (k *call) decodeXML(answer []byte) error {
	var root element
	if err := xml.Unmarshal(answer, &root); err != nil {
		return err
	}
	result := root.child(k.op.ResultWrapper)
	if result == nil || k.op.Output == shape.None {
		return nil
	}
	return reread(treeOfXML(k.model, k.op.Output, result), k.out)
}

func treeOfXML(m *shape.Model, ref int, e *element) any {
	s := &m.Shapes[ref]
	switch s.Kind {
	case shape.Structure:
		tree := map[string]any{}
		for i := range s.Members {
			if c := e.child(s.Members[i].Name); c != nil {
				tree[s.Members[i].Name] = treeOfXML(m, s.Members[i].Shape, c)
			}
		}
		return tree
	case shape.List:
		list := []any{}
		for i := range e.Children {
			list = append(list, treeOfXML(m, s.Elem, &e.Children[i]))
		}
		return list
	case shape.Integer, shape.Long:
		return json.Number(strings.TrimSpace(e.Text))
	case shape.Boolean:
		return e.Text == "true"
	}
	return e.Text
}

func xmlFault(body []byte) (code, message string) {
	var root element
	if xml.Unmarshal(body, &root) != nil {
		return "", strings.TrimSpace(string(body[:min(len(body), 200)]))
	}
	e := root.child("Error")
	if e == nil {
		return "", ""
	}
	if c := e.child("Code"); c != nil {
		code = c.Text
	}
	if m := e.child("Message"); m != nil {
		message = m.Text
	}
	return code, message
}
