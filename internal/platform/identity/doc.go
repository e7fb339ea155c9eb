// Package identity knows who calls: users and roles from DIR/identity.yaml,
// access keys, temporary credentials, and the identity of nodes. It checks the
// signature of a request and puts the Caller, whom authz and the journal then
// name, into its context.
//
// What a caller may do is package authz's; identity only hands over the compiled
// policies. Invariants: a secret is sealed wherever it is stored; temporary
// credentials never carry more than their source; a session ends with its
// principal; a bad identity file changes nothing.
package identity
