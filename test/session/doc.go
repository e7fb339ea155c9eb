// Package session drives the stock session-manager-plugin against a hub and our
// own node, each in a process of its own where it matters: the plugin as the aws
// CLI starts it, on a terminal, with connections that can be cut.
//
// The plugin is built by `make .tools/session-manager-plugin`; without it the tests
// are skipped.
package session
