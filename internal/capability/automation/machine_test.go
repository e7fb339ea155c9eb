package automation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func mark(kind effectKind) string {
	return [...]string{"", "enter", "iterate", "wait", "leave", "interrupt", "unwind", "finish"}[kind]
}

// story writes effects as words: "enter a 1", "leave a Success", "finish Success".
func story(fx []effect) []string {
	var out []string
	for _, f := range fx {
		w := []string{mark(f.kind)}
		if f.step != "" {
			w = append(w, f.step)
		}
		switch f.kind {
		case fxEnter, fxWait, fxInterrupt, fxIterate:
			w = append(w, fmt.Sprint(f.attempt))
		case fxLeave, fxFinish:
			w = append(w, f.status)
		}
		out = append(out, strings.Join(w, " "))
	}
	return out
}

// abc is a plan of three steps, changed by the edits.
func abc(edits ...func(p *plan)) *plan {
	p := &plan{}
	for _, n := range []string{"a", "b", "c"} {
		p.steps = append(p.steps, planStep{Name: n, Action: "aws:pause", MaxAttempts: 1, OnFailure: "Abort", OnCancel: "Abort", Critical: true})
	}
	for _, e := range edits {
		e(p)
	}
	return p
}

func on(i int, f func(s *planStep)) func(p *plan) { return func(p *plan) { f(&p.steps[i]) } }

// drive feeds events written as words and answers the story of all effects.
// "ok" and "fail" are about the running step, "+90s" moves the clock.
func drive(t *testing.T, p *plan, s state, words ...string) (state, []string) {
	t.Helper()
	now, got := t0, []string{}
	for _, word := range words {
		verb, arg, _ := strings.Cut(word, ":")
		if d, err := time.ParseDuration(strings.TrimPrefix(verb, "+")); err == nil {
			now = now.Add(d)
			continue
		}
		e := event{step: s.Step, attempt: s.Attempt, next: arg}
		switch verb {
		case "start":
			e.kind = evStart
		case "ok":
			e.kind = evSucceeded
		case "fail":
			e.kind, e.message = evFailed, "broke"
		case "reject":
			e.kind, e.message, e.final = evFailed, "no", true
		case "wait":
			e.kind = evWaiting
		case "deadline":
			e.kind = evDeadline
			if arg != "" {
				e.step, e.attempt = arg, 1
			}
		case "again":
			e.kind = evIterate
		case "cancel":
			e.kind = evCancel
		case "complete":
			e.kind = evComplete
		case "unwound":
			e.kind = evUnwound
		case "go":
			e.kind = evStartStep
		case "stop":
			e.kind = evStopStep
		default:
			t.Fatalf("unknown word %q", word)
		}
		next, fx, err := p.next(s, e, now)
		var r *refusal
		if errors.As(err, &r) {
			got = append(got, "refused")
			if diff := cmp.Diff(s, next); diff != "" || len(fx) > 0 {
				t.Fatalf("a refusal changed the state:\n%s", diff)
			}
			continue
		}
		s, got = next, append(got, story(fx)...)
	}
	return s, got
}

var machineLoop = abc(on(1, func(s *planStep) { s.Parent = "a"; s.Critical = true }))

var machineTests = []struct {
	name        string
	plan        *plan
	interactive bool
	words       string
	want        string
	status      string
}{
	{
		name: "in order", plan: abc(), words: "start ok ok ok",
		want: "enter a 1;leave a Success;enter b 1;leave b Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{name: "empty", plan: &plan{}, words: "start", want: "finish Failed", status: failed},
	{
		name: "nextStep", plan: abc(on(0, func(s *planStep) { s.Next = "c" })), words: "start ok ok",
		want: "enter a 1;leave a Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{
		name: "isEnd", plan: abc(on(0, func(s *planStep) { s.End = true })), words: "start ok",
		want: "enter a 1;leave a Success;finish Success", status: success,
	},
	{
		name: "isEnd after a failure that continues", plan: abc(on(0, func(s *planStep) { s.End, s.OnFailure, s.Critical = true, "Continue", false })), words: "start fail",
		want: "enter a 1;leave a Failed;finish Success", status: success,
	},
	{name: "abort", plan: abc(), words: "start fail", want: "enter a 1;leave a Failed;finish Failed", status: failed},
	{
		name: "abort of a step that is not critical", plan: abc(on(0, func(s *planStep) { s.Critical = false })), words: "start fail",
		want: "enter a 1;leave a Failed;finish Success", status: success,
	},
	{
		name: "continue", plan: abc(on(0, func(s *planStep) { s.OnFailure, s.Critical = "Continue", false })), words: "start fail ok ok",
		want: "enter a 1;leave a Failed;enter b 1;leave b Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{
		name: "continue but critical", plan: abc(on(0, func(s *planStep) { s.OnFailure = "Continue" })), words: "start fail ok ok",
		want: "enter a 1;leave a Failed;enter b 1;leave b Success;enter c 1;leave c Success;finish Failed", status: failed,
	},
	{
		name: "failure jumps", plan: abc(on(0, func(s *planStep) { s.OnFailure = "step:c" })), words: "start fail ok",
		want: "enter a 1;leave a Failed;enter c 1;leave c Success;finish Failed", status: failed,
	},
	{
		name: "failure jumps, not critical", plan: abc(on(0, func(s *planStep) { s.OnFailure, s.Critical = "step:c", false })), words: "start fail ok",
		want: "enter a 1;leave a Failed;enter c 1;leave c Success;finish Success", status: success,
	},
	{
		name: "attempts", plan: abc(on(0, func(s *planStep) { s.MaxAttempts = 3 })), words: "start fail fail ok ok ok",
		want: "enter a 1;enter a 2;enter a 3;leave a Success;enter b 1;leave b Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{
		name: "attempts used up", plan: abc(on(0, func(s *planStep) { s.MaxAttempts = 2 })), words: "start fail fail",
		want: "enter a 1;enter a 2;leave a Failed;finish Failed", status: failed,
	},
	{
		name: "a rejection is not tried again", plan: abc(on(0, func(s *planStep) { s.MaxAttempts = 2 })), words: "start wait reject",
		want: "enter a 1;wait a 1;leave a Failed;finish Failed", status: failed,
	},
	{
		name: "timeout", plan: abc(on(0, func(s *planStep) { s.Timeout = time.Minute })), words: "start deadline +60s deadline",
		want: "enter a 1;interrupt a 1;leave a TimedOut;finish TimedOut", status: timedOut,
	},
	{
		name: "timeout of an attempt", plan: abc(on(0, func(s *planStep) { s.Timeout, s.MaxAttempts = time.Minute, 2 })), words: "start +60s deadline deadline ok ok ok",
		want: "enter a 1;interrupt a 1;enter a 2;leave a Success;enter b 1;leave b Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{
		name: "timeout that goes elsewhere is still the status", plan: abc(on(0, func(s *planStep) { s.Timeout, s.OnFailure = time.Minute, "step:c" })), words: "start +60s deadline ok",
		want: "enter a 1;interrupt a 1;leave a TimedOut;enter c 1;leave c Success;finish TimedOut", status: timedOut,
	},
	{name: "branch", plan: abc(), words: "start ok:c ok", want: "enter a 1;leave a Success;enter c 1;leave c Success;finish Success", status: success},
	{name: "branch to nowhere", plan: abc(), words: "start ok:x", want: "enter a 1;leave a Success;finish Failed", status: failed},
	{name: "branch back", plan: abc(), words: "start ok ok:a", want: "enter a 1;leave a Success;enter b 1;leave b Success;finish Failed", status: failed},
	{name: "cancel", plan: abc(), words: "start cancel cancel", want: "enter a 1;interrupt a 1;leave a Cancelled;finish Cancelled;refused", status: cancelled},
	{
		name: "cancel path", plan: abc(on(0, func(s *planStep) { s.OnCancel = "step:c" })), words: "start cancel cancel ok",
		want: "enter a 1;interrupt a 1;leave a Cancelled;unwind;enter c 1;refused;leave c Success;finish Cancelled", status: cancelled,
	},
	{
		name: "cancel path too long", plan: abc(on(0, func(s *planStep) { s.OnCancel = "step:c" })), words: "start cancel +119s unwound +1s unwound ok",
		want: "enter a 1;interrupt a 1;leave a Cancelled;unwind;enter c 1;interrupt c 1;leave c Cancelled;finish Cancelled", status: cancelled,
	},
	{name: "cancel before the start", plan: abc(), words: "cancel start", want: "finish Cancelled", status: cancelled},
	{name: "complete", plan: abc(), words: "start complete ok cancel", want: "enter a 1;leave a Success;finish Success;refused", status: success},
	{name: "complete, then the step fails", plan: abc(on(0, func(s *planStep) { s.MaxAttempts = 3 })), words: "start complete fail", want: "enter a 1;leave a Failed;finish Failed", status: failed},
	{
		name: "interactive", plan: abc(), interactive: true, words: "start go:b go:a go:b ok go:b ok go ok",
		want: "refused;enter a 1;refused;leave a Success;enter b 1;leave b Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{name: "interactive, completed between steps", plan: abc(), interactive: true, words: "start go:a ok complete", want: "enter a 1;leave a Success;finish Success", status: success},
	{name: "start step of a run that is not interactive", plan: abc(), words: "start go:b", want: "enter a 1;refused", status: inProgress},
	{name: "stop step", plan: abc(on(0, func(s *planStep) { s.MaxAttempts = 2 })), words: "start stop stop", want: "enter a 1;interrupt a 1;leave a Cancelled;finish Cancelled;refused", status: cancelled},
	{
		name: "loop", plan: machineLoop, words: "start again ok again ok ok ok",
		want: "enter a 1;enter b 1;leave b Success;iterate a 1;enter b 1;leave b Success;iterate a 1;leave a Success;enter c 1;leave c Success;finish Success", status: success,
	},
	{name: "loop whose body fails", plan: machineLoop, words: "start again fail", want: "enter a 1;enter b 1;leave b Failed;leave a Failed;finish Failed", status: failed},
	{name: "loop cancelled", plan: machineLoop, words: "start again cancel", want: "enter a 1;enter b 1;interrupt b 1;leave b Cancelled;leave a Cancelled;finish Cancelled", status: cancelled},
	{name: "loop completed", plan: machineLoop, words: "start again complete ok ok", want: "enter a 1;enter b 1;leave b Success;iterate a 1;leave a Success;finish Success", status: success},
	{
		name: "loop out of time", plan: func() *plan {
			p := *machineLoop
			p.steps = append([]planStep{}, machineLoop.steps...)
			p.steps[0].Timeout = time.Minute
			return &p
		}(),
		words: "start again +60s deadline:a", want: "enter a 1;enter b 1;interrupt b 1;leave b TimedOut;leave a TimedOut;finish TimedOut", status: timedOut,
	},
}

func TestMachine(t *testing.T) {
	t.Parallel()
	for _, tc := range machineTests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, got := drive(t, tc.plan, state{Status: pending, Interactive: tc.interactive}, strings.Fields(tc.words)...)
			if diff := cmp.Diff(strings.Split(tc.want, ";"), got); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if s.Status != tc.status {
				t.Errorf("status %s, want %s", s.Status, tc.status)
			}
		})
	}
}

// Every run ends, ends once, and each step that is entered is left; nothing
// happens after the end.
func TestMachineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := genPlan(t)
		s, now := state{Status: pending, Interactive: rapid.Bool().Draw(t, "interactive")}, t0
		open, finished := map[string]int{}, 0
		for i := range 200 {
			e := genEvent(t, s)
			if i == 0 {
				e = event{kind: evStart}
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			was := s.ended()
			var fx []effect
			s, fx, _ = p.next(s, e, now)
			if was && len(fx) > 0 {
				t.Fatalf("effects after the end: %v", story(fx))
			}
			for _, f := range fx {
				switch f.kind {
				case fxEnter:
					if f.attempt == 1 {
						open[f.step]++
					}
				case fxLeave:
					open[f.step]--
				case fxFinish:
					finished++
				}
			}
			if s.ended() {
				for step, n := range open {
					if n != 0 {
						t.Fatalf("step %s: entered and left differ by %d", step, n)
					}
				}
				if finished != 1 {
					t.Fatalf("finished %d times", finished)
				}
			} else if finished > 0 {
				t.Fatalf("finished, but %s", s.Status)
			}
		}
	})
}

func genPlan(t *rapid.T) *plan {
	n := rapid.IntRange(1, 6).Draw(t, "steps")
	name := func(label string) string { return fmt.Sprintf("s%d", rapid.IntRange(0, n-1).Draw(t, label)) }
	p := &plan{}
	for i := range n {
		s := planStep{
			Name: fmt.Sprintf("s%d", i), MaxAttempts: rapid.IntRange(1, 3).Draw(t, "attempts"), OnFailure: "Abort", OnCancel: "Abort",
			Critical: rapid.Bool().Draw(t, "critical"), End: rapid.IntRange(0, 5).Draw(t, "end") == 0,
			Timeout: time.Duration(rapid.IntRange(0, 2).Draw(t, "timeout")) * time.Minute,
		}
		switch rapid.IntRange(0, 3).Draw(t, "failure") {
		case 0:
			s.OnFailure = "Continue"
		case 1:
			s.OnFailure = "step:" + name("to")
		}
		if rapid.Bool().Draw(t, "unwinds") {
			s.OnCancel = "step:" + name("unwind")
		}
		if i > 0 && rapid.Bool().Draw(t, "inner") {
			s.Parent = "s0"
		}
		p.steps = append(p.steps, s)
	}
	return p
}

func genEvent(t *rapid.T, s state) event {
	e := event{step: s.Step, attempt: s.Attempt, kind: eventKind(rapid.IntRange(int(evStart), int(evStopStep)).Draw(t, "event"))}
	if rapid.IntRange(0, 9).Draw(t, "rare") > 1 && (e.kind == evCancel || e.kind == evComplete) {
		e.kind = evSucceeded
	}
	if e.kind == evIterate && s.Step != "s0" {
		e.kind = evFailed
	}
	if e.kind == evDeadline && rapid.Bool().Draw(t, "loop deadline") {
		e.step, e.attempt = "s0", 1
	}
	if e.kind == evStartStep && len(s.ValidNext) > 0 {
		e.next = s.ValidNext[0]
	}
	return e
}
