package inventory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

const mostRows = 50

// ListInventoryEntries lists the entries of one type on one node.
func (s *Service) ListInventoryEntries(ctx context.Context, in *ssm.ListInventoryEntriesInput) (*ssm.ListInventoryEntriesOutput, error) {
	from := 0
	if err := page.Parse(ptr.Value(in.NextToken), &from); err != nil || from < 0 {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	if err := checkType(*in.TypeName); err != nil {
		return nil, err
	}
	filter, err := entryFilter(in)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListInventoryEntriesOutput{InstanceId: in.InstanceId, TypeName: in.TypeName, Entries: []map[string]string{}}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		n, err := s.Nodes.Get(tx, *in.InstanceId)
		if err != nil {
			return err
		}
		found, err := s.read(tx, []node.Node{*n}, []string{*in.TypeName})
		x, ok := found[n.ID][*in.TypeName]
		if err != nil || !ok {
			return err
		}
		out.SchemaVersion, out.CaptureTime = new(x.SchemaVersion), ptr.OrNil(x.CaptureTime)
		entries := slices.DeleteFunc(x.Content, func(e map[string]string) bool { return !fits(e, filter) })
		size := page.Limit(in.MaxResults, mostRows)
		from = min(from, len(entries))
		if out.Entries = append(out.Entries, entries[from:min(from+size, len(entries))]...); from+size < len(entries) {
			out.NextToken = new(page.Token(from + size))
		}
		return nil
	})
	return out, err
}

// entryFilter reads filters whose keys are attributes, with the type before them or not.
func entryFilter(in *ssm.ListInventoryEntriesInput) (out []condition, err error) {
	for _, f := range in.Filters {
		attribute := strings.TrimPrefix(ptr.Value(f.Key), *in.TypeName+".")
		if strings.ContainsAny(attribute, ".:") || f.Type == ssm.InventoryQueryOperatorTypeExists {
			return nil, &ssm.InvalidFilter{Message: "The filter on " + ptr.Value(f.Key) + " is not one on an attribute of the type."}
		}
		out = append(out, condition{attribute, f.Type, f.Values})
	}
	return out, nil
}

// read gives the items of nodes by node and type, those included that are made here.
func (s *Service) read(tx *db.Tx, nodes []node.Node, names []string) (map[string]map[string]item, error) {
	ids := make([]string, len(nodes))
	out := map[string]map[string]item{}
	for i := range nodes {
		ids[i] = nodes[i].ID
		out[ids[i]] = map[string]item{}
		if slices.Contains(names, instanceInformation) {
			out[ids[i]][instanceInformation] = information(&nodes[i])
		}
	}
	list, err := items(tx, scoped(tx).In("node_id", ids).In("type", names), true)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		out[x.NodeID][x.Type] = x
	}
	if slices.Contains(names, tagType) {
		return out, s.tags(tx, ids, out)
	}
	return out, nil
}

// information is what the service itself knows of a node.
func information(n *node.Node) item {
	status := "Active"
	if !n.Online {
		status = "ConnectionLost"
	}
	entry := map[string]string{
		"AgentType": n.AgentName, "AgentVersion": n.AgentVersion, "ComputerName": n.ComputerName, "InstanceId": n.ID, "InstanceStatus": status, "IpAddress": n.IPAddress,
		"PlatformName": n.PlatformName, "PlatformType": n.PlatformType, "PlatformVersion": n.PlatformVersion, "ResourceType": string(ssm.ResourceTypeManagedInstance),
	}
	maps.DeleteFunc(entry, func(_, v string) bool { return v == "" })
	captured := ""
	if !n.LastPing.IsZero() {
		captured = n.LastPing.UTC().Format("2006-01-02T15:04:05Z")
	}
	return item{NodeID: n.ID, Type: instanceInformation, SchemaVersion: "1.0", CaptureTime: captured, Content: []map[string]string{entry}}
}

func (s *Service) tags(tx *db.Tx, ids []string, out map[string]map[string]item) error {
	all, err := tagging.GetAll(tx, node.TagKind, ids)
	if err != nil {
		return err
	}
	for id, tags := range all {
		x := item{NodeID: id, Type: tagType, SchemaVersion: "1.0"}
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			x.Content = append(x.Content, map[string]string{"Key": k, "Value": tags[k]})
		}
		out[id][tagType] = x
	}
	return nil
}

// GetInventory queries the items of all nodes, one entity for each that fits, by id;
// with aggregators it counts instead.
func (s *Service) GetInventory(ctx context.Context, in *ssm.GetInventoryInput) (*ssm.GetInventoryOutput, error) {
	q, err := parseQuery(in)
	if err != nil {
		return nil, err
	}
	out := &ssm.GetInventoryOutput{Entities: []ssm.InventoryResultEntity{}}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		nodes, err := s.Nodes.Match(tx, nil)
		if err != nil {
			return err
		}
		if len(q.aggregators) > 0 {
			return s.aggregate(tx, q, nodes, out)
		}
		i, _ := slices.BinarySearchFunc(nodes, q.after, func(n node.Node, id string) int { return strings.Compare(n.ID, id) })
		if i < len(nodes) && nodes[i].ID == q.after {
			i++
		}
		return s.each(tx, q, nodes[i:], func(n *node.Node, found map[string]item) bool {
			if len(out.Entities) == q.size {
				out.NextToken = new(page.Token(*out.Entities[q.size-1].Id))
				return false
			}
			out.Entities = append(out.Entities, ssm.InventoryResultEntity{Id: new(n.ID), Data: q.data(found)})
			return true
		})
	})
	return out, err
}

// query is the input of GetInventory, checked.
type query struct {
	after       string
	size        int
	filters     conditions
	results     []string // types that are asked for
	types       []string // types that have to be read
	aggregators []aggregator
}

func parseQuery(in *ssm.GetInventoryInput) (*query, error) {
	q := &query{size: page.Limit(in.MaxResults, mostRows)}
	if err := page.Parse(ptr.Value(in.NextToken), &q.after); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	for _, r := range in.ResultAttributes {
		if err := checkType(ptr.Value(r.TypeName)); err != nil {
			return nil, &ssm.InvalidResultAttributeException{Message: "The type " + ptr.Value(r.TypeName) + " does not exist."}
		}
		q.results = append(q.results, *r.TypeName)
	}
	if len(q.results) == 0 {
		q.results = []string{instanceInformation}
	}
	var err error
	if q.filters, err = parseFilters(in.Filters, len(in.Aggregators) > 0); err != nil {
		return nil, err
	}
	if q.aggregators, err = parseAggregators(in.Aggregators); err != nil {
		return nil, err
	}
	q.types = slices.Collect(maps.Keys(q.filters))
	if len(q.aggregators) == 0 {
		q.types = append(q.types, q.results...)
	}
	for i := range q.aggregators {
		q.types = q.aggregators[i].types(q.types)
	}
	slices.Sort(q.types)
	q.types = slices.Compact(q.types)
	return q, nil
}

func (q *query) data(found map[string]item) map[string]ssm.InventoryResultItem {
	out := map[string]ssm.InventoryResultItem{}
	for _, name := range q.results {
		x, ok := found[name]
		if !ok {
			continue
		}
		content := x.Content
		if content == nil {
			content = []map[string]string{}
		}
		out[name] = ssm.InventoryResultItem{
			TypeName: new(name), SchemaVersion: new(x.SchemaVersion), CaptureTime: ptr.OrNil(x.CaptureTime), ContentHash: ptr.OrNil(x.Hash), Content: content,
		}
	}
	return out
}

// each calls f for the nodes that fit, until it says false.
func (s *Service) each(tx *db.Tx, q *query, nodes []node.Node, f func(*node.Node, map[string]item) bool) error {
	const batch = 20 // an item can have megabytes
	for some := range slices.Chunk(nodes, batch) {
		found, err := s.read(tx, some, q.types)
		if err != nil {
			return err
		}
		for i := range some {
			x := found[some[i].ID]
			content := map[string][]map[string]string{}
			for name := range q.filters {
				content[name] = x[name].Content
			}
			if q.filters.fits(content) && !f(&some[i], x) {
				return nil
			}
		}
	}
	return nil
}
