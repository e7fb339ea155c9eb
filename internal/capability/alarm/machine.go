package alarm

import "time"

// State is what a signal says of an alarm, or how the register has it.
type State string

// The states. Unknown occurs in signals only: the sender cannot tell.
const (
	OK      State = "OK"
	Alarm   State = "ALARM"
	Unknown State = "INSUFFICIENT_DATA"
)

// Change is what a signal did.
type Change string

// The changes.
const (
	Opened   Change = "opened"   // it stands, for the first time
	Reopened Change = "reopened" // it stands again
	Folded   Change = "folded"   // it stood already
	Resolved Change = "resolved"
	Unopened Change = "unopened" // resolved, but nobody had said that it stood
	Late     Change = "late"     // tells of a time that is over
)

// lateWindow is how long after a resolution a firing signal of the same spell is
// taken for one that was overtaken on its way. After that it contradicts the
// resolution: a sender that lost sight of an alarm resolves it, and fires it
// again with its first start once it sees it again.
const lateWindow = time.Minute

// spell is what decides on the state. The alarm stands when, of all signals, the
// latest start is after the latest end; both only grow, so order does not matter.
type spell struct {
	state   State // "" before the first signal
	since   time.Time
	started time.Time // the latest start of all signals
	ended   time.Time // the latest end of all signals
	closed  time.Time // when the latest end arrived
	opened  int64     // how often it was opened
}

// moment is what the machine reads of a signal.
type moment struct {
	state  State
	starts time.Time // zero when the sender does not say
	ends   time.Time
}

// next takes a signal in.
func next(s spell, m moment, now time.Time) (spell, Change) {
	m = m.within(now)
	switch m.state {
	case Alarm:
		return s.fire(m, now)
	case OK:
		return s.resolve(m, now)
	}
	if s.state == Alarm {
		return s, Folded
	}
	if s.state == "" {
		s.state, s.since = OK, now
	}
	return s, Late
}

// within fills in times that are missing and takes those in the future, which
// only a wrong clock sends, for now: they would hide what comes before them.
func (m moment) within(now time.Time) moment {
	if m.starts.After(now) || m.starts.IsZero() && m.state == Alarm {
		m.starts = now
	}
	if m.ends.After(now) || m.ends.IsZero() && m.state == OK {
		m.ends = now
	}
	m.ends = later(m.ends, m.starts)
	return m
}

func (s spell) fire(m moment, now time.Time) (spell, Change) {
	s.started = later(s.started, m.starts)
	if s.state == Alarm {
		return s, Folded
	}
	if !m.starts.After(s.ended) {
		if now.Sub(s.closed) <= lateWindow {
			return s, Late
		}
		m.starts = s.ended.Add(time.Microsecond)
		s.started = m.starts
	}
	s.state, s.since = Alarm, m.starts
	s.opened++
	if s.opened == 1 {
		return s, Opened
	}
	return s, Reopened
}

func (s spell) resolve(m moment, now time.Time) (spell, Change) {
	s.started = later(s.started, m.starts)
	if m.ends.After(s.ended) {
		s.ended, s.closed = m.ends, now
	}
	switch {
	case s.state == Alarm && s.started.After(s.ended):
		return s, Folded // the end of an earlier spell
	case s.state == Alarm:
		s.state, s.since = OK, s.ended
		return s, Resolved
	case s.state == "":
		s.state, s.since = OK, s.ended
		return s, Unopened
	}
	return s, Late
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
