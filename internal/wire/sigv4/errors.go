package sigv4

import (
	"fmt"
	"net/http"
	"strings"
)

// Error is a refused signature, in the form that a client of the service
// understands: its code, text and HTTP status.
type Error struct {
	Code    string
	Message string
	Status  int
}

// Error is the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrorCode is the code on the wire.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage is the text for the caller.
func (e *Error) ErrorMessage() string { return e.Message }

// HTTPStatus is the status of the response.
func (e *Error) HTTPStatus() int { return e.Status }

// Family is how the errors of a service are named: query services use other
// codes than the JSON ones, and awsJson answers 400 where the others answer 403.
type Family int

// The families of error codes.
const (
	JSON Family = iota
	REST
	Query
)

// FamilyOf is the family of a signing name; an unknown one counts as JSON.
func FamilyOf(service string) Family {
	switch service {
	case "sts", "iam", "s3":
		return Query
	case "ssm-incidents", "execute-api", "ssmmessages":
		return REST
	}
	return JSON
}

// Incomplete is the error of an authorization that cannot be read.
func Incomplete(f Family, format string, args ...any) *Error {
	code := "IncompleteSignatureException"
	if f == Query {
		code = "IncompleteSignature"
	}
	return &Error{code, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

// Missing is the error of a request without any authorization.
func Missing(f Family) *Error {
	return f.fault("MissingAuthenticationToken", "MissingAuthenticationTokenException", "Missing Authentication Token")
}

// Mismatch is the one error of an unknown key, a wrong secret and an altered request.
func Mismatch(f Family) *Error {
	return f.invalid("the signature does not match the request, or the access key is not known here")
}

// BadScope is the error of a credential scope that this endpoint does not serve.
func BadScope(f Family, format string, args ...any) *Error {
	return f.invalid(fmt.Sprintf(format, args...))
}

// Expired is the error of credentials past their end.
func Expired(f Family) *Error {
	return f.fault("ExpiredToken", "ExpiredTokenException", "The security token included in the request is expired")
}

func (f Family) invalid(text string) *Error {
	return f.fault("SignatureDoesNotMatch", "InvalidSignatureException", text)
}

func (f Family) fault(query, json, text string) *Error {
	e := &Error{Code: json, Message: text, Status: http.StatusForbidden}
	switch f {
	case Query:
		e.Code = query
	case JSON:
		e.Status = http.StatusBadRequest
	}
	return e
}

// FamilyOfRequest guesses from an unread request, for errors before the service is
// known, or when it is none of ours.
func FamilyOfRequest(r *http.Request) Family {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return Query
	}
	if r.Header.Get("X-Amz-Target") != "" {
		return JSON
	}
	return REST
}
