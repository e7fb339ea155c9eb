package plane

import (
	"bytes"
	"context"
	"sync"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// Limits of viewers.
const (
	maxHistory = 32 << 10  // bytes of output that a viewer gets at first
	maxBehind  = 512 << 10 // a viewer that is so many bytes behind is sent away
	maxViewers = 16
)

// audience is the persons who view a session. Its lock is never held while
// something is written to a link.
type audience struct {
	mu      sync.Mutex
	viewers map[*viewer]struct{}
	history []byte
	over    bool
	seconds int
	there   chan struct{} // closed while a second person is there
}

func newAudience() *audience {
	return &audience{viewers: map[*viewer]struct{}{}, there: make(chan struct{})}
}

// viewer reads the output of a session. What it sends is thrown away.
type viewer struct {
	link   *plane.Link
	person string
	second bool

	pending []byte  // under the lock of the audience
	end     *string // why it is over
	kick    chan struct{}
	gone    chan struct{}
}

// view shows the session to a person until the link is over.
func (l *live) view(ctx context.Context, c session.Client, link *plane.Link) error {
	v := &viewer{link: link, person: c.PersonID, second: c.Role == session.SecondPerson, kick: make(chan struct{}, 1), gone: make(chan struct{})}
	if why := l.audience.enter(v); why != "" {
		_ = link.Welcome(plane.Welcome{Error: why, Over: true})
		return l.hub.Sessions.ClientLeft(ctx, l.id, c)
	}
	if link.Welcome(plane.Welcome{Peer: true}) == nil {
		l.changed(v, c.ARN+" is there as the second person: input flows")
		l.audience.serve(v)
	}
	l.audience.leave(v)
	l.changed(v, "the second person has left: "+l.closedText())
	return told(l.log, l.hub.Sessions.ClientLeft(ctx, l.id, c))
}

// changed tells the owner about the second person.
func (l *live) changed(v *viewer, text string) {
	if v.second && l.session.TwoPerson && !l.isOver() {
		l.relay.Notice(text)
	}
}

// serve writes what there is until the link is over.
func (a *audience) serve(v *viewer) {
	defer v.link.Close()
	go v.link.Beat()
	go v.read()
	for {
		select {
		case <-v.gone:
			return
		case <-v.kick:
		}
		a.mu.Lock()
		pending, end := v.pending, v.end
		v.pending = nil
		a.mu.Unlock()
		if !v.write(pending, end) {
			return
		}
	}
}

// write is false when the link is over.
func (v *viewer) write(output []byte, end *string) bool {
	for len(output) > 0 {
		f := plane.NewFrame(plane.KindData, 0, min(len(output), plane.MaxData))
		output = output[copy(f.Payload(), output):]
		err := v.link.WriteFrame(f)
		f.Release()
		if err != nil {
			return false
		}
	}
	if end == nil {
		return true
	}
	if f, err := plane.FrameJSON(plane.KindEnd, 0, plane.End{Cause: *end}); err == nil {
		_ = v.link.WriteFrame(f)
		f.Release()
	}
	return false
}

func (v *viewer) read() {
	defer close(v.gone)
	for {
		f, err := v.link.ReadFrame()
		if err != nil {
			return
		}
		f.Release()
	}
}

func (v *viewer) wake() {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// enter takes a viewer in; why not otherwise.
func (a *audience) enter(v *viewer) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return "the session has ended"
	case len(a.viewers) >= maxViewers:
		return "the session has as many viewers as it can take"
	}
	a.viewers[v] = struct{}{}
	v.pending = bytes.Clone(a.history)
	v.wake()
	if v.second {
		if a.seconds++; a.seconds == 1 {
			close(a.there)
		}
	}
	return ""
}

// leave lets a viewer go, who may have been sent away before.
func (a *audience) leave(v *viewer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(v)
}

// drop takes a viewer out; the caller holds the lock.
func (a *audience) drop(v *viewer) {
	if _, ok := a.viewers[v]; !ok {
		return
	}
	delete(a.viewers, v)
	if v.second {
		if a.seconds--; a.seconds == 0 {
			a.there = make(chan struct{})
		}
	}
}

// bye sends a viewer away; the caller holds the lock.
func (a *audience) bye(v *viewer, why string) {
	v.end = &why
	v.wake()
	a.drop(v)
}

// show gives output to the viewers.
func (a *audience) show(output []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.history = append(a.history, output...)
	if n := len(a.history) - maxHistory; n > maxHistory {
		a.history = bytes.Clone(whole(a.history[n:]))
	}
	for v := range a.viewers {
		v.pending = append(v.pending, output...)
		v.wake()
		if len(v.pending) > maxBehind {
			a.bye(v, "The viewer was too slow.")
		}
	}
}

// whole is b from its first whole character.
func whole(b []byte) []byte {
	for i := range min(utf8.UTFMax, len(b)) {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}

// end ends the session for the viewers.
func (a *audience) end(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for v := range a.viewers {
		a.bye(v, why)
	}
}

// cut closes the links of the viewers.
func (a *audience) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for v := range a.viewers {
		go v.link.Close()
	}
}

// second is closed while a second person is there.
func (a *audience) second() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.there
}

// persons are those who view the session.
func (a *audience) persons() (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for v := range a.viewers {
		out = append(out, v.person)
	}
	return out
}

// dismiss sends a person away.
func (a *audience) dismiss(person string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for v := range a.viewers {
		if v.person == person {
			a.bye(v, "You may not view this session any more.")
		}
	}
}
