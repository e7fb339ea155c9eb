// Package gateway is the hub's side of the node plane: the operations that no
// model has and that agents call (registration, role tokens, health, message
// polling), and the control channels over WebSocket.
//
// A control channel carries the mailbox of one node: jobs go out, answers and
// reports come back and are handed to package command. A node is who its key
// or its credentials say, and speaks for itself only; a report about another
// node's command is refused and recorded. One channel is live for each node:
// the newest wins, here and across hubs, and the old one is told and closed.
//
// Nothing a node waits for is lost with a channel: what was not acknowledged
// stays in the mailbox, and a reply is acknowledged after it is durable.
package gateway
