package compliance

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const (
	mostRows = 50
	batch    = 100
)

// position is where a list goes on: after this resource and type, or at an item of it.
type position struct {
	Resource string `json:"r"`
	Type     string `json:"t"`
	Item     int    `json:"i,omitempty"` // counted from 1, 0 for none
}

func from(token *string) (p position, err error) {
	if err := page.Parse(ptr.Value(token), &p); err != nil || p.Item < 0 {
		return p, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	return p, nil
}

// each calls f for the uploads from p on, by resource and type, until it says false.
func each(tx *db.Tx, p position, narrow func(*db.Filter), f func(*upload) bool) error {
	inclusive := p.Item > 0
	for {
		where := scoped(tx)
		if narrow != nil {
			narrow(where)
		}
		than := ">"
		if inclusive {
			than = ">="
		}
		where.And("(resource_id > ? or resource_id = ? and type "+than+" ?)", p.Resource, p.Resource, p.Type)
		list, err := uploads(tx, where, batch)
		if err != nil {
			return err
		}
		for i := range list {
			if !f(&list[i]) {
				return nil
			}
		}
		if len(list) < batch {
			return nil
		}
		p, inclusive = position{Resource: list[batch-1].ResourceID, Type: list[batch-1].Type}, false
	}
}

// ListComplianceItems lists items by resource and type.
func (s *Service) ListComplianceItems(ctx context.Context, in *ssm.ListComplianceItemsInput) (*ssm.ListComplianceItemsOutput, error) {
	p, err := from(in.NextToken)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(in.ResourceTypes, func(t string) bool { return t != resourceType }) {
		return nil, &ssm.InvalidResourceType{Message: "The resource type must be " + resourceType + "."}
	}
	filters, err := parse(in.Filters, "ComplianceType", "ExecutionId", "ExecutionType", "Id", "ResourceId", "Severity", "Status", "Title")
	if err != nil {
		return nil, err
	}
	out, size := &ssm.ListComplianceItemsOutput{ComplianceItems: []ssm.ComplianceItem{}}, page.Limit(in.MaxResults, mostRows)
	narrow := func(f *db.Filter) {
		if len(in.ResourceIds) > 0 {
			f.In("resource_id", in.ResourceIds)
		}
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		return each(tx, p, narrow, func(u *upload) bool {
			start := 0
			if u.ResourceID == p.Resource && u.Type == p.Type {
				start = min(max(p.Item-1, 0), len(u.Items))
			}
			for i, x := range u.Items[start:] {
				if !filters.fit(u, &x) {
					continue
				}
				if len(out.ComplianceItems) == size {
					out.NextToken = new(page.Token(position{u.ResourceID, u.Type, start + i + 1}))
					return false
				}
				out.ComplianceItems = append(out.ComplianceItems, project(u, &x))
			}
			return true
		})
	})
	return out, err
}

func project(u *upload, x *ssm.ComplianceItemEntry) ssm.ComplianceItem {
	return ssm.ComplianceItem{
		ComplianceType: new(u.Type), ResourceId: new(u.ResourceID), ResourceType: new(u.ResourceType), ExecutionSummary: new(u.Execution),
		Id: x.Id, Title: x.Title, Severity: x.Severity, Status: x.Status, Details: x.Details,
	}
}

// ListComplianceSummaries counts resources by compliance type: one is non-compliant
// with the severity of its worst item.
func (s *Service) ListComplianceSummaries(ctx context.Context, in *ssm.ListComplianceSummariesInput) (*ssm.ListComplianceSummariesOutput, error) {
	p, err := from(in.NextToken)
	if err != nil {
		return nil, err
	}
	filters, err := parse(in.Filters, "ComplianceType", "ResourceId", "Severity", "Status", "PatchBaselineId", "PatchGroup")
	if err != nil {
		return nil, err
	}
	sums := map[string]*tally{}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		return each(tx, position{}, nil, func(u *upload) bool {
			if !filters.fitsAny(u) {
				return true
			}
			if sums[u.Type] == nil {
				sums[u.Type] = &tally{}
			}
			c := count(u.Items)
			sums[u.Type].add(c.status(), c.severity(), 1)
			return true
		})
	})
	out := &ssm.ListComplianceSummariesOutput{ComplianceSummaryItems: []ssm.ComplianceSummaryItem{}}
	size := page.Limit(in.MaxResults, mostRows)
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if name <= p.Type {
			continue
		}
		if len(out.ComplianceSummaryItems) == size {
			out.NextToken = new(page.Token(position{Type: *out.ComplianceSummaryItems[size-1].ComplianceType}))
			break
		}
		x := ssm.ComplianceSummaryItem{ComplianceType: new(name)}
		x.CompliantSummary, x.NonCompliantSummary = sums[name].project()
		out.ComplianceSummaryItems = append(out.ComplianceSummaryItems, x)
	}
	return out, err
}

// ListResourceComplianceSummaries counts the items of each resource and type.
func (s *Service) ListResourceComplianceSummaries(ctx context.Context, in *ssm.ListResourceComplianceSummariesInput) (*ssm.ListResourceComplianceSummariesOutput, error) {
	p, err := from(in.NextToken)
	if err != nil {
		return nil, err
	}
	filters, err := parse(in.Filters, "ComplianceType", "OverallSeverity", "ResourceId", "Severity", "Status", "PatchBaselineId", "PatchGroup")
	if err != nil {
		return nil, err
	}
	out, size := &ssm.ListResourceComplianceSummariesOutput{ResourceComplianceSummaryItems: []ssm.ResourceComplianceSummaryItem{}}, page.Limit(in.MaxResults, mostRows)
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		return each(tx, position{Resource: p.Resource, Type: p.Type}, nil, func(u *upload) bool {
			if !filters.fitsAny(u) {
				return true
			}
			if n := len(out.ResourceComplianceSummaryItems); n == size {
				last := out.ResourceComplianceSummaryItems[n-1]
				out.NextToken = new(page.Token(position{Resource: *last.ResourceId, Type: *last.ComplianceType}))
				return false
			}
			out.ResourceComplianceSummaryItems = append(out.ResourceComplianceSummaryItems, summary(u))
			return true
		})
	})
	return out, err
}

func summary(u *upload) ssm.ResourceComplianceSummaryItem {
	c := count(u.Items)
	x := ssm.ResourceComplianceSummaryItem{
		ComplianceType: new(u.Type), ResourceId: new(u.ResourceID), ResourceType: new(u.ResourceType), ExecutionSummary: new(u.Execution),
		Status: c.status(), OverallSeverity: c.severity(),
	}
	x.CompliantSummary, x.NonCompliantSummary = c.project()
	return x
}

// filters are those of a list.
type filters []ssm.ComplianceStringFilter

func parse(list []ssm.ComplianceStringFilter, known ...string) (filters, error) {
	for _, f := range list {
		if !slices.Contains(known, ptr.Value(f.Key)) {
			return nil, &ssm.InvalidFilter{Message: "The filter key " + ptr.Value(f.Key) + " is not valid."}
		}
	}
	return list, nil
}

// fit says that an item of an upload fits all filters.
func (f filters) fit(u *upload, x *ssm.ComplianceItemEntry) bool {
	values := map[string]string{
		"ComplianceType": u.Type, "ResourceId": u.ResourceID, "ExecutionId": ptr.Value(u.Execution.ExecutionId), "ExecutionType": ptr.Value(u.Execution.ExecutionType),
		"Id": ptr.Value(x.Id), "Title": ptr.Value(x.Title), "Severity": string(x.Severity), "Status": string(x.Status),
		"PatchBaselineId": x.Details["PatchBaselineId"], "PatchGroup": x.Details["PatchGroup"],
	}
	return f.among(values)
}

// fitsAny says that a resource fits: its status and worst severity are those of all
// its items together.
func (f filters) fitsAny(u *upload) bool {
	c := count(u.Items)
	values := map[string]string{
		"ComplianceType": u.Type, "ResourceId": u.ResourceID, "Status": string(c.status()), "Severity": string(c.severity()), "OverallSeverity": string(c.severity()),
	}
	if len(u.Items) > 0 {
		values["PatchBaselineId"], values["PatchGroup"] = u.Items[0].Details["PatchBaselineId"], u.Items[0].Details["PatchGroup"]
	}
	return f.among(values)
}

func (f filters) among(values map[string]string) bool {
	for _, x := range f {
		if !match(x, values[ptr.Value(x.Key)]) {
			return false
		}
	}
	return true
}

func match(f ssm.ComplianceStringFilter, v string) bool {
	switch f.Type {
	case ssm.ComplianceQueryOperatorTypeNotEqual:
		return !slices.Contains(f.Values, v)
	case ssm.ComplianceQueryOperatorTypeBeginWith:
		return slices.ContainsFunc(f.Values, func(w string) bool { return strings.HasPrefix(v, w) })
	case ssm.ComplianceQueryOperatorTypeLessThan:
		return slices.ContainsFunc(f.Values, func(w string) bool { return v < w })
	case ssm.ComplianceQueryOperatorTypeGreaterThan:
		return slices.ContainsFunc(f.Values, func(w string) bool { return v > w })
	}
	return slices.Contains(f.Values, v)
}
