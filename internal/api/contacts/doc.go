// Package contacts is the contract of Incident Manager contacts: types, enumerations, errors and
// the schema, generated from the pinned model facts. Nothing here has behaviour.
package contacts
