package session

import (
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Waits for the acknowledgement of a report. A stock agent repeats it three
// times; a hub may be away for longer than that.
const (
	firstReport = time.Second
	maxReport   = 30 * time.Second
	reportFor   = 24 * time.Hour
	lastReport  = 2 * time.Second // for a node program that stops
)

// outcome is how a session ended.
type outcome struct {
	status string // mgs.TaskSuccess and so on
	text   string // what the client shows, "" for an ordinary end
}

// report is the end of a session on its way to the hub.
type report struct {
	outcome
	heard chan struct{} // closed when the hub has it
	retry chan struct{} // holds an element when it is to be sent at once
	done  bool          // heard is closed
}

// known and again are called with the service locked.
func (r *report) known() {
	if !r.done {
		r.done = true
		close(r.heard)
	}
}

func (r *report) again() {
	select {
	case r.retry <- struct{}{}:
	default:
	}
}

// finish reports the end of a session until the hub has it.
func (s *Service) finish(id string, out outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportLocked(id, out)
}

func (s *Service) reportLocked(id string, out outcome) {
	if s.reports[id] != nil {
		return
	}
	r := &report{outcome: out, heard: make(chan struct{}), retry: make(chan struct{}, 1)}
	s.reports[id] = r
	s.work.Go(func() {
		if s.deliver(id, r) {
			s.marks.clear(id)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.reports, id)
		s.recent = append(s.recent, id)
		if len(s.recent) > maxRecent {
			s.recent = s.recent[1:]
		}
	})
}

// deliver sends a report until the hub acknowledges it; false when the node
// program stops first.
func (s *Service) deliver(id string, r *report) bool {
	deadline, wait := time.NewTimer(reportFor), firstReport
	defer deadline.Stop()
	stopped := s.stop.Done()
	if s.stop.Err() != nil {
		stopped = nil
		deadline.Reset(lastReport)
	}
	for number := 1; ; number++ {
		s.sendReport(id, r, number)
		select {
		case <-r.heard:
			return true
		case <-deadline.C:
			return s.stop.Err() == nil
		case <-stopped:
			stopped = nil
			deadline.Reset(lastReport)
		case <-r.retry:
		case <-time.After(wait):
		}
		wait = min(2*wait, maxReport)
	}
}

func (s *Service) sendReport(id string, r *report, number int) {
	m, err := mgs.Encode(mgs.TypeAgentTaskComplete, mgs.AgentTaskComplete{
		SchemaVersion: 1, TaskID: id, Topic: mgs.TypeAgentTaskComplete, FinalTaskStatus: r.status,
		InstanceID: s.NodeID, Output: r.text, RetryNumber: number,
	})
	if err == nil {
		err = s.Report(m)
	}
	if err != nil {
		s.Log.Debug("the end of a session waits", "session", id, "error", err.Error())
	}
}
