// Package kms is the part of the contract of AWS Key Management Service that the hub serves: types,
// enumerations, errors and the schema, generated from the pinned model facts. Nothing
// here has behaviour.
package kms
