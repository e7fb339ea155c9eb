package engage

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// phones is a phone book for the machine: plans by contact, dead channels.
type phones struct {
	plans map[string]Plan
	dead  map[string]bool
}

func (b phones) Plan(c string) (Plan, bool) { p, ok := b.plans[c]; return p, ok }
func (b phones) Reachable(c string) bool    { return !b.dead[c] }

var day = time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)

func person(name string, minutes ...int) Plan {
	p := Plan{Contact: name, Kind: Personal}
	for i, m := range minutes {
		p.Stages = append(p.Stages, Stage{Minutes: m, Targets: []Target{{Channel: fmt.Sprintf("%s/%d", name, i), RetryMinutes: 2}}})
	}
	return p
}

func escalation(stages ...Stage) Plan {
	return Plan{Contact: "plan", Kind: Escalation, Stages: stages}
}

func essential(minutes int, contacts ...string) Stage {
	s := Stage{Minutes: minutes}
	for _, c := range contacts {
		s.Targets = append(s.Targets, Target{Contact: c, Essential: true})
	}
	return s
}

// tell renders effects as a reader would: who is paged, which stage began.
func tell(s State, effects []Effect) []string {
	var out []string
	for _, e := range effects {
		switch e.Kind {
		case SendPage:
			t := s.Runs[e.Run].Plan.Stages[e.Slot.Stage].Targets[e.Slot.Target]
			out = append(out, fmt.Sprintf("page %s try %d", t.Channel, e.Slot.Try))
		case PlanEnded:
			out = append(out, "ended "+string(s.Outcome))
		default:
			out = append(out, fmt.Sprintf("%s %s %d", e.Kind, s.Runs[e.Run].Plan.Contact, e.Stage))
		}
	}
	return out
}

var storyPeople = map[string]Plan{
	"ann": person("ann", 0), "bob": person("bob", 5, 0), "nobody": {Contact: "nobody", Kind: Personal},
	"duty": {Contact: "duty", Kind: Schedule, Stages: []Stage{{Targets: []Target{{Contact: "ann"}}}}},
	"gap":  {Contact: "gap", Kind: Schedule},
}

// act is something that happens at a time after the start, and what it leads to.
type act struct {
	at   time.Duration // since the start
	ack  string
	stop bool
	want []string
}

type story struct {
	name  string
	root  Plan
	dead  map[string]bool
	first []string
	acts  []act
}

var stories = []story{
	{
		name:  "silence goes through all stages and ends",
		root:  escalation(essential(3, "ann"), essential(4, "bob")),
		first: []string{"stage plan 0", "stage ann 0", "page ann/0 try 0"},
		acts: []act{
			{at: 3*time.Minute - time.Microsecond},
			{at: 3 * time.Minute, want: []string{"stage plan 1", "stage bob 0", "page bob/0 try 0"}},
			{at: 7 * time.Minute},
			{at: 8 * time.Minute, want: []string{"stage bob 1", "page bob/1 try 0", "ended exhausted"}},
			{at: 9 * time.Minute, ack: "bob", want: []string{"ended acknowledged"}},
		},
	},
	{
		name:  "an essential answer stops later stages",
		root:  escalation(essential(3, "ann"), essential(4, "bob")),
		first: []string{"stage plan 0", "stage ann 0", "page ann/0 try 0"},
		acts: []act{
			{at: time.Minute, ack: "ann", want: []string{"ended acknowledged"}},
			{at: time.Hour},
		},
	},
	{
		name:  "an answer that does not stop the plan ends one's own stages",
		root:  escalation(Stage{Minutes: 9, Targets: []Target{{Contact: "bob"}}}, essential(0, "ann")),
		first: []string{"stage plan 0", "stage bob 0", "page bob/0 try 0"},
		acts: []act{
			{at: time.Minute, ack: "bob"},
			{at: 5 * time.Minute},
			{at: 9 * time.Minute, want: []string{"stage plan 1", "stage ann 0", "page ann/0 try 0", "ended exhausted"}},
		},
	},
	{
		name:  "stages that reach nobody are skipped at once",
		root:  escalation(Stage{Minutes: 30}, essential(30, "nobody", "gone", "gap"), essential(1, "ann")),
		first: []string{"skipped plan 0", "skipped plan 1", "stage plan 2", "stage ann 0", "page ann/0 try 0"},
	},
	{
		name:  "dead channels reach nobody",
		root:  escalation(essential(30, "ann"), essential(1, "bob")),
		dead:  map[string]bool{"ann/0": true},
		first: []string{"skipped ann 0", "skipped plan 0", "stage plan 1", "stage bob 0", "page bob/0 try 0"},
	},
	{
		name:  "nobody at all",
		root:  escalation(essential(30, "gone")),
		first: []string{"skipped plan 0", "ended exhausted"},
	},
	{
		name:  "the person on call stops the plan through the schedule",
		root:  escalation(essential(3, "duty"), essential(4, "bob")),
		first: []string{"stage plan 0", "stage duty 0", "stage ann 0", "page ann/0 try 0"},
		acts:  []act{{at: time.Minute, ack: "ann", want: []string{"ended acknowledged"}}},
	},
	{
		name:  "stop",
		root:  storyPeople["bob"],
		first: []string{"stage bob 0", "page bob/0 try 0"},
		acts: []act{
			{at: time.Minute, stop: true, want: []string{"ended stopped"}},
			{at: time.Hour, ack: "bob"},
			{at: time.Hour, stop: true},
		},
	},
}

func TestStory(t *testing.T) {
	t.Parallel()
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Machine{Unit: time.Minute, Book: phones{storyPeople, tt.dead}}
			s, effects := m.Start(tt.root, day)
			if d := cmp.Diff(tt.first, tell(s, effects)); d != "" {
				t.Fatalf("start (-want +got):\n%s", d)
			}
			for _, a := range tt.acts {
				now := day.Add(a.at)
				switch {
				case a.ack != "":
					s, effects = m.Acknowledge(s, a.ack, now)
				case a.stop:
					s, effects = m.Stop(s, now)
				default:
					s, effects = m.Tick(s, now)
				}
				if d := cmp.Diff(a.want, tell(s, effects)); d != "" {
					t.Fatalf("at %v (-want +got):\n%s", a.at, d)
				}
			}
		})
	}
}

func TestFailedPageIsSentAgain(t *testing.T) {
	t.Parallel()
	m := Machine{Unit: time.Minute, Book: phones{}}
	s, effects := m.Start(person("ann", 10), day)
	s, _ = m.Failed(s, effects[1].Slot, day.Add(time.Minute))
	if got, want := s.Next(), day.Add(3*time.Minute); !got.Equal(want) {
		t.Fatalf("next %v, want %v", got, want)
	}
	s, effects = m.Tick(s, day.Add(3*time.Minute))
	if d := cmp.Diff([]string{"page ann/0 try 1"}, tell(s, effects)); d != "" {
		t.Fatal(d)
	}
	s, _ = m.Acknowledge(s, "ann", day.Add(4*time.Minute))
	if s, _ = m.Failed(s, effects[0].Slot, day.Add(5*time.Minute)); !s.Next().IsZero() {
		t.Fatal("a page is sent again after the answer")
	}
}

// A stage whose pages all failed does not wait for its time to pass.
func TestFailedStageIsOverAtOnce(t *testing.T) {
	t.Parallel()
	now := func(name string, minutes ...int) Plan {
		p := person(name, minutes...)
		for i := range p.Stages {
			p.Stages[i].Targets[0].RetryMinutes = 0
		}
		return p
	}
	people := map[string]Plan{"ann": now("ann", 5, 0), "bob": now("bob", 0), "eve": now("eve", 0)}
	m := Machine{Unit: time.Minute, Book: phones{plans: people}}
	s, effects := m.Start(escalation(essential(30, "ann", "bob"), essential(30, "eve")), day)
	var got [][]string
	fail := func(run, stage int) {
		s, effects = m.Failed(s, Slot{Run: run, Stage: stage}, day)
		got = append(got, tell(s, effects))
	}
	fail(1, 0)
	fail(2, 0)
	fail(1, 1)
	fail(3, 0)
	want := [][]string{
		{"stage ann 1", "page ann/1 try 0"}, // her second channel at once
		nil,                                 // ann may still answer
		{"stage plan 1", "stage eve 0", "page eve/0 try 0"},
		{"ended exhausted"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

func drawPlans(t *rapid.T) (Plan, phones) {
	b := phones{plans: map[string]Plan{}, dead: map[string]bool{}}
	minutes := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 3)
	for i := range 4 {
		name := fmt.Sprintf("p%d", i)
		b.plans[name] = person(name, minutes.Draw(t, name)...)
		b.dead[name+"/0"] = rapid.Bool().Draw(t, "dead")
	}
	root := escalation()
	for range rapid.IntRange(0, 4).Draw(t, "stages") {
		s := Stage{Minutes: rapid.IntRange(0, 5).Draw(t, "minutes")}
		for range rapid.IntRange(0, 3).Draw(t, "targets") {
			who := fmt.Sprintf("p%d", rapid.IntRange(0, 5).Draw(t, "who"))
			s.Targets = append(s.Targets, Target{Contact: who, Essential: rapid.Bool().Draw(t, "essential")})
		}
		root.Stages = append(root.Stages, s)
	}
	return root, b
}

// Whatever the plan: it ends, no page goes out twice, none before its time and
// none after the end.
func TestMachineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		root, b := drawPlans(t)
		m := Machine{Unit: time.Minute, Book: b}
		now := day
		s, effects := m.Start(root, now)
		seen := map[Slot]bool{}
		for range 200 {
			over := s.Outcome != ""
			for _, e := range effects {
				if e.Kind == SendPage && seen[e.Slot] {
					t.Fatalf("page %+v twice", e.Slot)
				}
				seen[e.Slot] = seen[e.Slot] || e.Kind == SendPage
			}
			if over {
				if !s.Next().IsZero() {
					t.Fatal("an ended engagement has a deadline")
				}
				return
			}
			next := s.Next()
			if next.Before(now) {
				t.Fatalf("deadline %v is before %v", next, now)
			}
			if _, early := m.Tick(s, next.Add(-time.Microsecond)); len(early) != 0 {
				t.Fatalf("early effects %v", early)
			}
			now = next
			if len(effects) > 0 && effects[0].Kind != PlanEnded && rapid.Bool().Draw(t, "fail") {
				for _, e := range effects {
					if e.Kind == SendPage {
						s, effects = m.Failed(s, e.Slot, now)
						break
					}
				}
				continue
			}
			if rapid.IntRange(0, 9).Draw(t, "ack") == 0 {
				s, effects = m.Acknowledge(s, fmt.Sprintf("p%d", rapid.IntRange(0, 3).Draw(t, "who")), now)
				continue
			}
			s, effects = m.Tick(s, now)
		}
		t.Fatal("the engagement does not end")
	})
}
