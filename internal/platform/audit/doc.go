// Package audit leaves a fact for every call, and makes a repeated call harmless.
//
// Calls that change something leave their fact "api.called" in the transaction of
// the change itself; so do denials and reads of secrets, in a transaction of their
// own, before the answer is sent. Plain reads and refused inputs are gathered and
// recorded together, within a second, as "api.called.batch". A secret whose reading
// cannot be recorded is not given out. Refusals of unknown callers are recorded up
// to a number a second, and counted beyond it ("api.refused.many").
//
// A call that is repeated carries the client token, or the SDK's invocation id, of
// the first. It is kept in the transaction of the change, then with the answer: the
// repetition gets that answer and changes nothing. When the hub died between the
// two, operations that recognize their own repetition run again; the others answer
// a conflict that says so.
package audit
