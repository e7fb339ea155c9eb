// Package plane is the protocol of our own data plane: streams of frames between
// a client and a node, through a hub that sees all of them.
//
// A session has two links, client to hub and hub to node, each a WebSocket whose
// messages are frames of at most 64 KiB. On them run streams that the client
// opens (a shell, a command, a connection, a file). The frames of a stream are
// numbered in each direction, and the end that reads them acknowledges what it
// has consumed and says how much may be under way: one rule for flow control and
// for what is kept to be sent again. Numbers run from end to end, so the hub
// keeps nothing that matters: when a link or the hub is lost, the client tells
// the node what it has, the node answers, and both go on from there. A frame out
// of order is dropped, for it will come again.
//
// Endpoint is either end, Link is a connection, and the hub's part is in package
// gateway/plane. docs/data-plane.md has the picture and the layout of a frame.
package plane
