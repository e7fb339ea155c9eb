package stream

import "time"

// The retransmission timeout, smoothed as RFC 6298 has it. Connections below
// are reliable: a repeat is needed only for what a connection took with it and
// for what the other end was not ready for, so the first wait may be short.
const (
	firstRTO    = 50 * time.Millisecond
	minRTO      = 30 * time.Millisecond
	maxRTO      = time.Second
	granularity = 10 * time.Millisecond
)

type rtt struct {
	smooth, vary, rto time.Duration
}

func newRTT() rtt { return rtt{rto: firstRTO} }

// sample takes the time from the first sending of a message to its
// acknowledgement. For a message that was sent twice that is too much rather
// than too little.
func (r *rtt) sample(d time.Duration) {
	d = min(max(d, 0), maxRTO)
	if r.smooth == 0 {
		r.smooth, r.vary = d, d/2
	} else {
		r.vary += ((r.smooth - d).Abs() - r.vary) / 4
		r.smooth += (d - r.smooth) / 8
	}
	r.rto = r.estimate()
}

func (r *rtt) estimate() time.Duration {
	return min(max(r.smooth+max(granularity, 4*r.vary), minRTO), maxRTO)
}

// backOff doubles the timeout until the next acknowledgement.
func (r *rtt) backOff() { r.rto = min(2*r.rto, maxRTO) }

// comeBack ends a row of repeats without an answer.
func (r *rtt) comeBack() { r.rto = max(r.estimate(), r.rto/2) }
