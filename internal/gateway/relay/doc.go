// Package relay joins the two data channels of a session: the node's and the
// client's. Both ends run an acknowledge-and-repeat protocol with each other
// through the hub; what the hub must add to it is in Machine, which has no
// sockets and no clock of its own:
//
//   - it remembers what was acknowledged and answers repetitions itself. Stock
//     ends put a message into their buffer after they wrote it, so a fast
//     acknowledgement finds nothing to remove and the message is repeated for
//     the rest of the session;
//   - it holds what follows the end of a handshake for a moment, in which the
//     stock client would break;
//   - it keeps a bounded copy of what is not acknowledged and sends it again
//     when a side is back on a new socket, and tells the node to pause while
//     there is no client;
//   - it says what is delivered for the first time, in order: that is what is
//     recorded, shown to viewers and counted as activity;
//   - it holds input while a second person is needed and not there.
//
// Room runs a machine over sockets, with back-pressure instead of memory: a
// side is not read while the other does not take what it has sent.
package relay
