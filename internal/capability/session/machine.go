package session

import "github.com/watchbill/watchbill/internal/api/ssm"

// state is how a session stands: its status, and which ends have a socket.
type state struct {
	Status ssm.SessionStatus
	Node   bool
	Client bool
}

// event is what happens to a session.
type event int

// The events. Those of the ends come at least once and in any order.
const (
	nodeCame   event = iota + 1 // the node's data channel is open
	nodeLeft                    // the node's data channel is over, the session is not
	clientCame                  //
	clientLeft                  //
	nodeEnded                   // the node says that the session is over
	nodeFailed                  // the node says that it failed
	stop                        // the hub ends the session
	silent                      // the node never opened its data channel
	closeOver                   // the node did not confirm the end in time
)

// final says that nothing changes any more.
func final(s ssm.SessionStatus) bool {
	return s == ssm.SessionStatusTerminated || s == ssm.SessionStatusFailed
}

// closing says that the session is over for its client.
func closing(s ssm.SessionStatus) bool { return final(s) || s == ssm.SessionStatusTerminating }

// next is the state after an event. A final one never changes, and an ending
// session only ends.
func next(s state, e event) state {
	if final(s.Status) {
		return s
	}
	switch e {
	case nodeEnded:
		return state{Status: ssm.SessionStatusTerminated}
	case nodeFailed:
		return state{Status: failure(s.Status)}
	case silent:
		if s.Status == ssm.SessionStatusConnecting {
			return state{Status: ssm.SessionStatusFailed}
		}
		e = stop
	case closeOver:
		if s.Status == ssm.SessionStatusTerminating {
			return state{Status: ssm.SessionStatusTerminated}
		}
		return s
	}
	if s.Status == ssm.SessionStatusTerminating {
		return s
	}
	if e == stop {
		return state{Status: ssm.SessionStatusTerminating}
	}
	return socket(s, e)
}

// failure is Failed for a session that never was, Terminated for one that ran.
func failure(s ssm.SessionStatus) ssm.SessionStatus {
	if s == ssm.SessionStatusConnecting {
		return ssm.SessionStatusFailed
	}
	return ssm.SessionStatusTerminated
}

// socket is the state after a socket came or went.
func socket(s state, e event) state {
	switch e {
	case nodeCame:
		s.Node = true
	case nodeLeft:
		s.Node = false
	case clientCame:
		s.Client = true
	case clientLeft:
		s.Client = false
	}
	switch {
	case s.Node && s.Client:
		s.Status = ssm.SessionStatusConnected
	case s.Status == ssm.SessionStatusConnected:
		s.Status = ssm.SessionStatusDisconnected
	}
	return s
}
