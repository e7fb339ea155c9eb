package node

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// ListNodes lists the nodes that have reported, by id. A SyncName is not known: data of
// other accounts and regions is not gathered.
func (s *Service) ListNodes(ctx context.Context, in *ssm.ListNodesInput) (*ssm.ListNodesOutput, error) {
	var after string
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &ssm.ListNodesOutput{Nodes: []ssm.Node{}}
	nodes, err := s.summarized(ctx, in.SyncName, in.Filters, after)
	size := page.Limit(in.MaxResults, mostRows)
	if len(nodes) > size {
		nodes = nodes[:size]
		out.NextToken = new(page.Token(nodes[size-1].ID))
	}
	for i := range nodes {
		out.Nodes = append(out.Nodes, nodes[i].listed())
	}
	return out, err
}

// summarized is the nodes after an id that all filters select.
func (s *Service) summarized(ctx context.Context, sync *string, filters []ssm.NodeFilter, after string) (out []Node, err error) {
	if sync != nil {
		return nil, &ssm.ResourceDataSyncNotFoundException{Message: "The resource data sync " + *sync + " does not exist.", SyncName: sync}
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		out, err = list(tx, live(tx).And("id > ?", after).And("last_ping > 0"), 0)
		return err
	})
	return slices.DeleteFunc(out, func(n Node) bool {
		return slices.ContainsFunc(filters, func(f ssm.NodeFilter) bool { return !chosen(&n, f) })
	}), err
}

// chosen says that a node fits a filter.
func chosen(n *Node, f ssm.NodeFilter) bool {
	v := n.attributes()[string(f.Key)]
	switch f.Type {
	case ssm.NodeFilterOperatorTypeNotEqual:
		return !slices.Contains(f.Values, v)
	case ssm.NodeFilterOperatorTypeBeginWith:
		return slices.ContainsFunc(f.Values, func(w string) bool { return strings.HasPrefix(v, w) })
	}
	return slices.Contains(f.Values, v)
}

// attributes are what nodes are filtered and counted by.
func (n *Node) attributes() map[string]string {
	status := "Active"
	if !n.Online {
		status = "ConnectionLost"
	}
	return map[string]string{
		"AgentType": n.AgentName, "AgentVersion": n.AgentVersion, "ComputerName": n.ComputerName, "InstanceId": n.ID, "InstanceStatus": status,
		"IpAddress": n.IPAddress, "ManagedStatus": string(ssm.ManagedStatusManaged), "PlatformName": n.PlatformName, "PlatformType": n.PlatformType,
		"PlatformVersion": n.PlatformVersion, "ResourceType": string(ssm.ResourceTypeManagedInstance), "Region": n.Scope.Region, "AccountId": n.Scope.Account,
	}
}

func (n *Node) listed() ssm.Node {
	a := n.attributes()
	return ssm.Node{
		Id: &n.ID, CaptureTime: &n.LastPing, Region: &n.Scope.Region, Owner: &ssm.NodeOwnerInfo{AccountId: &n.Scope.Account},
		NodeType: &ssm.NodeType{Instance: &ssm.InstanceInfo{
			AgentType: ptr.OrNil(n.AgentName), AgentVersion: ptr.OrNil(n.AgentVersion), ComputerName: ptr.OrNil(n.ComputerName), InstanceStatus: new(a["InstanceStatus"]),
			IpAddress: ptr.OrNil(n.IPAddress), ManagedStatus: ssm.ManagedStatusManaged, PlatformName: ptr.OrNil(n.PlatformName), PlatformType: ssm.PlatformType(n.PlatformType),
			PlatformVersion: ptr.OrNil(n.PlatformVersion), ResourceType: ssm.ResourceTypeManagedInstance,
		}},
	}
}

// ListNodesSummary counts nodes by the values of attributes; nested aggregators count by
// the combinations.
func (s *Service) ListNodesSummary(ctx context.Context, in *ssm.ListNodesSummaryInput) (*ssm.ListNodesSummaryOutput, error) {
	from := 0
	if err := page.Parse(ptr.Value(in.NextToken), &from); err != nil || from < 0 {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	nodes, err := s.summarized(ctx, in.SyncName, in.Filters, "")
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for _, a := range in.Aggregators {
		all = append(all, countBy(nodes, chain(a))...)
	}
	from = min(from, len(all))
	size := page.Limit(in.MaxResults, mostRows)
	out := &ssm.ListNodesSummaryOutput{Summary: append([]map[string]string{}, all[from:min(from+size, len(all))]...)}
	if from+size < len(all) {
		out.NextToken = new(page.Token(from + size))
	}
	return out, nil
}

// chain is the attributes of an aggregator and of the first one nested in each.
func chain(a ssm.NodeAggregator) (out []string) {
	for {
		out = append(out, string(a.AttributeName))
		if len(a.Aggregators) == 0 {
			return out
		}
		a = a.Aggregators[0]
	}
}

func countBy(nodes []Node, names []string) (out []map[string]string) {
	const between = "\x00"
	counts := map[string]int{}
	for i := range nodes {
		a, key := nodes[i].attributes(), ""
		for _, name := range names {
			key += a[name] + between
		}
		counts[key]++
	}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		row := map[string]string{"Count": strconv.Itoa(counts[key])}
		for i, v := range strings.Split(strings.TrimSuffix(key, between), between) {
			row[names[i]] = v
		}
		out = append(out, row)
	}
	return out
}

// DescribeInstanceProperties lists nodes as DescribeInstanceInformation does, with the
// members that are known of machines of one's own, and operators in the filters.
func (s *Service) DescribeInstanceProperties(ctx context.Context, in *ssm.DescribeInstancePropertiesInput) (*ssm.DescribeInstancePropertiesOutput, error) {
	var after string
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &ssm.DescribeInstancePropertiesOutput{InstanceProperties: []ssm.InstanceProperty{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := live(tx).And("id > ?", after).And("last_ping > 0")
		if err := propertyFilters(tx, f, in); err != nil {
			return err
		}
		size := page.Limit(in.MaxResults, 1000)
		nodes, err := list(tx, f, size+1)
		if len(nodes) > size {
			nodes = nodes[:size]
			out.NextToken = new(page.Token(nodes[size-1].ID))
		}
		for i := range nodes {
			out.InstanceProperties = append(out.InstanceProperties, nodes[i].properties())
		}
		return err
	})
	return out, err
}

// propertyFilters adds both forms of filters.
func propertyFilters(tx *db.Tx, f *db.Filter, in *ssm.DescribeInstancePropertiesInput) error {
	for _, x := range in.InstancePropertyFilterList {
		if err := propertyFilter(tx, f, stringFilter{string(x.Key), x.ValueSet}, ""); err != nil {
			return err
		}
	}
	for _, x := range in.FiltersWithOperator {
		if err := propertyFilter(tx, f, stringFilter{ptr.Value(x.Key), x.Values}, x.Operator); err != nil {
			return err
		}
	}
	return nil
}

// propertyFilter adds one. Operators other than Equal are for the filters that are a
// column each; texts are compared as such.
func propertyFilter(tx *db.Tx, f *db.Filter, x stringFilter, operator ssm.InstancePropertyFilterOperator) error {
	if x.Key == "DocumentName" {
		return x.constant(f, "")
	}
	if operator == "" || operator == ssm.InstancePropertyFilterOperatorEqual {
		return x.apply(tx, f)
	}
	column, ok := filterColumns[x.Key]
	if !ok {
		return &ssm.InvalidInstancePropertyFilterValue{Message: "The operator " + string(operator) + " cannot be used with the filter " + x.Key + "."}
	}
	form := map[ssm.InstancePropertyFilterOperator]string{
		ssm.InstancePropertyFilterOperatorNotEqual: column + " <> ?", ssm.InstancePropertyFilterOperatorLessThan: column + " < ?",
		ssm.InstancePropertyFilterOperatorGreaterThan: column + " > ?", ssm.InstancePropertyFilterOperatorBeginWith: "substr(" + column + ", 1, length(?)) = ?",
	}[operator]
	var conditions []string
	var args []any
	for _, v := range x.Values {
		conditions = append(conditions, form)
		for range strings.Count(form, "?") {
			args = append(args, v)
		}
	}
	join := " or "
	if operator == ssm.InstancePropertyFilterOperatorNotEqual {
		join = " and "
	}
	f.And("("+strings.Join(conditions, join)+")", args...)
	return nil
}

func (n *Node) properties() ssm.InstanceProperty {
	i := n.project()
	return ssm.InstanceProperty{
		ActivationId: i.ActivationId, AgentVersion: i.AgentVersion, ComputerName: i.ComputerName, IPAddress: i.IPAddress, IamRole: i.IamRole, InstanceId: i.InstanceId,
		Name: i.Name, LastPingDateTime: i.LastPingDateTime, PingStatus: i.PingStatus, PlatformName: i.PlatformName, PlatformType: i.PlatformType,
		PlatformVersion: i.PlatformVersion, RegistrationDate: i.RegistrationDate, ResourceType: new(string(i.ResourceType)),
	}
}
