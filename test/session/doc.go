// Package session plays sessions on a whole hub with our own node program, by
// a client that speaks the protocol of the stock plugin.
package session
