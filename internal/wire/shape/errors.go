package shape

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// exception is what the model states of one of its errors.
type exception struct {
	ref    int
	status int
}

var exceptions sync.Map // *Model -> map[string]exception

func (m *Model) exceptions() map[string]exception {
	if e, ok := exceptions.Load(m); ok {
		return e.(map[string]exception)
	}
	found := map[string]exception{}
	for i := range m.Shapes {
		if e := m.Shapes[i].Error; e != nil {
			found[e.Code] = exception{i, e.Status}
		}
	}
	e, _ := exceptions.LoadOrStore(m, found)
	return e.(map[string]exception)
}

// EncodeError renders an error as the model's service answers it. The code and
// the status of a fault are those that the service uses for it.
func EncodeError(m *Model, requestID string, err error) *Response {
	e := fault.Of(err)
	code, status := m.answer(e)
	r := &Response{Status: status, Header: http.Header{}}
	r.Header.Set("Content-Type", m.contentType())
	if m.Protocol == ProtocolQuery {
		r.Body = errorXML(m, requestID, code, e.ErrorMessage(), status)
		return r
	}
	r.Header.Set("X-Amzn-Errortype", code)
	r.Body = m.errorJSON(code, e)
	return r
}

// answer is the code and the status for e in this service.
func (m *Model) answer(e fault.Coded) (string, int) {
	code, status := e.ErrorCode(), e.HTTPStatus()
	if _, protocol := e.(*fault.Fault); !protocol {
		return code, status
	}
	if m.Protocol == ProtocolQuery {
		return queryAnswer(code, status)
	}
	known := m.exceptions()
	if _, ok := known[code]; !ok && code == "InternalServerError" {
		if _, ok := known["InternalServerException"]; ok {
			code = "InternalServerException"
		}
	}
	if x, ok := known[code]; ok {
		return code, x.status
	}
	if m.Protocol == ProtocolREST && signatureCodes[code] {
		status = http.StatusForbidden
	}
	return code, status
}

// signatureCodes are answered with 403 by REST services and with 400 by the
// JSON ones.
var signatureCodes = map[string]bool{
	"UnrecognizedClientException": true, "InvalidSignatureException": true, "IncompleteSignatureException": true,
	"MissingAuthenticationTokenException": true, "ExpiredTokenException": true, "RequestExpired": true,
}

// queryCodes are the names and statuses of the faults in STS. Source: "Common
// errors" of the STS API reference.
var queryCodes = map[string]struct {
	code   string
	status int
}{
	"ValidationException":                 {"ValidationError", 400},
	"SerializationException":              {"MalformedInput", 400},
	"AccessDeniedException":               {"AccessDenied", 403},
	"ThrottlingException":                 {"Throttling", 400},
	"InternalServerError":                 {"InternalFailure", 500},
	"UnknownOperationException":           {"InvalidAction", 400},
	"UnrecognizedClientException":         {"InvalidClientTokenId", 403},
	"InvalidSignatureException":           {"SignatureDoesNotMatch", 403},
	"IncompleteSignatureException":        {"IncompleteSignature", 403},
	"MissingAuthenticationTokenException": {"MissingAuthenticationToken", 403},
	"ExpiredTokenException":               {"ExpiredToken", 403},
	"RequestExpired":                      {"RequestExpired", 400},
}

func queryAnswer(code string, status int) (string, int) {
	if q, ok := queryCodes[code]; ok {
		return q.code, q.status
	}
	return code, status
}

// errorJSON writes __type, the message under the model's name for it, and the
// other members of a generated error.
func (m *Model) errorJSON(code string, e fault.Coded) []byte {
	b := appendQuoted([]byte(`{"__type":`), code)
	name := "message"
	x, known := m.exceptions()[code]
	if known {
		for _, mb := range m.Shapes[x.ref].Members {
			if strings.EqualFold(mb.Name, name) {
				name = mb.Name
			}
		}
	}
	b = append(b, `,"`+name+`":`...)
	b = appendQuoted(b, e.ErrorMessage())
	if v := reflect.ValueOf(e); known && !isFault(e) && v.Kind() == reflect.Pointer {
		b = m.errorMembers(b, x.ref, name, v.Elem())
	}
	return append(b, '}')
}

func isFault(e fault.Coded) bool {
	_, ok := e.(*fault.Fault)
	return ok
}

func (m *Model) errorMembers(b []byte, ref int, message string, v reflect.Value) []byte {
	p := planOf(m, ref, v.Type())
	enc := &encoder{buf: b, all: true}
	for i := range p.fields {
		f := &p.fields[i]
		if fv := v.Field(f.index); f.Name != message && !absent(fv) {
			enc.buf = append(append(enc.buf, ','), f.quoted...)
			enc.value(f.plan, held(fv))
		}
	}
	return enc.buf
}

func errorXML(m *Model, requestID, code, message string, status int) []byte {
	var w xmlWriter
	w.WriteString(`<ErrorResponse xmlns="` + m.Namespace + `"><Error>`)
	kind := "Sender"
	if status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	w.text("Type", kind)
	w.text("Code", code)
	w.text("Message", message)
	w.WriteString("</Error>")
	w.text("RequestId", requestID)
	w.WriteString("</ErrorResponse>")
	return w.Bytes()
}

// DecodeError reads an error response: the code, the message and the status.
func DecodeError(m *Model, r *Response) *fault.Fault {
	if m.Protocol == ProtocolQuery {
		return decodeErrorXML(r)
	}
	var body struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // in any case
	}
	_ = json.Unmarshal(r.Body, &body) // a body that is no JSON has no code in it
	code := body.Type
	if code == "" {
		code = body.Code
	}
	if h := r.Header.Get("X-Amzn-Errortype"); h != "" {
		code, _, _ = strings.Cut(h, ":")
	}
	code = code[strings.LastIndexByte(code, '#')+1:]
	return unknownError(code, body.Message, r)
}

func unknownError(code, message string, r *Response) *fault.Fault {
	if code == "" {
		code, message = "UnknownError", http.StatusText(r.Status)
	}
	return fault.New(r.Status, code, "%s", message)
}

func decodeErrorXML(r *Response) *fault.Fault {
	var body struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	_ = xml.Unmarshal(r.Body, &body) // a body that is no XML has no code in it
	return unknownError(body.Code, body.Message, r)
}
