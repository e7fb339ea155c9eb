// Package sts is the contract of AWS Security Token Service: types, enumerations, errors and
// the schema, generated from the pinned model facts. Nothing here has behaviour.
package sts
