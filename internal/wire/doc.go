// Package wire is the server side of the AWS protocols: it finds the operation
// a request names, checks the signature, decodes and validates the input, calls
// the bound method and renders the output or the fault. It knows no capability
// and no storage: identity, authorization, audit and idempotency are hooks that
// the composition root fills in.
package wire
