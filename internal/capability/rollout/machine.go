package rollout

import (
	"fmt"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
)

// The states of a wave.
const (
	wavePending     = "Pending"
	waveRunning     = "InProgress"
	waveBaking      = "Baking"
	waveEnded       = "Unchecked" // the command went well and the rollout was halted before the check
	waveChecking    = "Checking"
	waveSuccess     = "Success"
	waveFailed      = "Failed"
	waveSkipped     = "Skipped" // no node was left for it
	waveRollingBack = "RollingBack"
	waveRolledBack  = "RolledBack"
	waveNotUndone   = "RollBackFailed"
)

// role says what a command is for.
type role string

// The roles.
const (
	roleCommand  role = "command"
	roleHealth   role = "health"
	roleRollBack role = "rollback"
)

// wave is one wave as the machine sees it.
type wave struct {
	Size    string
	Bake    int // seconds
	Status  string
	Targets int
	Errors  int
	Why     string `json:",omitzero"`
}

// state is a rollout as the machine sees it.
type state struct {
	Status   api.RolloutStatus
	Why      string `json:",omitzero"`
	Wave     int    // index of the current one
	Waves    []wave
	Budget   int // errors that do not halt it
	Errors   int // of all waves
	Pardoned int // errors up to the last resume
	Health   bool
	RollBack bool
}

// kind of an event.
type kind int

// The events.
const (
	started     kind = iota + 1
	ended            // a command of the rollout is over
	notSent          // a command that was decided was not sent after all
	unsendable       // it never can be
	bakeOver         // the time of baking is past
	haltAsked        //
	resumeAsked      //
	undoAsked        // roll back
)

// event is what happens to a rollout. Role and Wave: of which command. Total is
// the number of its nodes, Success of those on which it went well, Errors of
// those that count against the budget, Stopped of those that were withdrawn.
type event struct {
	Kind                            kind
	Role                            role
	Wave                            int
	Total, Success, Errors, Stopped int
	Why                             string
}

// action of an effect.
type action int

// The effects.
const (
	launch   action = iota + 1 // send the command of a role to the nodes of a wave
	bake                       // send bakeOver later
	withdraw                   // take back what was not sent of a wave's command
	stop                       // and ask the rest to stop
	carry                      // move the nodes that a wave did not reach to the next wave
	close                      // the rollout is over
)

type effect struct {
	Do   action
	Role role
	Wave int
}

func over(s api.RolloutStatus) bool {
	switch s {
	case api.RolloutStatusSuccess, api.RolloutStatusRolledBack, api.RolloutStatusFailed, api.RolloutStatusCancelled:
		return true
	}
	return false
}

// next is the state after an event and what is to be done then. An event that
// does not fit changes nothing.
func next(s *state, e event) []effect {
	switch e.Kind {
	case started:
		if s.Status == api.RolloutStatusPending {
			return s.begin(0)
		}
	case ended:
		return s.commandEnded(e)
	case notSent, unsendable:
		return s.commandMissing(e)
	case bakeOver:
		if s.Status == api.RolloutStatusBaking && s.Wave == e.Wave {
			return s.check()
		}
	case haltAsked:
		if !over(s.Status) && s.Status != api.RolloutStatusHalted && s.Status != api.RolloutStatusRollingBack {
			return s.halt(e.Why)
		}
	case resumeAsked:
		if s.Status == api.RolloutStatusHalted {
			return s.resume()
		}
	case undoAsked:
		if s.mayUndo() {
			return s.undo(e.Why)
		}
	}
	return nil
}

// begin starts the first wave from i on that has nodes.
func (s *state) begin(i int) []effect {
	for ; i < len(s.Waves); i++ {
		s.Wave = i
		if s.Waves[i].Targets == 0 {
			s.Waves[i].Status = waveSkipped
			continue
		}
		s.Status, s.Waves[i].Status = api.RolloutStatusInProgress, waveRunning
		return []effect{{launch, roleCommand, i}}
	}
	s.Status = api.RolloutStatusSuccess
	return []effect{{Do: close}}
}

func (s *state) commandEnded(e event) []effect {
	w := &s.Waves[e.Wave]
	switch {
	case e.Role == roleCommand && w.Status == waveRunning:
		w.Errors = e.Errors
		s.Errors += e.Errors
		return s.waveCommandEnded(w, e)
	case e.Role == roleHealth && w.Status == waveChecking:
		return s.checkEnded(w, e)
	case e.Role == roleRollBack && w.Status == waveRollingBack:
		w.Status = waveRolledBack
		if e.Success < e.Total {
			w.Status, w.Why = waveNotUndone, fmt.Sprintf("the roll back did not succeed on %d of %d nodes", e.Total-e.Success, e.Total)
		}
		return s.undoNext()
	}
	return nil
}

func (s *state) waveCommandEnded(w *wave, e event) []effect {
	why := ""
	switch {
	case s.Errors-s.Pardoned > s.Budget:
		why = fmt.Sprintf("%d errors, more than %d", s.Errors-s.Pardoned, s.Budget)
	case e.Total > 0 && e.Success == 0:
		why = fmt.Sprintf("the command succeeded on none of the %d nodes", e.Total)
	case e.Stopped > 0:
		why = fmt.Sprintf("the command was stopped on %d of %d nodes", e.Stopped, e.Total)
	}
	w.Status, w.Why = waveEnded, why
	if why != "" {
		w.Status = waveFailed
	}
	switch {
	case s.Status == api.RolloutStatusRollingBack:
		return s.undoNext()
	case s.Status == api.RolloutStatusHalted:
		return nil
	case why != "":
		return s.halt(fmt.Sprintf("wave %d: %s", e.Wave+1, why))
	}
	last := e.Wave == len(s.Waves)-1
	if w.Bake > 0 && (!last || s.Health) {
		s.Status, w.Status = api.RolloutStatusBaking, waveBaking
		return []effect{{Do: bake, Wave: e.Wave}}
	}
	return s.check()
}

// check runs the health check of the current wave, if there is one.
func (s *state) check() []effect {
	s.Status = api.RolloutStatusInProgress
	if !s.Health {
		return s.pass()
	}
	s.Waves[s.Wave].Status = waveChecking
	return []effect{{launch, roleHealth, s.Wave}}
}

func (s *state) checkEnded(w *wave, e event) []effect {
	if e.Success < e.Total {
		w.Status, w.Why = waveFailed, fmt.Sprintf("the health check failed on %d of %d nodes", e.Total-e.Success, e.Total)
		if s.Status == api.RolloutStatusInProgress {
			return s.halt(fmt.Sprintf("wave %d: %s", e.Wave+1, w.Why))
		}
		return nil
	}
	if s.Status != api.RolloutStatusInProgress { // halted meanwhile
		w.Status = waveSuccess
		return nil
	}
	return s.pass()
}

// pass ends the current wave well.
func (s *state) pass() []effect {
	s.Waves[s.Wave].Status = waveSuccess
	return s.begin(s.Wave + 1)
}

// commandMissing: a command was decided, and things changed before it was sent,
// or its document cannot be run any more.
func (s *state) commandMissing(e event) []effect {
	w := &s.Waves[e.Wave]
	switch {
	case e.Role == roleCommand && w.Status == waveRunning:
		w.Status = wavePending
	case e.Role == roleHealth && w.Status == waveChecking:
		w.Status = waveEnded
	case e.Role == roleRollBack && w.Status == waveRollingBack:
		w.Status, w.Why = waveNotUndone, e.Why
		return s.undoNext()
	default:
		return nil
	}
	switch {
	case s.Status == api.RolloutStatusRollingBack:
		return s.undoNext()
	case s.Status == api.RolloutStatusHalted:
		return nil
	case e.Kind == unsendable:
		return s.halt(e.Why)
	case e.Role == roleHealth:
		return s.check()
	}
	return s.begin(e.Wave)
}

func (s *state) halt(why string) []effect {
	s.Status, s.Why = api.RolloutStatusHalted, why
	if s.Waves[s.Wave].Status == waveRunning {
		return []effect{{withdraw, roleCommand, s.Wave}}
	}
	return nil
}

// resume goes on: the errors so far are pardoned, and the nodes that the wave
// did not reach come with the next one.
func (s *state) resume() []effect {
	s.Status, s.Why, s.Pardoned = api.RolloutStatusInProgress, "", s.Errors
	w := &s.Waves[s.Wave]
	switch w.Status {
	case wavePending:
		return s.begin(s.Wave)
	case waveRunning, waveChecking: // its end will go on
		return nil
	case waveBaking, waveEnded:
		return s.check()
	}
	return []effect{{Do: carry, Wave: s.Wave}}
}

// carried goes on after carry, when the counts of the waves are right again.
func (s *state) carried() []effect { return s.begin(s.Wave + 1) }

func (s *state) mayUndo() bool {
	switch s.Status {
	case api.RolloutStatusPending, api.RolloutStatusRollingBack, api.RolloutStatusRolledBack, api.RolloutStatusFailed:
		return false
	}
	return s.RollBack
}

// undo rolls back, newest wave first. A command under way is stopped before.
func (s *state) undo(why string) []effect {
	s.Status, s.Why = api.RolloutStatusRollingBack, why
	if s.Waves[s.Wave].Status == waveRunning {
		return []effect{{stop, roleCommand, s.Wave}}
	}
	return s.undoNext()
}

func (s *state) undoNext() []effect {
	failed := 0
	for i := len(s.Waves) - 1; i >= 0; i-- {
		switch w := &s.Waves[i]; w.Status {
		case wavePending, waveSkipped, waveRolledBack:
		case waveNotUndone:
			failed++
		default:
			w.Status = waveRollingBack
			return []effect{{launch, roleRollBack, i}}
		}
	}
	s.Status = api.RolloutStatusRolledBack
	if failed > 0 {
		s.Status, s.Why = api.RolloutStatusFailed, fmt.Sprintf("the roll back failed in %d waves", failed)
	}
	return []effect{{Do: close}}
}
