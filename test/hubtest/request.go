package hubtest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// Request is a request of the test's own making. The signature covers Signed where
// that is set, and Body otherwise.
type Request struct {
	shape.Request

	Credentials sigv4.Credentials // none: unsigned
	Service     string            // of the credential scope
	Region      string            // of the credential scope; "" for Region
	Skew        time.Duration     // of the clock that signs
	Chunked     bool              // no Content-Length
	Sent        func()            // called once the request is on its way, on a connection of its own
}

// Answer is the answer to a request.
type Answer struct {
	Status    int
	RequestID string
	Code      string // of the error, "" when it went well
	Body      string
}

// Encode makes the request of an operation.
func Encode(t testing.TB, m *shape.Model, op *shape.Operation, in any) Request {
	t.Helper()
	r, err := shape.EncodeInput(m, op, in)
	if err != nil {
		t.Fatalf("%s: %v", op.Name, err)
	}
	return Request{Request: *r, Service: m.SigningName}
}

// JSON is a request of a JSON service with any body.
func JSON(target, body string) Request {
	service := "ssm"
	if strings.HasPrefix(target, "SSMContacts.") {
		service = "ssm-contacts"
	}
	return Request{Service: service, Credentials: Admin, Request: shape.Request{
		Method: http.MethodPost, Path: "/", Body: []byte(body),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}},
	}}
}

// Send sends the request.
func (h *Hub) Send(t testing.TB, q Request) Answer {
	t.Helper()
	url := h.URL + q.Path
	if len(q.Query) > 0 {
		url += "?" + strings.ReplaceAll(q.Query.Encode(), "+", "%20")
	}
	ctx := t.Context()
	if q.Sent != nil {
		h.http.CloseIdleConnections()
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { q.Sent() }})
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, url, bytes.NewReader(q.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = q.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if q.Credentials.AccessKeyID != "" {
		region := q.Region
		if region == "" {
			region = Region
		}
		if err := sigv4.Sign(r, q.Body, q.Credentials, q.Service, region, time.Now().Add(q.Skew)); err != nil {
			t.Fatal(err)
		}
	}
	if q.Chunked {
		r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader(q.Body))
	}
	res, err := h.http.Do(r)
	if err != nil {
		t.Error(err)
		return Answer{Code: "(no answer)"}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	a := Answer{Status: res.StatusCode, RequestID: res.Header.Get("X-Amzn-Requestid"), Body: string(body)}
	if a.Status/100 != 2 {
		a.Code = code(res.Header, body)
	}
	return a
}

// code finds the error code in each of the forms of the protocols.
func code(h http.Header, body []byte) string {
	if c := h.Get("X-Amzn-Errortype"); c != "" {
		c, _, _ = strings.Cut(c, ":")
		return c
	}
	var j struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(body, &j) == nil && j.Type != "" {
		return j.Type[strings.LastIndex(j.Type, "#")+1:]
	}
	var x struct {
		XMLName xml.Name
		Code    string `xml:"Error>Code"`
	}
	if xml.Unmarshal(body, &x) == nil && x.Code != "" {
		return x.Code
	}
	if x.XMLName.Local != "" { // the channels of nodes
		return x.XMLName.Local
	}
	return "(no code)"
}
