// Package command runs documents on nodes: SendCommand and the operations that
// show and cancel what it started.
//
// A command has one invocation for each node. An invocation becomes a job in
// the node's mailbox under an id made from command and node, so the node can
// tell a second copy: a command is never started twice on a node. What a node
// reports comes at least once and in any order; finished steps and invocations
// never move back. Every invocation ends, by the node's report or by its
// timeouts, which are durable tasks.
package command
