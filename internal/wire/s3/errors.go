package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Error is an error of S3.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Error is the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrorCode is the code on the wire.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage is the text for the caller.
func (e *Error) ErrorMessage() string { return e.Message }

// HTTPStatus is the status of the response.
func (e *Error) HTTPStatus() int { return e.Status }

// BadRequest is an error with status 400.
func BadRequest(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is an error with status 404.
func NotFound(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusNotFound, Code: code, Message: fmt.Sprintf(format, args...)}
}

// AccessDenied is an error with status 403.
func AccessDenied(format string, args ...any) *Error {
	return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: fmt.Sprintf(format, args...)}
}

// codes are the names that S3 has for the errors of the protocol.
var codes = map[string]*Error{
	"MissingAuthenticationToken":          {http.StatusForbidden, "AccessDenied", ""},
	"MissingAuthenticationTokenException": {http.StatusForbidden, "AccessDenied", ""},
	"AccessDeniedException":               {http.StatusForbidden, "AccessDenied", ""},
	"ExpiredToken":                        {http.StatusBadRequest, "ExpiredToken", ""},
	"IncompleteSignatureException":        {http.StatusBadRequest, "AuthorizationHeaderMalformed", ""},
	"IncompleteSignature":                 {http.StatusBadRequest, "AuthorizationHeaderMalformed", ""},
	"InternalServerError":                 {http.StatusInternalServerError, "InternalError", ""},
	"ServiceUnavailableException":         {http.StatusServiceUnavailable, "ServiceUnavailable", ""},
	"ThrottlingException":                 {http.StatusServiceUnavailable, "SlowDown", ""},
}

// ErrorOf is what the caller may see of an error. One without a code is an
// InternalError; its text stays here.
func ErrorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	c := fault.Of(err)
	out := &Error{Status: c.HTTPStatus(), Code: c.ErrorCode(), Message: c.ErrorMessage()}
	if known := codes[out.Code]; known != nil {
		out.Status, out.Code = known.Status, known.Code
	}
	if strings.HasPrefix(out.Message, "Signature expired") || strings.HasPrefix(out.Message, "Signature not yet") {
		out.Status, out.Code = http.StatusForbidden, "RequestTimeTooSkewed"
	}
	return out
}

// Write answers with the error. HEAD has no body.
func (e *Error) Write(w http.ResponseWriter, r *http.Request, requestID string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.Status)
	if r.Method == http.MethodHead || e.Status == http.StatusNotModified {
		return
	}
	_ = WriteXML(w, struct {
		XMLName                            xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId string
	}{Code: e.Code, Message: e.Message, Resource: r.URL.Path, RequestId: requestID})
}
