package opsitem

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// position is where a list goes on.
type position struct {
	At int64  `json:"at"`
	ID string `json:"id"`
}

// columnOf are the filter keys that name a column of the row.
var columnOf = map[ssm.OpsItemFilterKey]string{
	ssm.OpsItemFilterKeyStatus: "status", ssm.OpsItemFilterKeyCreatedBy: "created_by", ssm.OpsItemFilterKeySource: "source",
	ssm.OpsItemFilterKeyPriority: "priority", ssm.OpsItemFilterKeyTitle: "title", ssm.OpsItemFilterKeyOpsItemId: "id",
	ssm.OpsItemFilterKeyCreatedTime: "created", ssm.OpsItemFilterKeyLastModifiedTime: "modified", ssm.OpsItemFilterKeyCategory: "category",
	ssm.OpsItemFilterKeySeverity: "severity", ssm.OpsItemFilterKeyOpsItemType: "type",
}

// DescribeOpsItems lists OpsItems, the latest first. Filters combine with AND,
// the values of one with OR.
func (s *Service) DescribeOpsItems(ctx context.Context, in *ssm.DescribeOpsItemsInput) (*ssm.DescribeOpsItemsOutput, error) {
	var from position
	if page.Parse(ptr.Value(in.NextToken), &from) != nil {
		return nil, invalid("NextToken", "the pagination token is not valid")
	}
	most := 50
	if in.MaxResults != nil && *in.MaxResults > 0 && *in.MaxResults < 50 {
		most = int(*in.MaxResults)
	}
	var rows []item
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
		for _, filter := range in.OpsItemFilters {
			if err := narrow(f, filter); err != nil {
				return err
			}
		}
		if from.ID != "" {
			f.And("(created < ? or created = ? and id > ?)", from.At, from.At, from.ID)
		}
		rows, err = list(tx, f, most+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ssm.DescribeOpsItemsOutput{OpsItemSummaries: []ssm.OpsItemSummary{}}
	for n, i := range rows {
		if n == most {
			out.NextToken = new(page.Token(position{db.Micros(rows[n-1].Created), rows[n-1].ID}))
			break
		}
		out.OpsItemSummaries = append(out.OpsItemSummaries, i.summary())
	}
	return out, nil
}

func (i item) summary() ssm.OpsItemSummary {
	d := i.describe(db.Scope{})
	return ssm.OpsItemSummary{
		OpsItemId: d.OpsItemId, Title: d.Title, Status: d.Status, Source: d.Source, OpsItemType: d.OpsItemType, Severity: d.Severity, Category: d.Category,
		Priority: d.Priority, CreatedBy: d.CreatedBy, CreatedTime: d.CreatedTime, LastModifiedBy: d.LastModifiedBy, LastModifiedTime: d.LastModifiedTime,
		OperationalData: d.OperationalData, ActualStartTime: d.ActualStartTime, ActualEndTime: d.ActualEndTime, PlannedStartTime: d.PlannedStartTime, PlannedEndTime: d.PlannedEndTime,
	}
}

// narrow adds one filter of the API to a query.
func narrow(f *db.Filter, filter ssm.OpsItemFilter) error {
	var conds []string
	var args []any
	for _, v := range filter.Values {
		cond, arg, err := condition(filter, v)
		if err != nil {
			return err
		}
		conds, args = append(conds, cond), append(args, arg...)
	}
	f.And("("+strings.Join(conds, " or ")+")", args...)
	return nil
}

func condition(filter ssm.OpsItemFilter, v string) (string, []any, error) {
	switch filter.Key {
	case ssm.OpsItemFilterKeyAccountId:
		return "account = ?", []any{v}, nil
	case ssm.OpsItemFilterKeyCreatedTime, ssm.OpsItemFilterKeyLastModifiedTime:
		return timeCondition(columnOf[filter.Key], filter.Operator, v)
	case ssm.OpsItemFilterKeyOperationalDataKey, ssm.OpsItemFilterKeyOperationalDataValue, ssm.OpsItemFilterKeyResourceId,
		ssm.OpsItemFilterKeyAutomationId, ssm.OpsItemFilterKeyOperationalData:
		return dataCondition(filter.Key, v)
	}
	column, ok := columnOf[filter.Key]
	if !ok {
		return "", nil, invalid("OpsItemFilters", "the filter key %s is not supported", filter.Key)
	}
	if column == "priority" {
		column = "cast(priority as text)"
	}
	switch filter.Operator {
	case ssm.OpsItemFilterOperatorEqual:
		return column + " = ?", []any{v}, nil
	case ssm.OpsItemFilterOperatorContains:
		return column + ` like ? escape '\'`, []any{"%" + escape(v) + "%"}, nil
	}
	return "", nil, invalid("OpsItemFilters", "the operator %s cannot be used with %s", filter.Operator, filter.Key)
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func timeCondition(column string, op ssm.OpsItemFilterOperator, v string) (string, []any, error) {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return "", nil, invalid("OpsItemFilters", "%q is not a time such as 2026-07-01T10:00:00Z", v)
	}
	sign, ok := map[ssm.OpsItemFilterOperator]string{"GreaterThan": ">", "LessThan": "<"}[op]
	if !ok {
		return "", nil, invalid("OpsItemFilters", "the operator %s cannot be used with a time", op)
	}
	return column + " " + sign + " ?", []any{db.Micros(t)}, nil
}

// dataCondition looks into the operational data, which is JSON text.
func dataCondition(key ssm.OpsItemFilterKey, v string) (string, []any, error) {
	like := func(parts ...string) (string, []any, error) {
		return `spec like ? escape '\'`, []any{"%" + escape(strings.Join(parts, "")) + "%"}, nil
	}
	switch key {
	case ssm.OpsItemFilterKeyOperationalDataKey:
		return like(quoted(v), `:{`)
	case ssm.OpsItemFilterKeyOperationalData:
		var kv struct{ Key, Value string }
		if json.Unmarshal([]byte(v), &kv) != nil || kv.Key == "" {
			return "", nil, invalid("OpsItemFilters", `the value of OperationalData has to be {"key":"...","value":"..."}`)
		}
		both, args := `spec like ? escape '\' and spec like ? escape '\'`, []any{"%" + escape(quoted(kv.Key)+":{") + "%", "%" + escape(`"Value":`+quoted(kv.Value)) + "%"}
		return "(" + both + ")", args, nil
	default:
		return like(strings.Trim(quoted(v), `"`))
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return string(b)
}
