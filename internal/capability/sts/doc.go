// Package sts gives out temporary credentials: GetCallerIdentity, AssumeRole and
// GetSessionToken. Whom a role lets in is its trust policy's word and the
// caller's own policies' together, as on AWS; what a session carries is package
// identity's.
//
// Facts: role.assumed, session.created. Sessions have no rows.
package sts
