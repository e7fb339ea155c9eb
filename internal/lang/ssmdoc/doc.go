// Package ssmdoc reads Systems Manager documents: it parses JSON, YAML and
// TEXT content strictly and keeps line numbers, checks a document against the
// rules of its type, binds the parameters given at run time, and replaces
// {{ references }} in one pass. It knows nothing of storage, of callers or of
// what an action does when it runs; those are the document, command,
// automation and session capabilities.
//
// Invariants: nothing here does I/O; a value inserted for a reference is never
// itself expanded; every error about content names the line, and the step when
// there is one.
package ssmdoc
