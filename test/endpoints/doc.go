// Package endpoints tests the other services of AWS that a hub serves, through its
// port: with the Go SDK, and with requests that no SDK would send.
package endpoints
