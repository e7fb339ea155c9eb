package fault

import "net/http"

const (
	bad       = http.StatusBadRequest
	forbidden = http.StatusForbidden
)

// Source of codes and statuses: "Common error types" of the AWS API references
// of the four services, and the answers of the services to broken requests.

// Validation is ValidationException (400): the input breaks a rule.
func Validation(format string, args ...any) *Fault {
	return New(bad, "ValidationException", format, args...)
}

// NotFound is a 400 with the given code, for a thing that is not there and has
// no error of its own in the model.
func NotFound(code, format string, args ...any) *Fault {
	return New(bad, code, format, args...)
}

// AccessDenied is AccessDeniedException (400, as ssm answers; the REST services
// answer 403, which the wire takes from their model).
func AccessDenied(format string, args ...any) *Fault {
	return New(bad, "AccessDeniedException", format, args...)
}

// Throttling is ThrottlingException (400): SDKs back off and retry.
func Throttling(format string, args ...any) *Fault {
	return New(bad, "ThrottlingException", format, args...)
}

// Unavailable is ServiceUnavailable (503): SDKs retry.
func Unavailable(format string, args ...any) *Fault {
	return New(http.StatusServiceUnavailable, "ServiceUnavailable", format, args...)
}

// UnrecognizedClient is UnrecognizedClientException (400): the key is unknown
// or its token is not valid.
func UnrecognizedClient() *Fault {
	return New(bad, "UnrecognizedClientException", "The security token included in the request is invalid.")
}

// InvalidSignature is InvalidSignatureException (400): the signature, its
// scope or its time is wrong.
func InvalidSignature(format string, args ...any) *Fault {
	return New(bad, "InvalidSignatureException", format, args...)
}

// IncompleteSignature is IncompleteSignatureException (400): the Authorization
// header lacks a part.
func IncompleteSignature(format string, args ...any) *Fault {
	return New(bad, "IncompleteSignatureException", format, args...)
}

// MissingAuthToken is MissingAuthenticationTokenException (400): the request is
// not signed.
func MissingAuthToken() *Fault {
	return New(bad, "MissingAuthenticationTokenException", "Missing Authentication Token")
}

// RequestExpired is RequestExpired (400): the time of a presigned request is
// over.
func RequestExpired(format string, args ...any) *Fault {
	return New(bad, "RequestExpired", format, args...)
}

// ExpiredToken is ExpiredTokenException (400): the session of temporary
// credentials is over.
func ExpiredToken() *Fault {
	return New(bad, "ExpiredTokenException", "The security token included in the request is expired")
}

// OptInRequired is OptInRequired (403): the region is not served.
func OptInRequired(format string, args ...any) *Fault {
	return New(forbidden, "OptInRequired", format, args...)
}

// Serialization is SerializationException (400): the body cannot be read as
// the input of the operation.
func Serialization(format string, args ...any) *Fault {
	return New(bad, "SerializationException", format, args...)
}

// UnknownOperation is UnknownOperationException (400; 404 for REST paths is
// set by the wire).
func UnknownOperation(format string, args ...any) *Fault {
	return New(bad, "UnknownOperationException", format, args...)
}

// NotImplemented is NotImplemented (400): the operation is in the model of
// the service and has no implementation here. 501 would make SDKs retry.
func NotImplemented(service, operation string) *Fault {
	return New(bad, "NotImplemented", "%s:%s is not implemented by this server yet", service, operation)
}

// TooLarge is RequestEntityTooLargeException (413): the body is over limit
// bytes.
func TooLarge(limit int64) *Fault {
	return New(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "the request body is larger than %d bytes", limit)
}

// MethodNotAllowed is MethodNotAllowed (405).
func MethodNotAllowed(method string) *Fault {
	return New(http.StatusMethodNotAllowed, "MethodNotAllowed", "the method %s is not allowed here", method)
}

// UnsupportedMediaType is UnsupportedMediaTypeException (415): an encoding
// that the wire refuses.
func UnsupportedMediaType(format string, args ...any) *Fault {
	return New(http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException", format, args...)
}
