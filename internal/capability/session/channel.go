package session

import (
	"context"
	"errors"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// Role is what the one at a client's end of a session may do.
type Role string

// The roles.
const (
	Owner        Role = "Owner"
	ReadOnly     Role = "ReadOnly"     // sees the output
	SecondPerson Role = "SecondPerson" // sees the output; the owner's input flows while one is there
)

// Client is who opened a client's end.
type Client struct {
	Role     Role
	PersonID string // of one who joined; "" for the owner
	ARN      string
}

// NodeToken makes the token with which the node of ctx opens its end. Error:
// ErrEnded, also for a session of another node.
func (s *Service) NodeToken(ctx context.Context, id string) (string, error) {
	token := newToken()
	nodeID := identity.From(ctx).NodeID()
	ended := false
	err := s.change(ctx, id, func(tx *db.Tx, r *row) error {
		if nodeID == "" || r.Node != nodeID {
			return ErrEnded
		}
		var err error
		if ended, err = s.over(tx, r); err != nil || ended {
			return err
		}
		return putToken(tx, id, nodeSide, "", token)
	})
	switch {
	case err != nil:
		return "", err
	case ended:
		return "", ErrEnded
	}
	return token, nil
}

// AttachNode takes the token of the node's end, whose socket is open from now on.
// Errors: ErrToken, ErrEnded.
func (s *Service) AttachNode(ctx context.Context, id, token string) (*Session, error) {
	return s.attach(ctx, id, func(tx *db.Tx, r *row) error {
		if _, err := useToken(tx, r, nodeSide, token); err != nil {
			return err
		}
		if closing(r.Status) || s.isLocked(r) {
			return ErrEnded
		}
		if err := s.Mailbox.Remove(tx, r.Node, r.ID); err != nil { // a sign of life
			return err
		}
		r.NodeAt = tx.Now
		return s.move(tx, r, nodeCame)
	})
}

// AttachClient takes the token of a client's end. A socket that the same client
// had before is replaced. Errors: ErrToken; ErrEnded when the session ended, for
// which Closing has the text for the client.
func (s *Service) AttachClient(ctx context.Context, id, token string) (*Session, Client, error) {
	c, over := Client{Role: Owner}, false
	out, err := s.attach(ctx, id, func(tx *db.Tx, r *row) error {
		person, err := useToken(tx, r, clientSide, token)
		if err != nil {
			return err
		}
		c = Client{Role: Owner, ARN: r.Owner}
		if over, err = s.over(tx, r); err != nil || over {
			return err // it is told after the token is spent
		}
		if person != "" {
			c, err = s.joined(tx, r, person)
			return err
		}
		r.ClientAt, r.Active = tx.Now, tx.Now
		return s.move(tx, r, clientCame)
	})
	if err == nil && (over || closing(out.State)) {
		err = ErrEnded
	}
	return out, c, err
}

// attach runs f on a session and answers it as it is then.
func (s *Service) attach(ctx context.Context, id string, f func(tx *db.Tx, r *row) error) (*Session, error) {
	var r *row
	err := s.change(ctx, id, func(tx *db.Tx, found *row) error {
		r = found
		return f(tx, found)
	})
	if err != nil {
		return nil, err
	}
	return s.public(ctx, r)
}

// move brings the session on by the coming or going of a socket. The caller has
// set NodeAt or ClientAt.
func (s *Service) move(tx *db.Tx, r *row, e event) error {
	before := r.state()
	before.Status = r.Status
	r.Status = next(before, e).Status
	if err := s.watchEnd(tx, r, e); err != nil {
		return err
	}
	if r.Status != ssm.SessionStatusConnected || !r.Connected.IsZero() {
		return nil
	}
	r.Connected = tx.Now
	return s.record(tx, "session.connected", r, nil)
}

// watchEnd sets the timer of an end that left, and takes away that of one that came.
func (s *Service) watchEnd(tx *db.Tx, r *row, e event) (err error) {
	switch e {
	case nodeLeft:
		err = s.Tasks.Enqueue(tx, task.Spec{Kind: silenceTask, Key: r.ID, Due: tx.Now.Add(nodeAway)})
	case clientLeft:
		err = s.Tasks.Enqueue(tx, task.Spec{Kind: absenceTask, Key: r.ID, Due: tx.Now.Add(clientAway)})
	case nodeCame:
		_, err = s.Tasks.Cancel(tx, silenceTask, r.ID)
		err = errors.Join(err, s.putPlace(tx, r.ID, nodeSide))
	case clientCame:
		_, err = s.Tasks.Cancel(tx, absenceTask, r.ID)
		err = errors.Join(err, s.putPlace(tx, r.ID, clientSide))
	}
	return err
}

// NodeLeft says that the node's socket is over and no newer one took its place
// on this hub.
func (s *Service) NodeLeft(ctx context.Context, id string) error {
	return s.left(ctx, id, func(tx *db.Tx, r *row) error {
		if away, err := s.elsewhere(tx, r.ID, nodeSide); err != nil || away {
			return err
		}
		r.NodeAt = zeroTime
		return s.move(tx, r, nodeLeft)
	})
}

// ClientLeft says that a client's socket is over and no newer one took its place
// on this hub.
func (s *Service) ClientLeft(ctx context.Context, id string, c Client) error {
	return s.left(ctx, id, func(tx *db.Tx, r *row) error {
		if c.PersonID != "" {
			return s.personLeft(tx, r, c.PersonID)
		}
		if away, err := s.elsewhere(tx, r.ID, clientSide); err != nil || away {
			return err
		}
		r.ClientAt = zeroTime
		return s.move(tx, r, clientLeft)
	})
}

func (s *Service) left(ctx context.Context, id string, f func(tx *db.Tx, r *row) error) error {
	err := s.change(ctx, id, func(tx *db.Tx, r *row) error {
		if final(r.Status) {
			r.NodeAt, r.ClientAt = zeroTime, zeroTime
			return nil
		}
		return f(tx, r)
	})
	return gone(err)
}

// NodeState keeps what the node says of its end in agent_session_state. Connected
// is a sign of life; Terminating is followed by Completed.
func (s *Service) NodeState(ctx context.Context, id, state string) error {
	if state != "Terminating" {
		return nil
	}
	return gone(s.change(ctx, id, func(tx *db.Tx, r *row) error {
		if closing(r.Status) {
			return nil
		}
		r.Cause = NodeEnded
		return s.ending(tx, r, stop)
	}))
}
