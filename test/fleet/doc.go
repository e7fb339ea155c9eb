// Package fleet plays many nodes in one process, for measurements: each registers with a
// key, takes role credentials, keeps a control channel open over TLS and answers each
// command at once, as our node program does. It runs nothing.
package fleet
