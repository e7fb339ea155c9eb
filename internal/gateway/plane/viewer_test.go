package plane

import (
	"net"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// watcher is a viewer and the other end of its link.
func watcher(t *testing.T, a *audience, second bool) (*viewer, *plane.Link) {
	t.Helper()
	near, far := net.Pipe()
	v := &viewer{link: plane.NewLink(near, false), person: "p", second: second, kick: make(chan struct{}, 1), gone: make(chan struct{})}
	if why := a.enter(v); why != "" {
		t.Fatal(why)
	}
	link := plane.NewLink(far, true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.serve(v)
		a.leave(v)
	}()
	t.Cleanup(func() { link.Close(); <-done })
	return v, link
}

func wants(t *testing.T, link *plane.Link, kind plane.Kind, text string) {
	t.Helper()
	f, err := link.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if f.Kind() != kind || string(f.Payload()) != text {
		t.Errorf("got %d %q, want %d %q", f.Kind(), f.Payload(), kind, text)
	}
}

func TestViewers(t *testing.T) {
	t.Parallel()
	a := newAudience()
	a.show([]byte("before "))
	_, one := watcher(t, a, false)
	wants(t, one, plane.KindData, "before ")
	a.show([]byte("now"))
	wants(t, one, plane.KindData, "now")
	_, two := watcher(t, a, false)
	wants(t, two, plane.KindData, "before now")
	a.end("over")
	for _, link := range []*plane.Link{one, two} {
		wants(t, link, plane.KindEnd, `{"Cause":"over"}`)
	}
	if why := a.enter(&viewer{kick: make(chan struct{}, 1)}); why == "" {
		t.Error("one came after the end")
	}
}

// Input is closed whenever no second person is there, and one who only looks is none.
func TestSecondPersonOpensInput(t *testing.T) {
	t.Parallel()
	l := &live{id: "s-1", session: &session.Session{TwoPerson: true}, audience: newAudience()}
	state := func(what string, open bool) {
		t.Helper()
		if got := l.InputClosed() == ""; got != open {
			t.Errorf("%s: open %v, want %v", what, got, open)
		}
	}
	state("nobody", false)
	v, _ := watcher(t, l.audience, false)
	state("one who looks", false)
	first, _ := watcher(t, l.audience, true)
	other, _ := watcher(t, l.audience, true)
	state("two of them", true)
	l.audience.leave(first)
	l.audience.leave(first)
	state("one of them", true)
	l.audience.show(make([]byte, maxBehind+1)) // nobody reads: too slow
	state("the last was sent away", false)
	l.audience.leave(other)
	l.audience.leave(v)
	state("all gone", false)
}
