// Package node holds the managed nodes: the activations that let machines in,
// their registration and keys, what they say about themselves, and whether
// they are there.
//
// A node is known by its RSA key alone. The hub keeps the public half, hands
// out credentials of at most an hour that are bound to the node's id, and never
// uses an id twice: a deregistered node leaves its row behind. Activation codes
// are kept as hashes; the limit of an activation is exact under races, and a
// registration that is repeated with the same key is the same node.
//
// A node is Online while its control channel is open. The row names the
// connection, so a channel that ends after a newer one has begun changes
// nothing, and a channel whose hub died is found by its last ping.
//
// Facts: activation.created, activation.deleted, node.registered, node.updated,
// node.key.rotated, node.online, node.offline, node.channel.replaced,
// node.deregistered. Subject is the id of the activation or node.
//
// Tasks: node.presence looks for connections that nobody holds any more;
// node.revoke ends the credentials of a deregistered node.
package node
