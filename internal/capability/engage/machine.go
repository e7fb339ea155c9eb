package engage

import "time"

// Kind says what the targets of a plan are.
type Kind string

// The kinds of plan, in the words of the contact types.
const (
	Personal   Kind = "PERSONAL"        // targets are channels
	Escalation Kind = "ESCALATION"      // targets are contacts
	Schedule   Kind = "ONCALL_SCHEDULE" // one stage: the people on call now
)

// Outcome is how an engagement ended; "" while it goes on.
type Outcome string

// The outcomes.
const (
	Acknowledged Outcome = "acknowledged" // somebody whose word stops the plan answered
	Stopped      Outcome = "stopped"      // StopEngagement, or the incident was resolved
	Exhausted    Outcome = "exhausted"    // every stage is over and nobody answered
)

// maxDepth bounds plan inside plan: escalation, schedule, person.
const maxDepth = 4

// Plan is what a contact wants done when it is engaged. Contact is its ARN.
type Plan struct {
	Contact string  `json:"contact"`
	Kind    Kind    `json:"kind"`
	Stages  []Stage `json:"stages,omitempty"`
}

// Stage is one step of a plan: its targets are engaged together, then Minutes
// pass before the next stage begins.
type Stage struct {
	Minutes int      `json:"minutes"`
	Targets []Target `json:"targets,omitempty"`
}

// Target is a channel (with RetryMinutes) or a contact (with Essential).
type Target struct {
	Channel      string `json:"channel,omitempty"`
	RetryMinutes int    `json:"retry,omitempty"`
	Contact      string `json:"contact,omitempty"`
	Essential    bool   `json:"essential,omitempty"`
}

// Book answers what plans refer to, at the moment it is asked.
type Book interface {
	// Plan is the plan of a contact; false when there is no such contact.
	Plan(contact string) (Plan, bool)
	// Reachable says whether a channel exists and is activated.
	Reachable(channel string) bool
}

// State is an engagement: the plan that was engaged is Runs[0], every contact
// engaged on its behalf follows.
type State struct {
	Runs    []Run   `json:"runs"`
	Retries []Retry `json:"retries,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
}

// Run is one plan in progress. The plan is the one of the moment it began.
type Run struct {
	Plan      Plan      `json:"plan"`
	Parent    int       `json:"parent"` // -1 for the plan that was engaged
	InStage   int       `json:"inStage"`
	Essential bool      `json:"essential,omitempty"`
	Stage     int       `json:"stage"`
	Due       time.Time `json:"due,omitzero"` // when the next stage begins; zero once ended
	Ended     bool      `json:"ended,omitempty"`
	Acked     bool      `json:"acked,omitempty"`
	Out       int       `json:"out,omitempty"`   // pages of the stage that did not fail
	Alive     int       `json:"alive,omitempty"` // pages of all stages that did not fail
}

// Retry is a page to be sent again because its delivery failed.
type Retry struct {
	Slot Slot      `json:"slot"`
	Due  time.Time `json:"due"`
}

// Slot names one page of an engagement: which run and stage wants which
// channel, and the how-manieth try it is.
type Slot struct {
	Run    int `json:"run"`
	Stage  int `json:"stage"`
	Target int `json:"target"`
	Try    int `json:"try"`
}

// EffectKind is what an effect asks for.
type EffectKind string

// The effects of a transition.
const (
	SendPage     EffectKind = "page"
	StageBegan   EffectKind = "stage"
	StageSkipped EffectKind = "skipped"
	PlanEnded    EffectKind = "ended" // the whole engagement
)

// Effect is one thing the caller does after a transition, in order.
type Effect struct {
	Kind  EffectKind
	Run   int
	Stage int
	Slot  Slot // of SendPage
}

// Machine holds what all transitions need and no state.
type Machine struct {
	Unit time.Duration // the length of one minute of a plan
	Book Book
}

// step is one transition under way.
type step struct {
	Machine
	s       State
	now     time.Time
	effects []Effect
}

// Start engages a plan.
func (m Machine) Start(root Plan, now time.Time) (State, []Effect) {
	t := &step{Machine: m, now: now}
	t.s.Runs = []Run{{Plan: root, Parent: -1, Essential: true}}
	t.begin(0, 0, 0)
	t.settle()
	return t.s, t.effects
}

// Tick does what is due at now; before that it changes nothing.
func (m Machine) Tick(s State, now time.Time) (State, []Effect) {
	if s.Outcome != "" {
		return s, nil
	}
	t := &step{Machine: m, s: s.clone(), now: now}
	for i := 0; i < len(t.s.Runs); i++ {
		if r := t.s.Runs[i]; !r.Ended && !r.Due.After(now) {
			t.begin(i, r.Stage+1, t.depth(i))
		}
	}
	t.retry()
	t.settle()
	return t.s, t.effects
}

// Acknowledge records that a contact answered. Their own plan ends; if their
// word stops the plan, every plan of the engagement ends. Pages already sent
// stay sent. An answer after the last stage still counts.
func (m Machine) Acknowledge(s State, contact string, now time.Time) (State, []Effect) {
	if s.Outcome == Acknowledged || s.Outcome == Stopped {
		return s, nil
	}
	t := &step{Machine: m, s: s.clone(), now: now}
	stops := false
	for i := range t.s.Runs {
		if t.s.Runs[i].Plan.Contact == contact {
			t.s.Runs[i].Acked = true
			t.end(i)
			stops = stops || t.stops(i)
		}
	}
	if stops {
		t.finish(Acknowledged)
	} else {
		t.settle()
	}
	return t.s, t.effects
}

// Stop ends an engagement from outside.
func (m Machine) Stop(s State, now time.Time) (State, []Effect) {
	if s.Outcome == Acknowledged || s.Outcome == Stopped {
		return s, nil
	}
	t := &step{Machine: m, s: s.clone(), now: now}
	t.finish(Stopped)
	return t.s, t.effects
}

// Failed records that a page could not be delivered. It is sent again after the
// retry interval of its target, if that has one and the person's plan goes on.
// A stage of which every page failed for good is over at once.
func (m Machine) Failed(s State, p Slot, now time.Time) (State, []Effect) {
	if s.Outcome != "" || p.Run >= len(s.Runs) {
		return s, nil
	}
	t := &step{Machine: m, s: s.clone(), now: now}
	r := &t.s.Runs[p.Run]
	if wait := r.Plan.Stages[p.Stage].Targets[p.Target].RetryMinutes; wait > 0 && !r.Ended {
		p.Try++
		t.s.Retries = append(t.s.Retries, Retry{Slot: p, Due: now.Add(time.Duration(wait) * m.Unit)})
		return t.s, nil
	}
	r.Alive--
	if p.Stage == r.Stage {
		r.Out--
	}
	if !r.Ended && r.Out == 0 {
		t.begin(p.Run, r.Stage+1, t.depth(p.Run))
	}
	t.giveUp(p.Run)
	t.settle()
	return t.s, t.effects
}

// giveUp goes on with the plans above a run that can reach nobody any more.
func (t *step) giveUp(run int) {
	r := t.s.Runs[run]
	if r.Parent < 0 || !t.hopeless(run) {
		return
	}
	parent := t.s.Runs[r.Parent]
	if parent.Ended {
		t.giveUp(r.Parent)
		return
	}
	for i, other := range t.s.Runs {
		if other.Parent == r.Parent && other.InStage == parent.Stage && !t.hopeless(i) {
			return
		}
	}
	if r.InStage == parent.Stage {
		t.begin(r.Parent, parent.Stage+1, t.depth(r.Parent))
		t.giveUp(r.Parent)
	}
}

// hopeless says that a run has ended and none of its pages got through.
func (t *step) hopeless(run int) bool {
	if r := t.s.Runs[run]; !r.Ended || r.Acked || r.Alive > 0 {
		return false
	}
	for i := run + 1; i < len(t.s.Runs); i++ {
		if t.s.Runs[i].Parent == run && !t.hopeless(i) {
			return false
		}
	}
	return true
}

// Next is when the engagement has to be looked at again; zero for never.
func (s State) Next() time.Time {
	var next time.Time
	if s.Outcome != "" {
		return next
	}
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, r := range s.Runs {
		if !r.Ended {
			earlier(r.Due)
		}
	}
	for _, r := range s.Retries {
		earlier(r.Due)
	}
	return next
}

// Path is the chain of runs that led to a run, the engaged plan first.
func (s State) Path(run int) []Run {
	r := s.Runs[run]
	if r.Parent < 0 {
		return []Run{r}
	}
	return append(s.Path(r.Parent), r)
}

// begin starts a stage of a run, and the ones after it as long as a stage
// reaches nobody or asks for no wait. It reports how many pages went out.
func (t *step) begin(run, stage, depth int) int {
	pages, plan := 0, t.s.Runs[run].Plan
	for ; stage < len(plan.Stages); stage++ {
		t.s.Runs[run].Stage, t.s.Runs[run].Out = stage, 0
		sent := t.engage(run, stage, depth)
		pages += sent
		if sent == 0 {
			t.effects = append(t.effects, Effect{Kind: StageSkipped, Run: run, Stage: stage})
			continue
		}
		if wait := time.Duration(plan.Stages[stage].Minutes) * t.Unit; wait > 0 {
			t.s.Runs[run].Due = t.now.Add(wait)
			return pages
		}
	}
	t.end(run)
	return pages
}

// engage pages the targets of one stage and reports how many pages went out.
func (t *step) engage(run, stage, depth int) int {
	mark, pages := len(t.effects), 0
	t.effects = append(t.effects, Effect{Kind: StageBegan, Run: run, Stage: stage})
	for i, target := range t.s.Runs[run].Plan.Stages[stage].Targets {
		switch {
		case target.Channel != "":
			sent := t.page(Slot{Run: run, Stage: stage, Target: i}, target.Channel)
			t.s.Runs[run].Out += sent
			t.s.Runs[run].Alive += sent
			pages += sent
		case target.Contact != "" && depth < maxDepth:
			pages += t.contact(run, stage, target, depth)
		}
	}
	if pages == 0 {
		t.effects = append(t.effects[:mark], t.effects[mark+1:]...)
	}
	return pages
}

func (t *step) page(p Slot, channel string) int {
	if !t.Book.Reachable(channel) {
		return 0
	}
	t.effects = append(t.effects, Effect{Kind: SendPage, Run: p.Run, Stage: p.Stage, Slot: p})
	return 1
}

// contact engages a contact on behalf of a run.
func (t *step) contact(run, stage int, target Target, depth int) int {
	plan, ok := t.Book.Plan(target.Contact)
	if !ok {
		return 0
	}
	essential := target.Essential || t.s.Runs[run].Plan.Kind == Schedule && t.s.Runs[run].Essential
	t.s.Runs = append(t.s.Runs, Run{Plan: plan, Parent: run, InStage: stage, Essential: essential})
	return t.begin(len(t.s.Runs)-1, 0, depth+1)
}

// retry sends again what failed and is due.
func (t *step) retry() {
	var later []Retry
	for _, r := range t.s.Retries {
		switch run := t.s.Runs[r.Slot.Run]; {
		case run.Ended:
		case r.Due.After(t.now):
			later = append(later, r)
		default:
			t.page(r.Slot, run.Plan.Stages[r.Slot.Stage].Targets[r.Slot.Target].Channel)
		}
	}
	t.s.Retries = later
}

// stops says whether the word of a run's contact stops the engaged plan: its
// own word does, and that of an essential contact all the way up.
func (t *step) stops(run int) bool {
	for ; run > 0; run = t.s.Runs[run].Parent {
		if !t.s.Runs[run].Essential {
			return false
		}
	}
	return true
}

func (t *step) depth(run int) int {
	return len(t.s.Path(run)) - 1
}

func (t *step) end(run int) {
	t.s.Runs[run].Ended, t.s.Runs[run].Due = true, time.Time{}
}

// settle finishes the engagement once all its plans have ended.
func (t *step) settle() {
	for _, r := range t.s.Runs {
		if !r.Ended {
			return
		}
	}
	if t.s.Outcome == "" {
		t.finish(Exhausted)
	}
}

func (t *step) finish(o Outcome) {
	for i := range t.s.Runs {
		t.end(i)
	}
	t.s.Retries, t.s.Outcome = nil, o
	t.effects = append(t.effects, Effect{Kind: PlanEnded})
}

// clone keeps a transition from writing into the state it was given.
func (s State) clone() State {
	s.Runs = append([]Run(nil), s.Runs...)
	s.Retries = append([]Retry(nil), s.Retries...)
	return s
}
