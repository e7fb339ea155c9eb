// Package tagging keeps the tags of every resource and finds resources by them.
// It knows no capability: each one registers the kinds it owns with a check that
// the resource exists, sets the tags given at creation and drops them at
// deletion.
//
// A kind is an AWS ResourceType (Parameter, Document, ManagedInstance, ...) in the
// transaction's account and region. Kinds that begin with "arn:" are those of the
// services without a region (incidents, contacts): their tags have region "".
package tagging
