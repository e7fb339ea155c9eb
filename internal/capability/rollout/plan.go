package rollout

import (
	"slices"
	"strconv"
	"strings"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/lang/ptr"
)

// defaultWaves are those of a rollout that names none: a canary, then small
// shares, then the rest, with ten minutes between them.
var defaultWaves = []api.Wave{
	{Size: new("1"), BakeSeconds: new(int32(600))},
	{Size: new("5%"), BakeSeconds: new(int32(600))},
	{Size: new("25%"), BakeSeconds: new(int32(600))},
	{Size: new("100%")},
}

// reach is how many of n nodes a size means: so many have been reached when the
// wave is over, those of the waves before it included. A share is rounded up.
func reach(size string, n int) int {
	if percent, ok := strings.CutSuffix(size, "%"); ok {
		p, _ := strconv.Atoi(percent)
		return (n*p + 99) / 100
	}
	k, _ := strconv.Atoi(size)
	return min(k, n)
}

// budget reads MaxErrors for n nodes; a share is rounded down.
func budget(maxErrors string, n int) int {
	if percent, ok := strings.CutSuffix(maxErrors, "%"); ok {
		p, _ := strconv.Atoi(percent)
		return n * p / 100
	}
	k, _ := strconv.Atoi(maxErrors)
	return k
}

// target is a node of a rollout. Wave counts from 0; -1 for a node that no wave
// takes.
type target struct {
	Node     string
	Wave     int
	Position int
	Details  string
	Why      string
}

// allot puts the nodes into waves, connected ones first, and counts them.
func allot(nodes []command.Target, waves []api.Wave) ([]target, []wave) {
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b command.Target) int { return rank(&a) - rank(&b) })
	usable := 0
	for usable < len(nodes) && rank(&nodes[usable]) < 2 {
		usable++
	}
	out, at := make([]wave, len(waves)), 0
	list := make([]target, 0, len(nodes))
	for i, w := range waves {
		out[i] = wave{Size: ptr.Value(w.Size), Bake: int(ptr.Value(w.BakeSeconds)), Status: wavePending}
		for end := reach(out[i].Size, usable); at < end; at++ {
			list = append(list, target{Node: nodes[at].NodeID, Wave: i, Position: at})
			out[i].Targets++
		}
	}
	for ; at < len(nodes); at++ {
		t := target{Node: nodes[at].NodeID, Wave: -1, Position: at, Details: nodes[at].Details, Why: nodes[at].Why}
		if at < usable {
			t.Details, t.Why = "Skipped", "the waves end before this node"
		}
		list = append(list, t)
	}
	return list, out
}

// rank sorts nodes: connected, not connected, not to be used.
func rank(t *command.Target) int {
	switch {
	case t.Details != "Pending":
		return 2
	case t.Online:
		return 0
	}
	return 1
}
