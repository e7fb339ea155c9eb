// Package wiretest serves bindings over real HTTP for tests of capabilities:
// decoding, validation, faults and rendering are those of the server, only the
// signature is replaced by a fixed identity.
package wiretest
