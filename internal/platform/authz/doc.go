// Package authz decides whether a caller may run an operation. It is the one
// choke point: the wire asks Authorize for every call before the method runs,
// from a table that has a row for every operation; operations whose resources
// are only known from state (marked late) ask Require for each one found.
//
// Invariants: no row, no caller or no policy means no; every resource of an
// operation must be allowed, those that a role is passed for too; a Deny
// anywhere wins; a node may act for itself only.
//
// table.tsv holds the facts (action, resources, condition keys, passed roles,
// idempotency, node access), table.gen.go is made from it by tools/authzgen.
// Its sources are the service authorization reference of AWS and the API models.
package authz
