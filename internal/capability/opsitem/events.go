package opsitem

import (
	"context"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// detailTypes are the words for the facts about an OpsItem; others are not shown.
var detailTypes = map[string]string{
	"opsitem.created":   "OpsItem Create",
	"opsitem.repeated":  "OpsItem Repeat",
	"opsitem.updated":   "OpsItem Update",
	"opsitem.resolved":  "OpsItem Resolve",
	"opsitem.related":   "OpsItem Related Item Associate",
	"opsitem.unrelated": "OpsItem Related Item Disassociate",
}

// ListOpsItemEvents lists what happened to OpsItems, oldest first, from the
// journal. The filter OpsItemId is needed.
func (s *Service) ListOpsItemEvents(ctx context.Context, in *ssm.ListOpsItemEventsInput) (*ssm.ListOpsItemEventsOutput, error) {
	var from int64
	if page.Parse(ptr.Value(in.NextToken), &from) != nil {
		return nil, invalid("NextToken", "the pagination token is not valid")
	}
	most := 50
	if in.MaxResults != nil && *in.MaxResults > 0 && *in.MaxResults < 50 {
		most = int(*in.MaxResults)
	}
	out := &ssm.ListOpsItemEventsOutput{Summaries: []ssm.OpsItemEventSummary{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		var subjects []string
		for _, f := range in.Filters {
			for _, id := range f.Values {
				subjects = append(subjects, ARN(tx.Scope, idOf(id)))
			}
		}
		if len(subjects) == 0 {
			return invalid("Filters", "the filter OpsItemId is needed")
		}
		rows, err := s.Journal.About(tx, subjects, from, most+1)
		if len(rows) > most {
			rows = rows[:most]
			out.NextToken = new(page.Token(rows[most-1].Position))
		}
		for _, r := range rows {
			if kind, ok := detailTypes[r.Kind]; ok {
				out.Summaries = append(out.Summaries, eventOf(r, kind))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func eventOf(r *journal.Row, kind string) ssm.OpsItemEventSummary {
	return ssm.OpsItemEventSummary{
		OpsItemId: new(idOf(r.Subject)), EventId: new(strconv.FormatInt(r.Position, 10)), DetailType: &kind, Detail: new(strings.TrimSpace(string(r.Body))),
		Source: new("aws.ssm"), CreatedBy: &ssm.OpsItemIdentity{Arn: &r.Actor}, CreatedTime: &r.At,
	}
}
