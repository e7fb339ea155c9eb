// Package sessiontest is a client of sessions for tests. It speaks the
// protocol of the stock session-manager-plugin on a WebSocket that its user
// opened, and may lose that and go on with another one.
package sessiontest
