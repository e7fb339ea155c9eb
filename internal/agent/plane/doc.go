// Package plane serves a session of our own data plane at the node: shells,
// commands, connections and files, each a stream that the client opens and the
// hub has allowed.
//
// What a shell or a command runs comes from the session's document, never from
// the client's stream. Files are opened as the user that the session runs as. A
// stream that is given up ends what it started: process groups are hung up and
// then killed.
package plane
