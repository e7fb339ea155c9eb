// Package session is Session Manager: who may have a session with a node, on
// what document, how long, and how it ended. The bytes of a session go through
// the gateway, which asks this package for everything that must outlive it:
// tokens, states, activity, endings and the chunks of a recording.
//
// A token is 256 bits, good once, for one session and one side of it, and kept
// as a hash. A session is found by its id alone, which no two share; the calls
// of the gateway work in the session's own account and region. An ended session
// never comes back: what arrives later is refused and answered with the ending.
// Ending is a row first; the hubs that hold sockets hear of it by Topic, and the
// node by its mailbox, so that a shell does not outlive its session even when
// the data channel is down.
//
// Facts (subject: the session's id; related: the node): session.started,
// session.connected, session.resumed, session.invited, session.joined,
// session.left, session.terminating, session.ended, session.recorded.
//
// Tasks, by session id: session.silence (the node never came, or went away),
// session.idle, session.longest (the maximum duration), session.close (the node
// did not confirm an ending), session.purge; and session.sweep, which notices
// that the hub that held the sockets is gone. Subscription session.locks ends the
// sessions that a lock names.
package session
