package rollout

import (
	"testing"

	"pgregory.net/rapid"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
)

// TestMachine drives the machine with events in any order. What it may never do:
// begin a wave while an earlier one is open, send anything while it is halted or
// over, or forget to end.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &state{Status: api.RolloutStatusPending, Health: rapid.Bool().Draw(t, "health"), RollBack: rapid.Bool().Draw(t, "rollback"), Budget: rapid.IntRange(0, 3).Draw(t, "budget")}
		for range rapid.IntRange(1, 4).Draw(t, "waves") {
			s.Waves = append(s.Waves, wave{Status: wavePending, Bake: rapid.IntRange(0, 1).Draw(t, "bake"), Targets: rapid.IntRange(0, 3).Draw(t, "targets")})
		}
		pending := map[effect]bool{} // commands under way
		take := func(effects []effect) {
			for ; len(effects) > 0; effects = effects[1:] {
				e := effects[0]
				switch e.Do {
				case launch:
					if s.Status != api.RolloutStatusInProgress && s.Status != api.RolloutStatusRollingBack {
						t.Fatalf("sent %+v while %s", e, s.Status)
					}
					if pending[e] {
						t.Fatalf("sent %+v twice at once", e)
					}
					pending[e] = true
				case carry:
					effects = append(effects, s.carried()...)
				case close:
					if !over(s.Status) {
						t.Fatalf("closed while %s", s.Status)
					}
				}
			}
		}
		take(next(s, event{Kind: started}))
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			switch k := kind(rapid.IntRange(int(ended), int(undoAsked)).Draw(t, "kind")); k {
			case ended, notSent, unsendable:
				for e := range pending {
					delete(pending, e)
					n := s.Waves[e.Wave].Targets
					good := rapid.IntRange(0, n).Draw(t, "good")
					take(next(s, event{Kind: k, Role: e.Role, Wave: e.Wave, Total: n, Success: good, Errors: n - good, Why: "why"}))
					break
				}
			default:
				take(next(s, event{Kind: k, Wave: s.Wave, Why: "why"}))
			}
			if len(pending) == 0 && s.Status == api.RolloutStatusInProgress {
				t.Fatalf("nothing is under way: %+v", s)
			}
			if len(pending) == 0 && s.Status == api.RolloutStatusRollingBack {
				t.Fatalf("rolls back without a command: %+v", s)
			}
		}
	})
}

func TestReach(t *testing.T) {
	for _, c := range []struct {
		size string
		n    int
		want int
	}{{"1", 40, 1}, {"5%", 40, 2}, {"5%", 3, 1}, {"25%", 3, 1}, {"100%", 7, 7}, {"9", 4, 4}} {
		if got := reach(c.size, c.n); got != c.want {
			t.Errorf("reach(%s, %d) = %d, want %d", c.size, c.n, got, c.want)
		}
	}
}
