package shape

import (
	"net/http"
	"net/url"
	"reflect"
)

// The protocols of the models.
const (
	ProtocolJSON  = "json"      // awsJson1.1
	ProtocolREST  = "rest-json" // restJson1
	ProtocolQuery = "query"     // awsQuery
)

// Request is an operation's input on its way: what a client sends and a server
// reads, without host and signature.
type Request struct {
	Method string
	Path   string // escaped, as it is signed
	Query  url.Values
	Header http.Header
	Body   []byte
}

// Response is an operation's output or error on its way.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// contentType is that of a model's bodies.
func (m *Model) contentType() string {
	switch m.Protocol {
	case ProtocolJSON:
		return "application/x-amz-json-" + m.JSONVersion
	case ProtocolREST:
		return "application/json"
	}
	return "text/xml"
}

// EncodeInput makes the request of an operation from in, a pointer to its
// input.
func EncodeInput(m *Model, op *Operation, in any) (*Request, error) {
	r := &Request{Method: op.Method, Path: "/", Query: url.Values{}, Header: http.Header{}}
	switch m.Protocol {
	case ProtocolJSON:
		r.Header.Set("Content-Type", m.contentType())
		r.Header.Set("X-Amz-Target", m.TargetPrefix+"."+op.Name)
		r.Body = encode(m, op.Input, &encoder{}, in)
		return r, nil
	case ProtocolQuery:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Body = []byte(encodeForm(m, op, in).Encode())
		return r, nil
	}
	return r, encodeREST(m, op, in, r)
}

// DecodeInput reads the input of an operation out of a request. Labels are the
// parts of the path that Match found. The input is not validated.
func DecodeInput(m *Model, op *Operation, r *Request, labels map[string]string) (any, error) {
	in := op.NewInput()
	switch m.Protocol {
	case ProtocolJSON:
		return in, decode(m, op.Input, &decoder{scanner: scanner{data: r.Body}}, in)
	case ProtocolQuery:
		return in, decodeForm(m, op, r, in)
	}
	return in, decodeREST(m, op, r, labels, in)
}

// EncodeOutput renders out, a pointer to the output of an operation.
func EncodeOutput(m *Model, op *Operation, requestID string, out any) *Response {
	r := &Response{Status: op.Status, Header: http.Header{}}
	if m.Protocol == ProtocolREST && op.Status == http.StatusNoContent {
		return r
	}
	r.Header.Set("Content-Type", m.contentType())
	switch {
	case m.Protocol == ProtocolQuery:
		r.Body = encodeXML(m, op, requestID, out)
	case out == nil || reflect.ValueOf(out).IsNil():
		r.Body = []byte("{}")
	default:
		r.Body = encode(m, op.Output, &encoder{}, out)
	}
	return r
}

// DecodeOutput reads an operation's output out of a response with its status.
// Members that the model does not know are passed over.
func DecodeOutput(m *Model, op *Operation, r *Response) (any, error) {
	if r.Status >= http.StatusMultipleChoices {
		return nil, DecodeError(m, r)
	}
	out := op.NewOutput()
	if m.Protocol == ProtocolQuery {
		return out, decodeXML(m, op, r.Body, out)
	}
	return out, decode(m, op.Output, &decoder{scanner: scanner{data: r.Body}, lenient: true}, out)
}
