package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Coded is an error that may be shown to the caller: the generated errors of
// the models and Fault.
type Coded interface {
	error
	ErrorCode() string
	ErrorMessage() string
	HTTPStatus() int
}

// Fault is an error of the protocol.
type Fault struct {
	Code    string
	Message string
	Status  int   // HTTP status
	Cause   error // for the log only, never on the wire
}

// Error is the code and the message.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }

// ErrorCode is the code on the wire.
func (f *Fault) ErrorCode() string { return f.Code }

// ErrorMessage is the text for the caller.
func (f *Fault) ErrorMessage() string { return f.Message }

// HTTPStatus is the status of the response.
func (f *Fault) HTTPStatus() int { return f.Status }

// Unwrap is the cause, which only the log sees.
func (f *Fault) Unwrap() error { return f.Cause }

// New makes a fault with a code of the caller's choice.
func New(status int, code, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: text(format, args), Status: status}
}

func text(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// Of finds the coded error in err: what the caller may see. Any other error is
// an InternalServerError with its text hidden and kept as the cause.
func Of(err error) Coded {
	if err == nil {
		return nil
	}
	if c, ok := errors.AsType[Coded](err); ok {
		return c
	}
	return Internal(err)
}

// Internal hides err behind InternalServerError (500).
func Internal(cause error) *Fault {
	return &Fault{
		Code: "InternalServerError", Message: "An internal error occurred.",
		Status: http.StatusInternalServerError, Cause: cause,
	}
}
