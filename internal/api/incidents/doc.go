// Package incidents is the contract of AWS Systems Manager Incident Manager: types, enumerations, errors and
// the schema, generated from the pinned model facts. Nothing here has behaviour.
package incidents
