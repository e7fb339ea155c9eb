// Package watchbill is the contract of what Watchbill adds to the services of AWS: types,
// enumerations, errors and the schema, generated from our own model. Its operations are
// called like those of Systems Manager: awsJson1.1, X-Amz-Target Watchbill.<Operation>, signed
// for the service watchbill. Nothing here has behaviour.
package watchbill
