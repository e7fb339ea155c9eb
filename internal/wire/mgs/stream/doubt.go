package stream

import "time"

// A stock client is silent about a message that it had before: when its only
// acknowledgement was lost with a connection there will never be another. So a
// message that was repeated maxPassed times, each repeat passed by the
// acknowledgement of a later one, counts no more for the window and for the
// end of the stream; for those sent before that one repeat is then enough. They
// are still repeated, rarely, since the network below may be worse than it
// looks.
const (
	maxPassed  = 8
	maxDoubts  = 4096
	doubtEvery = 5 * time.Second
	doubtBurst = 32
)

// doubts are the messages of which nobody knows whether they were delivered,
// in the order of their next repeat.
type doubts struct {
	entries []*entry
	at      time.Time // of the next burst
	left    int       // in this burst
	since   time.Time // last repeat of the first one
}

func (d *doubts) add(e *entry) {
	if len(d.entries) == maxDoubts {
		d.entries = d.entries[1:]
	}
	if len(d.entries) == 0 {
		d.at, d.left = e.last.Add(doubtEvery), doubtBurst
	}
	if e.passed >= maxPassed {
		d.since = e.last
	}
	d.entries = append(d.entries, e)
}

func (d *doubts) acked(n int64) {
	for i, e := range d.entries {
		if e.message.Sequence == n {
			d.entries = append(d.entries[:i], d.entries[i+1:]...)
			return
		}
	}
}

func (d *doubts) next(now time.Time) *entry {
	if len(d.entries) == 0 || now.Before(d.at) {
		return nil
	}
	e := d.entries[0]
	d.entries = append(d.entries[1:], e)
	if d.left--; d.left <= 0 || d.entries[0].last.Equal(now) {
		d.at, d.left = now.Add(doubtEvery), doubtBurst
	}
	return e
}

func (d *doubts) wake() (time.Time, bool) { return d.at, len(d.entries) > 0 }

// pass counts the acknowledgement of a later sending for the messages before
// it that were sent more than once.
func (s *Stream) pass(n, order int64) {
	if s.oldest() == nil {
		return
	}
	for i := s.low; i < n; i++ {
		e := s.held[i]
		if e == nil {
			continue
		}
		if e.sends == 1 {
			return
		}
		if e.order < order && !e.counted {
			e.passed, e.counted = e.passed+1, true
		}
		if e.passed >= maxPassed || e.passed > 0 && e.first.Before(s.doubts.since) {
			s.drop(i)
			s.doubts.add(e)
		}
	}
}
