// Package release is the form of a signed release of the node program: a
// manifest that names a file for each platform by its SHA-256, and Ed25519
// signatures over it. Whoever makes releases signs; the hub only hands the
// bytes on; a node takes a release only when a key that it trusts has signed
// it. A manifest may name the keys that nodes trust from then on, so that one
// key replaces another.
package release
