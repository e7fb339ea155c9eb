package session

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	silenceTask = "session.silence"
	absenceTask = "session.absence"
	idleTask    = "session.idle"
	longestTask = "session.longest"
	closeTask   = "session.close"
	purgeTask   = "session.purge"
	sweepTask   = "session.sweep"
)

// PulseEvery is how often whoever holds sockets of sessions says so with Active.
const PulseEvery = 5 * time.Second

const (
	slack    = PulseEvery + time.Second // activity is known so late
	nodeAway = 30 * time.Second         // from the loss of the node's socket to the end

	// Assumption: AWS says nothing of either; the stock plugin tries to resume for a few seconds.
	clientWait = 2 * time.Minute      // for the owner's client to come; its token is good for less
	clientAway = 5 * time.Minute      // from the loss of the owner's socket to the end
	lostHub    = 4 * PulseEvery       // without a pulse the hub that held the sockets is gone
	keepFor    = 365 * 24 * time.Hour // ended sessions and their recordings
)

// Pulse is what the holder of a session's sockets says of it.
type Pulse struct {
	ID      string
	Node    bool      // the node's socket is open here
	Client  bool      // the owner's socket is open here
	Last    time.Time // of real input or output; retransmissions, acks and mux keep-alives are none
	In, Out int64     // bytes of input and output since the session began; 0: not known
}

// Active keeps that sessions go on. The holder calls it every PulseEvery, and once
// more when it closes a session's sockets.
func (s *Service) Active(ctx context.Context, pulses []Pulse) error {
	var all error
	for _, p := range pulses {
		err := s.DB.UpdateLoosely(ctx, func(tx *db.Tx) error {
			return inScope(tx, p.ID, func(tx *db.Tx, r *row) error { r.beat(p, tx.Now); return nil })
		})
		all = errors.Join(all, gone(err))
	}
	return all
}

func (r *row) beat(p Pulse, now time.Time) {
	r.In, r.Out = max(r.In, p.In), max(r.Out, p.Out)
	if final(r.Status) {
		return
	}
	if p.Node && !r.NodeAt.IsZero() {
		r.NodeAt = now
	}
	if p.Client && !r.ClientAt.IsZero() {
		r.ClientAt = now
	}
	if p.Last.After(r.Active) {
		r.Active = p.Last.UTC().Truncate(time.Microsecond)
		if r.Active.After(now) {
			r.Active = now
		}
	}
}

// settle runs f on the session of a task and takes the task away, unless f put it
// back or ended the session.
func (s *Service) settle(ctx context.Context, run *task.Run, f func(tx *db.Tx, r *row) (again time.Time, err error)) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		var again time.Time
		err := gone(inScope(tx, run.Key, func(tx *db.Tx, r *row) (err error) {
			again, err = f(tx, r)
			return err
		}))
		switch {
		case err != nil:
			return err
		case !again.IsZero():
			return run.Again(tx, again)
		}
		if err := run.Done(tx); err != nil && !errors.Is(err, task.ErrFenced) { // the ending has taken it away
			return err
		}
		return nil
	})
}

// isSilent ends a session whose node is not there.
func (s *Service) isSilent(ctx context.Context, run *task.Run) error {
	return s.settle(ctx, run, func(tx *db.Tx, r *row) (time.Time, error) {
		switch {
		case !r.NodeAt.IsZero() || closing(r.Status):
			return time.Time{}, nil
		case r.Status == ssm.SessionStatusConnecting:
			return time.Time{}, s.end(tx, r, NodeSilent, "The node "+r.Node+" did not open the session in time.")
		}
		return time.Time{}, s.end(tx, r, NodeLost, "The connection of the node "+r.Node+" was lost and did not come back.")
	})
}

// isAbandoned ends a session whose owner is not there.
func (s *Service) isAbandoned(ctx context.Context, run *task.Run) error {
	return s.settle(ctx, run, func(tx *db.Tx, r *row) (time.Time, error) {
		switch {
		case !r.ClientAt.IsZero() || closing(r.Status):
			return time.Time{}, nil
		case r.Connected.IsZero():
			return time.Time{}, s.end(tx, r, ClientAbsent, "No client opened the session in time.")
		}
		return time.Time{}, s.end(tx, r, ClientLost, "The connection of the client was lost and did not come back.")
	})
}

// isIdle ends a session on which nothing came or went for its idle time.
func (s *Service) isIdle(ctx context.Context, run *task.Run) error {
	return s.settle(ctx, run, func(tx *db.Tx, r *row) (time.Time, error) {
		if due := r.Active.Add(r.Idle + slack); due.After(tx.Now) && !closing(r.Status) {
			return due, nil
		}
		return time.Time{}, s.end(tx, r, IdleTimeout, "The session timed out due to inactivity.")
	})
}

func (s *Service) isTooLong(ctx context.Context, run *task.Run) error {
	return s.settle(ctx, run, func(tx *db.Tx, r *row) (time.Time, error) {
		return time.Time{}, s.end(tx, r, MaxDuration, "The session reached its maximum duration.")
	})
}

// isClosed finishes a session whose node did not say that it ended, and a recording
// whose recorder is gone.
func (s *Service) isClosed(ctx context.Context, run *task.Run) error {
	return s.settle(ctx, run, func(tx *db.Tx, r *row) (time.Time, error) {
		if !final(r.Status) {
			return time.Time{}, s.ending(tx, r, closeOver)
		}
		if r.recordingUnderway() {
			return time.Time{}, s.finishRecording(tx, r, false)
		}
		return time.Time{}, nil
	})
}

// Start begins the watch over sessions whose hub is gone; it goes on by itself.
// On a SQLite file the sockets of an earlier process are gone now.
func (s *Service) Start(ctx context.Context) error {
	if !s.DB.Postgres() {
		if err := s.lose(ctx, (&db.Filter{}).And("(node_at <> 0 and node_at < ? or client_at <> 0 and client_at < ?)", db.Micros(s.made), db.Micros(s.made))); err != nil {
			return err
		}
	}
	return s.DB.Update(db.WithScope(ctx, db.Scope{}), func(tx *db.Tx) error {
		return s.Tasks.Enqueue(tx, task.Spec{Kind: sweepTask, Key: "all", Due: tx.Now.Add(lostHub)})
	})
}

// sweep finds sessions whose sockets nobody speaks of any more.
func (s *Service) sweep(ctx context.Context, run *task.Run) error {
	before := db.Micros(time.Now().Add(-lostHub))
	err := s.lose(ctx, (&db.Filter{}).And("(node_at <> 0 and node_at < ? or client_at <> 0 and client_at < ?)", before, before))
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error { return run.Again(tx, tx.Now.Add(2*PulseEvery)) })
}

// lose takes the sockets of sessions for gone.
func (s *Service) lose(ctx context.Context, f *db.Filter) error {
	var ids []string
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		ids, err = openIDs(tx, f)
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, gone(s.change(ctx, id, s.loseOne)))
	}
	return err
}

func (s *Service) loseOne(tx *db.Tx, r *row) error {
	before := tx.Now.Add(-lostHub)
	if s.made.After(before) && !s.DB.Postgres() {
		before = s.made
	}
	if r.Recording == recordingOpen && !r.NodeAt.IsZero() && r.NodeAt.Before(before) {
		r.Recording = recordingBroken
	}
	if !r.ClientAt.IsZero() && r.ClientAt.Before(before) {
		r.ClientAt = zeroTime
		if err := s.move(tx, r, clientLeft); err != nil {
			return err
		}
	}
	if !r.NodeAt.IsZero() && r.NodeAt.Before(before) {
		r.NodeAt = zeroTime
		return s.move(tx, r, nodeLeft)
	}
	return nil
}

// nodeIsGone ends the sessions of a node that was deregistered.
func (s *Service) nodeIsGone(_ context.Context, tx *db.Tx, fact journal.Row) error {
	ids, err := openIDs(tx, (&db.Filter{}).And("node_id = ?", fact.Subject))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := inScope(tx, id, func(tx *db.Tx, r *row) error { return s.end(tx, r, NodeLost, "The node was deregistered.") }); err != nil {
			return err
		}
	}
	return nil
}
