// Package command runs documents on nodes: SendCommand and the operations that
// show and cancel what it started.
//
// A command has one invocation for each node. An invocation becomes a job in
// the node's mailbox under an id made from command and node, so the node can
// tell a second copy: a command is never started twice on a node. What a node
// reports comes at least once and in any order; finished steps and invocations
// never move back. A node speaks about its own invocations only. Every
// invocation ends, by the node's report or by its timeouts.
//
// Facts: command.sent, command.delivered, command.cancel.requested,
// command.invocation.finished, command.finished (subject: the command's id;
// related: nodes), command.notified, command.notification.failed,
// command.output.kept, command.output.lost; command.report.refused (subject: the
// node's id).
//
// Tasks, by command id: command.delivery (the delivery timeout), command.end
// (delivery and execution timeout together), command.purge (30 days after the
// end); command.notify (one notification), command.upload (one invocation's
// output to a bucket or log group). Subscription command.nodes ends what deregistered nodes had to do.
package command
