package ssmdoc

import "fmt"

// Error says what is wrong with a document's content and where.
type Error struct {
	Line    int    // from 1, 0 when unknown
	Step    string // name of the step, "" outside the steps
	Path    string // "mainSteps[2].inputs.Service", "" at the root
	Message string
}

func (e *Error) Error() string {
	s := e.Message
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Step != "" {
		s = fmt.Sprintf("step %q: %s", e.Step, s)
	}
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: %s", e.Line, s)
	}
	return s
}

// Fault is the way in which a given parameter is wrong.
type Fault int

// The faults of a ParameterError.
const (
	Unknown Fault = iota + 1 // not declared by the document
	Missing                  // required, not given
	Invalid                  // breaks a constraint
)

// ParameterError says which parameter given at run time is wrong. Its message
// never holds the value that was given.
type ParameterError struct {
	Name    string
	Fault   Fault
	Message string
}

func (e *ParameterError) Error() string { return e.Message }
