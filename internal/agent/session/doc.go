// Package session is the node's end of sessions: terminals, commands with and
// without a terminal, and connections to ports, over the data channel of the
// stock protocol.
//
// A session lives apart from the node's control channel and from its own data
// channel: both may break and come back while the program at its end runs on.
// What it keeps is bounded, and a reader at the other end that is slow stops
// the program's output, not the node. A session starts at most once: the node
// remembers on the disk what it has started until the hub knows how it ended.
//
// Who may open a session, how long it may last and what is recorded is the
// hub's to decide. The node decides as whom it runs, what ports are never
// connected to, and ends what it started: the processes of a session are
// killed with it, and those that escaped are named.
package session
