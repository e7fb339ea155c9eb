package ssmdoc

import (
	"slices"
	"strings"
)

// end stands for the end of the execution among the steps that may follow.
const end = -1

// checkFlow refuses a list of steps in which some step that can be reached
// leads back to itself and never to the end. A way out is a choice, a step's
// place as the last one, isEnd, or an onFailure that names a step or goes on.
func checkFlow(at place, steps []Step) error {
	next := make([][]int, len(steps))
	for i := range steps {
		next[i] = followers(steps, i)
	}
	exits := leadsToEnd(next)
	for _, i := range reached(next) {
		if !exits[i] {
			return cycleError(at, steps, next, i)
		}
	}
	return nil
}

// followers are the places of the steps that may run after a step without a
// signal from outside.
func followers(steps []Step, i int) []int {
	s := &steps[i]
	find := func(name string) int {
		return slices.IndexFunc(steps, func(s Step) bool { return s.Name == name })
	}
	success := end
	switch {
	case s.IsEnd:
	case s.NextStep != "":
		success = find(s.NextStep)
	case i+1 < len(steps):
		success = i + 1
	}
	var out []int
	if s.Branch != nil {
		for _, c := range s.Branch.Choices {
			out = append(out, find(c.NextStep))
		}
		if s.Branch.Default != "" {
			success = find(s.Branch.Default)
		}
	}
	out = append(out, success)
	if target, ok := strings.CutPrefix(s.OnFailure, "step:"); ok {
		out = append(out, find(target))
	}
	return out
}

// leadsToEnd says for each step whether some way from it reaches the end.
func leadsToEnd(next [][]int) []bool {
	out := make([]bool, len(next))
	for changed := true; changed; {
		changed = false
		for i := len(next) - 1; i >= 0; i-- {
			if out[i] || !slices.ContainsFunc(next[i], func(f int) bool { return f == end || out[f] }) {
				continue
			}
			out[i], changed = true, true
		}
	}
	return out
}

// reached yields the steps that a run can come to, in the order of a walk.
func reached(next [][]int) []int {
	seen, order := make([]bool, len(next)), []int{}
	var walk func(int)
	walk = func(i int) {
		if i == end || seen[i] {
			return
		}
		seen[i] = true
		order = append(order, i)
		for _, f := range next[i] {
			walk(f)
		}
	}
	walk(0)
	return order
}

// cycleError names the steps of the cycle and the one that goes back.
func cycleError(at place, steps []Step, next [][]int, from int) error {
	way, seen := []int{}, map[int]bool{}
	i := from
	for ; !seen[i]; i = next[i][0] {
		seen[i] = true
		way = append(way, i)
	}
	last := way[len(way)-1]
	names := []string{}
	for _, j := range way[slices.Index(way, i):] {
		names = append(names, steps[j].Name)
	}
	names = append(names, steps[i].Name)
	s := &steps[last]
	line := s.Line
	if n := s.Node.Get("nextStep"); n != nil {
		line = n.Line
	}
	return place{s.Name, at.path}.index(last).errorf(line, "the steps run in a cycle that never ends: %s", strings.Join(names, " -> "))
}
