package alarm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// at is a time in minutes around noon; none the zero time.
func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

var none time.Time

func TestMachine(t *testing.T) {
	type step struct {
		m    moment
		now  time.Time
		want Change
	}
	fire := func(start time.Time) moment { return moment{state: Alarm, starts: start} }
	ok := func(start, end time.Time) moment { return moment{state: OK, starts: start, ends: end} }
	for name, steps := range map[string][]step{
		"a life": {
			{fire(at(0)), at(1), Opened},
			{fire(at(0)), at(2), Folded},
			{ok(at(0), at(3)), at(4), Resolved},
			{ok(at(0), at(3)), at(5), Late},
			{fire(at(6)), at(7), Reopened},
			{ok(at(6), at(8)), at(9), Resolved},
		},
		"the end overtakes the start":               {{ok(at(0), at(1)), at(2), Unopened}, {fire(at(0)), at(2.1), Late}, {fire(at(3)), at(4), Opened}},
		"the end of an earlier spell":               {{fire(at(0)), at(1), Opened}, {fire(at(5)), at(6), Folded}, {ok(at(0), at(3)), at(7), Folded}, {ok(at(5), at(8)), at(9), Resolved}},
		"an earlier start, late":                    {{fire(at(5)), at(6), Opened}, {fire(at(0)), at(7), Folded}, {ok(at(5), at(8)), at(9), Resolved}, {fire(at(0)), at(9), Late}},
		"a retry right after the end":               {{fire(at(0)), at(1), Opened}, {ok(at(0), at(2)), at(3), Resolved}, {fire(at(0)), at(3.9), Late}},
		"the sender lost sight of it for a while":   {{fire(at(0)), at(1), Opened}, {ok(at(0), at(2)), at(3), Resolved}, {fire(at(0)), at(8), Reopened}, {ok(at(0), at(9)), at(10), Resolved}},
		"no times at all":                           {{fire(none), at(1), Opened}, {fire(none), at(2), Folded}, {ok(none, none), at(3), Resolved}, {fire(none), at(4), Reopened}},
		"an end without a start":                    {{fire(at(0)), at(1), Opened}, {ok(none, at(2)), at(3), Resolved}},
		"an end before the start counts as with it": {{fire(at(2)), at(3), Opened}, {ok(at(2), at(1)), at(3), Resolved}},
		"a start in the future hides no end":        {{fire(at(60)), at(1), Opened}, {ok(at(60), at(2)), at(3), Resolved}},
		"an end in the future hides no start":       {{fire(at(0)), at(1), Opened}, {ok(at(0), at(600)), at(3), Resolved}, {fire(at(4)), at(5), Reopened}},
		"unknown":                                   {{moment{state: Unknown}, at(0), Late}, {fire(at(1)), at(1), Opened}, {moment{state: Unknown}, at(2), Folded}, {ok(none, at(3)), at(3), Resolved}},
	} {
		t.Run(name, func(t *testing.T) {
			var s spell
			for i, step := range steps {
				var got Change
				if s, got = next(s, step.m, step.now); got != step.want {
					t.Fatalf("step %d: %s, want %s (%+v)", i, got, step.want, s)
				}
				if (s.state == Alarm) != s.started.After(s.ended) {
					t.Fatalf("step %d: %+v", i, s)
				}
			}
		})
	}
}

// genMoments makes the signals of some spells, each sent any number of times.
func genMoments(t *rapid.T) []moment {
	var out []moment
	now := 0.0
	for range rapid.IntRange(1, 5).Draw(t, "spells") {
		start := now + rapid.Float64Range(0.1, 2).Draw(t, "gap")
		now = start + rapid.Float64Range(0.1, 2).Draw(t, "length")
		for range rapid.IntRange(0, 3).Draw(t, "firings") {
			out = append(out, moment{state: Alarm, starts: at(start)})
		}
		for range rapid.IntRange(0, 2).Draw(t, "ends") {
			m := moment{state: OK, starts: at(start), ends: at(now)}
			if rapid.Bool().Draw(t, "without start") {
				m.starts = none
			}
			out = append(out, m)
		}
	}
	return out
}

func TestAnyOrderEndsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moments := genMoments(t)
		play := func(order []moment) (s spell) {
			for _, m := range order {
				s, _ = next(s, m, at(100))
			}
			return spell{state: s.state, started: s.started, ended: s.ended}
		}
		want := play(moments)
		if got := play(rapid.Permutation(moments).Draw(t, "order")); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		if got := play(append(moments, moments...)); got != want {
			t.Fatalf("sent twice: %+v, want %+v", got, want)
		}
	})
}

// TestStandingAlarmIsNeverLost: whatever came before, an alarm that fires with a
// new start stands afterwards.
func TestStandingAlarmIsNeverLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spell
		for _, m := range rapid.Permutation(genMoments(t)).Draw(t, "order") {
			s, _ = next(s, m, at(100))
		}
		if s, _ = next(s, moment{state: Alarm, starts: at(101)}, at(101)); s.state != Alarm {
			t.Fatalf("%+v", s)
		}
	})
}
