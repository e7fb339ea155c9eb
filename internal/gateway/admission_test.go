package gateway

import (
	"testing"
	"time"
)

func TestAdmission(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var a admission
	for i := range openAtOnce {
		if ok, _ := a.enter(now); !ok {
			t.Fatalf("opening %d was put off", i)
		}
	}
	for i := 1; i <= 1000; i++ {
		ok, after := a.enter(now)
		if want := time.Duration(i) * time.Second / slowestOpen; ok || after != want {
			t.Fatalf("node %d: %t, %v, want a slot after %v", i, ok, after, want)
		}
	}
	a.leave(now)
	if ok, _ := a.enter(now); !ok {
		t.Fatal("a free place was not given")
	}
	for range 100_000 {
		if _, after := a.enter(now); after <= 0 || after > farthestSlot {
			t.Fatalf("a slot after %v", after)
		}
	}
}

// The slots follow the rate at which channels opened.
func TestAdmissionRate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var a admission
	for i := range 2000 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		a.enter(at)
		a.leave(at)
	}
	now = now.Add(2 * time.Second)
	for range openAtOnce {
		a.enter(now)
	}
	_, first := a.enter(now)
	_, second := a.enter(now)
	if gap := second - first; gap < 500*time.Microsecond || gap > 2*time.Millisecond {
		t.Fatalf("%v between two slots at 1,000 a second", gap)
	}
}
