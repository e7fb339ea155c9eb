package update

import (
	"errors"
	"fmt"
	"os"
)

// Next is what a program does with an update when it starts.
type Next int

// What a program does.
const (
	Nothing Next = iota // no update is under way
	Prove               // it is new: Confirm when it works, Return when it does not
	Restart             // it is not the one that should run: start anew
)

// Begin finishes what a crash has interrupted and says what this start is. It
// is called once, before the program does anything else.
func (u *Updater) Begin() (Next, error) {
	s, err := u.load()
	if err != nil {
		return Nothing, err
	}
	switch s.Phase {
	case staged:
		return Nothing, u.fail(s, "the node program ended during the update")
	case switching, returning:
	default:
		return Nothing, nil
	}
	now, err := sum(u.Exe)
	if err != nil {
		return Nothing, err
	}
	switch {
	case now == s.Old && s.Phase == switching:
		return Nothing, u.fail(s, "the node program ended before the new one was in place")
	case now == s.Old:
		return Nothing, u.fail(s, s.Reason)
	case now != s.New:
		return Nothing, u.fail(s, "the program's file was replaced by something else")
	case s.Phase == returning || s.Starts >= maxStarts:
		return Restart, u.Return(fmt.Sprintf("it started %d times without reaching the hub", s.Starts))
	}
	s.Starts++
	return Prove, u.save(s)
}

// Confirm keeps the new program: it works.
func (u *Updater) Confirm() error {
	s, err := u.load()
	if err != nil || s.Phase != switching {
		return err
	}
	s.Phase = done
	if len(s.NextKeys) > 0 {
		s.Keys, s.NextKeys = s.NextKeys, nil
	}
	return u.save(s)
}

// Return puts the program before the update back into place.
func (u *Updater) Return(reason string) error {
	s, err := u.load()
	if err != nil {
		return err
	}
	if s.Phase == switching {
		s.Phase, s.Reason = returning, "version "+s.To+" was given up: "+reason
		if err := u.save(s); err != nil {
			return err
		}
	}
	u.point("returning")
	if before, err := sum(u.previous()); err != nil || before != s.Old {
		return errors.Join(err, u.fail(s, s.Reason+"; the program before it is lost"))
	}
	if err := copyFile(u.previous(), u.Exe); err != nil {
		return err
	}
	u.point("returned")
	return u.fail(s, s.Reason)
}

// Guard is called by the program before an update each time before the new one
// starts: it brings itself back when the new one does not even come so far as
// to count its own starts.
func Guard(dir, exe string) error {
	u := &Updater{Dir: dir, Exe: exe}
	s, err := u.load()
	if err != nil || s.Phase != switching {
		return err
	}
	if s.Guarded++; s.Guarded <= maxStarts+1 {
		return u.save(s)
	}
	return u.Return(fmt.Sprintf("it was started %d times in vain", s.Guarded-1))
}

// Outcome is how the update that a step asked for stands: known is false when
// there is none, ended while it is not decided.
func (u *Updater) Outcome(id string) (text string, known, ended bool, err error) {
	s, err := u.load()
	if err != nil || s.ID != id {
		return "", false, false, err
	}
	switch s.Phase {
	case done:
		return fmt.Sprintf("updated from version %s to %s", s.From, s.To), true, true, nil
	case failed:
		return "", true, true, errors.New(s.Reason)
	}
	return "", true, false, nil
}

// Clean removes what an update left beside the program.
func (u *Updater) Clean() {
	for _, path := range []string{u.staged(), u.previous() + ".part", u.Exe + ".part"} {
		_ = os.Remove(path)
	}
}
