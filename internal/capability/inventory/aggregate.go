package inventory

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// aggregator counts nodes by the values of attributes, or by whether they fit a group.
type aggregator struct {
	keys   [][2]string // type and attribute, the outer before the inner
	groups []group
}

// group is a named set of filters.
type group struct {
	name    string
	filters conditions
}

// parseAggregators reads the list; nested ones make one aggregator for each way down.
func parseAggregators(list []ssm.InventoryAggregator) (out []aggregator, err error) {
	for _, a := range list {
		nested, err := parseAggregators(a.Aggregators)
		if err != nil {
			return nil, err
		}
		var own aggregator
		if a.Expression != nil {
			name, attribute, ok := splitKey(*a.Expression)
			if !ok {
				return nil, &ssm.InvalidAggregatorException{Message: "The expression " + *a.Expression + " is not the name of a type and an attribute."}
			}
			own.keys = [][2]string{{name, attribute}}
		}
		for _, g := range a.Groups {
			filters, err := parseFilters(g.Filters, true)
			if err != nil {
				return nil, &ssm.InvalidInventoryGroupException{Message: "The filters of the group " + ptr.Value(g.Name) + " are not valid."}
			}
			own.groups = append(own.groups, group{ptr.Value(g.Name), filters})
		}
		if len(own.keys) == 0 == (len(own.groups) == 0) {
			return nil, &ssm.InvalidAggregatorException{Message: "An aggregator has either an expression or groups."}
		}
		if len(nested) == 0 {
			out = append(out, own)
		}
		for _, n := range nested {
			out = append(out, aggregator{keys: slices.Concat(own.keys, n.keys), groups: slices.Concat(own.groups, n.groups)})
		}
	}
	return out, nil
}

func (a *aggregator) types(to []string) []string {
	for _, k := range a.keys {
		to = append(to, k[0])
	}
	for _, g := range a.groups {
		to = slices.AppendSeq(to, maps.Keys(g.filters))
	}
	return to
}

// aggregate answers one entity, with one item of counts for each aggregator, which is
// named by the type of its first expression or by its group.
//
// Assumption: the members matchingCount and notMatchingCount of groups, and that a node
// counts once for each combination of values that it has.
func (s *Service) aggregate(tx *db.Tx, q *query, nodes []node.Node, out *ssm.GetInventoryOutput) error {
	counts := make([]map[string]int, len(q.aggregators))
	matching := make([][]int, len(q.aggregators))
	for i := range counts {
		counts[i], matching[i] = map[string]int{}, make([]int, len(q.aggregators[i].groups))
	}
	total := 0
	err := s.each(tx, q, nodes, func(_ *node.Node, found map[string]item) bool {
		total++
		for i, a := range q.aggregators {
			for combination := range a.combinations(found) {
				counts[i][combination]++
			}
			for g := range a.groups {
				if a.groups[g].filters.fits(contents(found)) {
					matching[i][g]++
				}
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	data := map[string]ssm.InventoryResultItem{}
	for i, a := range q.aggregators {
		a.answer(data, counts[i], matching[i], total)
	}
	out.Entities = append(out.Entities, ssm.InventoryResultEntity{Data: data})
	return nil
}

func contents(found map[string]item) map[string][]map[string]string {
	out := map[string][]map[string]string{}
	for name, x := range found {
		out[name] = x.Content
	}
	return out
}

const between = "\x00"

// combinations are the distinct values of the keys on one node. Keys of the same type
// are about the same entry.
func (a *aggregator) combinations(found map[string]item) map[string]bool {
	if len(a.keys) == 0 {
		return nil
	}
	out := map[string]bool{"": true}
	for i := 0; i < len(a.keys); {
		n := 1
		for i+n < len(a.keys) && a.keys[i+n][0] == a.keys[i][0] {
			n++
		}
		next := map[string]bool{}
		for _, entry := range found[a.keys[i][0]].Content {
			text := ""
			for _, k := range a.keys[i : i+n] {
				text += entry[k[1]] + between
			}
			for before := range out {
				next[before+text] = true
			}
		}
		out, i = next, i+n
	}
	return out
}

// answer adds the counts to the data of the entity.
func (a *aggregator) answer(data map[string]ssm.InventoryResultItem, counts map[string]int, matching []int, total int) {
	if len(a.keys) > 0 {
		name := a.keys[0][0]
		x := data[name]
		x.TypeName = new(name)
		for _, combination := range slices.Sorted(maps.Keys(counts)) {
			entry := map[string]string{"Count": strconv.Itoa(counts[combination])}
			for i, v := range strings.Split(strings.TrimSuffix(combination, between), between) {
				entry[a.keys[i][1]] = v
			}
			x.Content = append(x.Content, entry)
		}
		data[name] = x
	}
	for i, g := range a.groups {
		data[g.name] = ssm.InventoryResultItem{TypeName: new(g.name), Content: []map[string]string{
			{"matchingCount": strconv.Itoa(matching[i])}, {"notMatchingCount": strconv.Itoa(total - matching[i])},
		}}
	}
}
