package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// toWire turns the timestamps of a tree from text into seconds, as AWS's JSON
// protocols write them.
func toWire(m *shape.Model, ref int, v any) any {
	return walk(m, ref, v, func(v any) any {
		text, ok := v.(string)
		t, err := time.Parse(time.RFC3339Nano, text)
		if !ok || err != nil {
			return v
		}
		return json.Number(new(big.Rat).SetFrac64(t.UnixMilli(), 1000).FloatString(3))
	})
}

// fromWire turns the timestamps of an answer from seconds into text, which is
// what encoding/json reads into a time.Time.
func fromWire(m *shape.Model, ref int, v any) any {
	return walk(m, ref, v, func(v any) any {
		n, ok := v.(json.Number)
		r, fine := new(big.Rat).SetString(n.String())
		if !ok || !fine {
			return v
		}
		us, _ := r.Mul(r, big.NewRat(1_000_000, 1)).Float64()
		return time.UnixMicro(int64(us)).UTC().Format(time.RFC3339Nano)
	})
}

func walk(m *shape.Model, ref int, v any, f func(any) any) any {
	if ref == shape.None || v == nil {
		return v
	}
	s := &m.Shapes[ref]
	switch x := v.(type) {
	case map[string]any:
		if s.Kind == shape.Map {
			for k := range x {
				x[k] = walk(m, s.Elem, x[k], f)
			}
			return x
		}
		for i := range s.Members {
			if y, ok := x[s.Members[i].Name]; ok {
				x[s.Members[i].Name] = walk(m, s.Members[i].Shape, y, f)
			}
		}
	case []any:
		for i := range x {
			x[i] = walk(m, s.Elem, x[i], f)
		}
	default:
		if s.Kind == shape.Timestamp {
			return f(v)
		}
	}
	return v
}

// prepareREST puts the members of an input where the model binds them.
func (k *call) prepareREST(tree map[string]any) error {
	if k.op == nil {
		return errors.New("the service has no such operation")
	}
	k.method, k.query = k.op.Method, url.Values{}
	path, body := k.op.URI, map[string]any{}
	if k.op.Input != shape.None {
		in := &k.model.Shapes[k.op.Input]
		for i := range in.Members {
			v, ok := tree[in.Members[i].Name]
			if !ok {
				continue
			}
			if err := k.place(&in.Members[i], v, &path, body); err != nil {
				return err
			}
		}
	}
	if strings.Contains(path, "{") {
		return fmt.Errorf("a member of the path %s is missing", k.op.URI)
	}
	k.path = path
	if k.method == http.MethodGet || k.method == http.MethodDelete {
		return nil
	}
	k.header.Set("Content-Type", "application/json")
	var err error
	k.body, err = json.Marshal(body)
	return err
}

func (k *call) place(m *shape.Member, v any, path *string, body map[string]any) error {
	switch m.Location {
	case "uri":
		*path = strings.Replace(*path, "{"+m.LocationName+"}", escape(fmt.Sprint(v)), 1)
	case "header":
		k.header.Set(m.LocationName, fmt.Sprint(v))
	case "querystring":
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, x := range list {
			k.query.Add(m.LocationName, fmt.Sprint(x))
		}
	case "":
		body[m.Name] = toWire(k.model, m.Shape, v)
	default:
		return fmt.Errorf("the location %s of %s is not known", m.Location, m.Name)
	}
	return nil
}

// escape writes a path segment with everything but RFC 3986's unreserved
// characters escaped, as the SDKs do: "/" and ":" of an ARN too.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func (k *call) decode(answer []byte) error {
	if k.model != nil && k.model.Protocol == "query" {
		return k.decodeXML(answer)
	}
	if len(answer) == 0 {
		return nil
	}
	if _, raw := k.out.(*json.RawMessage); raw || k.op == nil {
		return json.Unmarshal(answer, k.out)
	}
	var tree any
	d := json.NewDecoder(strings.NewReader(string(answer)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return err
	}
	return reread(fromWire(k.model, k.op.Output, tree), k.out)
}

func reread(tree, out any) error {
	data, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// fault reads the error that an answer stands for.
func (k *call) fault(res *http.Response, body []byte) error {
	e := &Error{Status: res.StatusCode, RequestID: res.Header.Get("X-Amzn-Requestid")}
	var j struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &j) == nil {
		e.Body, e.Message = body, j.Message
		e.Code = firstNonEmpty(res.Header.Get("X-Amzn-Errortype"), j.Type, j.Code)
	} else {
		e.Code, e.Message = xmlFault(body)
	}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	e.Code = e.Code[strings.LastIndex(e.Code, "#")+1:]
	if e.Code == "" {
		e.Code = http.StatusText(e.Status)
	}
	return e
}

func firstNonEmpty(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
