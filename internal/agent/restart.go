package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/agent/runner"
)

// ErrRestart says that the program should start anew: an update has put
// another one into its file.
var ErrRestart = errors.New("the node program restarts")

// restartWait is how long a restart waits for the other commands.
const restartWait = 10 * time.Minute

// suspension is where a command goes on after a restart.
type suspension struct {
	At   runner.Progress
	Boot string // the machine's start in which a restart of it was asked for
}

// start marks the start of a command, or that a suspended one goes on, and
// says with which step.
func (n *node) start(rec ledger.Record) (runner.Progress, error) {
	if rec.Suspended == nil {
		return runner.Progress{}, n.ledger.Start(rec.CommandID)
	}
	var s suspension
	if err := json.Unmarshal(rec.Suspended, &s); err != nil {
		return runner.Progress{}, err
	}
	return s.At, n.ledger.Resume(rec.CommandID)
}

// suspend keeps where a command goes on and restarts when no other one runs.
func (n *node) suspend(rec ledger.Record, at runner.Progress) {
	n.log.Warn("a command asks for a restart", "command", rec.CommandID, "machine", at.Machine)
	b, err := json.Marshal(suspension{At: at, Boot: n.boot})
	if err == nil {
		err = n.ledger.Suspend(rec.CommandID, b)
	}
	if err != nil {
		n.finish(rec, newReply(rec.JobID, runner.Failed, "the restart that a step asked for cannot be recorded: "+err.Error()))
		return
	}
	n.restart(at.Machine)
}

// resume goes on with a suspended command. One that waits for a restart of the
// machine which has not come asks for it again.
func (n *node) resume(rec ledger.Record) {
	var s suspension
	err := json.Unmarshal(rec.Suspended, &s)
	if err == nil && s.At.Machine && s.Boot != "" && s.Boot == n.boot {
		n.restart(true)
		return
	}
	n.launch(rec)
}

// restart restarts the machine or the program when the other commands have
// ended, in the background. Commands that come meanwhile start afterwards.
func (n *node) restart(machine bool) {
	n.mu.Lock()
	n.leaving = true
	n.mu.Unlock()
	go func() {
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for end := time.Now().Add(restartWait); n.busyWith() > 0 && time.Now().Before(end); {
			select {
			case <-t.C:
			case <-n.stop.Done():
				return
			}
		}
		if !machine {
			n.leaveWith(ErrRestart)
			return
		}
		if err := n.reboot(); err != nil {
			n.log.Error("the machine cannot be restarted", "error", err.Error())
			n.notRebooted(err)
		}
	}()
}

func (n *node) leaveWith(err error) {
	select {
	case n.leave <- err:
	default:
	}
}

func (n *node) busyWith() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.cancels)
}

// notRebooted ends the commands that wait for a restart that did not happen,
// and takes up the ones that were kept back.
func (n *node) notRebooted(err error) {
	n.mu.Lock()
	n.leaving = false
	n.mu.Unlock()
	for _, rec := range n.ledger.Open() {
		switch {
		case rec.Suspended != nil:
			n.finish(rec, newReply(rec.JobID, runner.Failed, fmt.Sprintf("the machine could not be restarted: %v", err)))
		case rec.Started.IsZero() && rec.Finished.IsZero():
			n.launchOnce(rec)
		}
	}
}

// launchOnce launches a command that does not wait or run already.
func (n *node) launchOnce(rec ledger.Record) {
	n.mu.Lock()
	waiting := n.cancels[rec.CommandID] != nil
	n.mu.Unlock()
	if !waiting {
		n.launch(rec)
	}
}
