package node_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
)

// three makes two Linux nodes and one Windows node.
func (x fixture) three() (a, b, win string) {
	a, b, win = x.register("a"), x.register("b"), x.register("w")
	x.must(x.Report(x.ctx, b, node.Report{AgentVersion: "2.0"}))
	x.must(x.Report(x.ctx, win, node.Report{PlatformType: "Windows"}))
	return a, b, win
}

func TestListNodes(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		a, b, win := x.three()
		for name, c := range map[string]struct {
			filter ssm.NodeFilter
			want   []string
		}{
			"equal":     {ssm.NodeFilter{Key: "PlatformType", Values: []string{"Linux"}}, []string{a, b}},
			"not equal": {ssm.NodeFilter{Key: "PlatformType", Values: []string{"Linux"}, Type: ssm.NodeFilterOperatorTypeNotEqual}, []string{win}},
			"begin":     {ssm.NodeFilter{Key: "AgentVersion", Values: []string{"2"}, Type: ssm.NodeFilterOperatorTypeBeginWith}, []string{b}},
			"region":    {ssm.NodeFilter{Key: "Region", Values: []string{"elsewhere"}}, nil},
		} {
			got, want := map[string]bool{}, map[string]bool{}
			in := &ssm.ListNodesInput{Filters: []ssm.NodeFilter{c.filter}, MaxResults: new(int32(1))}
			for {
				out, err := x.ListNodes(x.ctx, in)
				x.must(err)
				for _, n := range out.Nodes {
					got[*n.Id] = true
				}
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			for _, id := range c.want {
				want[id] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		_, err := x.ListNodes(x.ctx, &ssm.ListNodesInput{SyncName: new("s")})
		x.wantCode(err, "ResourceDataSyncNotFoundException")
	})
}

func TestListNodesSummary(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		x.three()
		out, err := x.ListNodesSummary(x.ctx, &ssm.ListNodesSummaryInput{Aggregators: []ssm.NodeAggregator{{
			AggregatorType: ssm.NodeAggregatorTypeCount, TypeName: ssm.NodeTypeNameInstance, AttributeName: ssm.NodeAttributeNamePlatformType,
			Aggregators: []ssm.NodeAggregator{{AttributeName: ssm.NodeAttributeNameAgentVersion}},
		}}})
		x.must(err)
		want := []map[string]string{
			{"Count": "1", "PlatformType": "Linux", "AgentVersion": "1.0"},
			{"Count": "1", "PlatformType": "Linux", "AgentVersion": "2.0"},
			{"Count": "1", "PlatformType": "Windows", "AgentVersion": "1.0"},
		}
		if diff := cmp.Diff(want, out.Summary); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDescribeInstanceProperties(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		_, b, win := x.three()
		get := func(key string, operator ssm.InstancePropertyFilterOperator, values ...string) (ids []string, err error) {
			out, err := x.DescribeInstanceProperties(x.ctx, &ssm.DescribeInstancePropertiesInput{FiltersWithOperator: []ssm.InstancePropertyStringFilter{{Key: &key, Operator: operator, Values: values}}})
			if out != nil {
				for _, p := range out.InstanceProperties {
					ids = append(ids, *p.InstanceId)
				}
			}
			return ids, err
		}
		for operator, want := range map[ssm.InstancePropertyFilterOperator]string{"GreaterThan": b, "BeginWith": b} {
			if got, err := get("AgentVersion", operator, map[ssm.InstancePropertyFilterOperator]string{"GreaterThan": "1.5", "BeginWith": "2."}[operator]); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%s: %v, %v", operator, got, err)
			}
		}
		if got, err := get("PlatformTypes", "NotEqual", "Linux"); err != nil || len(got) != 1 || got[0] != win {
			t.Errorf("not equal: %v, %v", got, err)
		}
		if got, err := get("tag:Role", "Equal", "x"); err != nil || len(got) != 0 {
			t.Errorf("tag: %v, %v", got, err)
		}
		_, err := get("PingStatus", "LessThan", "Online")
		x.wantCode(err, "InvalidInstancePropertyFilterValue")
	})
}
