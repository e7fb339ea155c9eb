package gateway

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of opening control channels: after a restart every node asks at once, and a hub
// that serves all together serves none in time.
const (
	openAtOnce   = 128              // channels that are being opened
	slowestOpen  = 800              // a second; the least that is assumed
	farthestSlot = 25 * time.Second // nodes are back within 30 s
)

// admission lets a bounded number of channels open at the same time and gives the others
// a slot each, at the rate at which channels opened lately.
type admission struct {
	mu      sync.Mutex
	opening int
	opened  int // within the second that began at second
	second  time.Time
	rate    float64   // channels a second
	slot    time.Time // of the last node that was put off
}

// enter begins an opening, or tells when to ask again.
func (a *admission) enter(now time.Time) (ok bool, after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opening < openAtOnce {
		a.opening++
		return true, 0
	}
	if a.slot.Before(now) {
		a.slot = now
	}
	a.slot = a.slot.Add(time.Duration(float64(time.Second) / max(a.rate, slowestOpen)))
	if a.slot.Sub(now) > farthestSlot {
		a.slot = now.Add(time.Second)
	}
	return false, a.slot.Sub(now)
}

// leave ends an opening.
func (a *admission) leave(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opening--
	a.opened++
	if past := now.Sub(a.second); past >= time.Second {
		a.rate, a.opened, a.second = float64(a.opened)/past.Seconds(), 0, now
	}
}

// admitted answers 503 with the time to come back when too many channels are being opened.
func (g *Gateway) admitted(w http.ResponseWriter) bool {
	ok, after := g.admission.enter(time.Now())
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return ok
}
