// Package fault holds the errors that belong to the protocol and to no model:
// a request that cannot be read, is not signed, is not allowed, or names an
// operation that is not there. A fault has the methods of the generated errors,
// so that the wire renders both in one way.
//
// An error without a code never reaches a caller as it is: see Of.
package fault
