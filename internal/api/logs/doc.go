// Package logs is the part of the contract of Amazon CloudWatch Logs that the hub serves: types,
// enumerations, errors and the schema, generated from the pinned model facts. Nothing
// here has behaviour.
package logs
