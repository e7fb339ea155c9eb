// Package shape holds the schema of a service: its shapes, operations, bindings
// and constraints, as tables that the generated packages under internal/api fill
// in. The codec, the validator and the redaction of this package read those
// tables, so that each rule of the protocol is written once.
//
// It knows no service and no transport: package wire maps HTTP onto it.
package shape
