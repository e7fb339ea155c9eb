package incident

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// position is where a list goes on.
type position struct {
	At int64  `json:"at"`
	ID string `json:"id"`
}

func (r record) source() *incidents.IncidentRecordSource {
	return &incidents.IncidentRecordSource{CreatedBy: &r.CreatedBy, InvokedBy: ptr.OrNil(r.InvokedBy), ResourceArn: ptr.OrNil(r.Resource), Source: &r.Source}
}

// GetIncidentRecord returns an incident.
func (s *Service) GetIncidentRecord(ctx context.Context, in *incidents.GetIncidentRecordInput) (*incidents.GetIncidentRecordOutput, error) {
	var r record
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		r, err = s.mustRecord(tx, *in.Arn, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &incidents.IncidentRecord{
		Arn: &r.ARN, Title: &r.Title, Summary: ptr.OrNil(r.Summary), Impact: new(int32(r.Impact)), Status: r.Status, DedupeString: &r.Dedupe,
		CreationTime: &r.Created, ResolvedTime: ptr.Moment(r.Resolved), LastModifiedBy: &r.ModifiedBy, LastModifiedTime: &r.Modified,
		IncidentRecordSource: r.source(), ChatChannel: r.Spec.Chat, NotificationTargets: append([]incidents.NotificationTargetItem{}, r.Spec.Targets...),
		AutomationExecutions: []incidents.AutomationExecution{},
	}
	for _, e := range r.Spec.Executions {
		out.AutomationExecutions = append(out.AutomationExecutions, incidents.AutomationExecution{SsmExecutionArn: &e})
	}
	return &incidents.GetIncidentRecordOutput{IncidentRecord: out}, nil
}

// UpdateIncidentRecord changes what is given. Resolving stops the engagements
// and resolves the parent OpsItem; an incident can be opened again.
func (s *Service) UpdateIncidentRecord(ctx context.Context, in *incidents.UpdateIncidentRecordInput) (*incidents.UpdateIncidentRecordOutput, error) {
	out := &incidents.UpdateIncidentRecordOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		r, err := s.mustRecord(tx, *in.Arn, "{lock}")
		if err != nil {
			return err
		}
		before := r.Status
		changes := r.change(in)
		if len(changes) == 0 {
			return nil
		}
		r.Modified, r.ModifiedBy = tx.Now, actor(tx)
		kind := "incident.updated"
		switch {
		case r.Status == before:
		case r.Status == incidents.IncidentRecordStatusResolved:
			kind, r.Resolved = "incident.resolved", tx.Now
			if err := s.resolve(tx, r); err != nil {
				return err
			}
		default:
			kind, r.Resolved = "incident.reopened", time.Time{}
		}
		if err := updateRecord(tx, r); err != nil {
			return err
		}
		if err := s.updated(tx, r, changes); err != nil {
			return err
		}
		return s.record(tx, kind, r.ARN, map[string]any{"status": r.Status, "impact": r.Impact})
	})
	return out, err
}

// resolve ends what an incident keeps going.
func (s *Service) resolve(tx *db.Tx, r record) error {
	if err := s.Engage.StopFor(tx, r.ARN, "the incident was resolved"); err != nil {
		return err
	}
	return within(tx, r.Home, func() error { return s.OpsItems.Resolve(tx, r.Item) })
}

// attribute is one change of a record, as the timeline shows it.
type attribute struct {
	Name  string `json:"attributeName"`
	Value string `json:"newValue"`
}

// change applies an update and says what it changed.
func (r *record) change(in *incidents.UpdateIncidentRecordInput) (out []attribute) {
	set := func(name string, field *string, v *string) {
		if v != nil && *v != *field {
			*field = *v
			out = append(out, attribute{name, *v})
		}
	}
	set("title", &r.Title, in.Title)
	set("summary", &r.Summary, in.Summary)
	if in.Impact != nil && int64(*in.Impact) != r.Impact {
		r.Impact = int64(*in.Impact)
		out = append(out, attribute{"impact", strconv.FormatInt(r.Impact, 10)})
	}
	if in.Status != "" && in.Status != r.Status {
		r.Status = in.Status
		out = append(out, attribute{"status", string(r.Status)})
	}
	if in.ChatChannel != nil {
		r.Spec.Chat = chat(in.ChatChannel)
		out = append(out, attribute{"chatChannel", js(in.ChatChannel)})
	}
	if in.NotificationTargets != nil {
		r.Spec.Targets = in.NotificationTargets
		out = append(out, attribute{"notificationTargets", js(in.NotificationTargets)})
	}
	return out
}

// DeleteIncidentRecord deletes an incident and what hangs on it; one that does
// not exist is deleted already.
func (s *Service) DeleteIncidentRecord(ctx context.Context, in *incidents.DeleteIncidentRecordInput) (*incidents.DeleteIncidentRecordOutput, error) {
	out := &incidents.DeleteIncidentRecordOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := s.Engage.StopFor(tx, *in.Arn, "the incident was deleted"); err != nil {
			return err
		}
		ok, err := deleteRecord(tx, *in.Arn)
		if err != nil || !ok {
			return err
		}
		if err := tagging.Drop(tx, tagKind, *in.Arn); err != nil {
			return err
		}
		return s.record(tx, "incident.deleted", *in.Arn, nil)
	})
	return out, err
}

// ListIncidentRecords lists incidents, the latest first.
func (s *Service) ListIncidentRecords(ctx context.Context, in *incidents.ListIncidentRecordsInput) (*incidents.ListIncidentRecordsOutput, error) {
	var from position
	if err := start(in.NextToken, &from); err != nil {
		return nil, err
	}
	most := page.Limit(in.MaxResults, 100)
	var rows []record
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", "")
		columns := map[string]string{"creationTime": "created", "impact": "impact", "status": "status", "createdBy": "created_by"}
		if err := narrow(f, in.Filters, columns); err != nil {
			return err
		}
		if from.ID != "" {
			f.And("(created < ? or created = ? and arn > ?)", from.At, from.At, from.ID)
		}
		var err error
		rows, err = db.Rows(tx, fmt.Sprintf(`select %s from incident_record%s order by created desc, arn limit %d`, recordColumns, f.Where(), most+1), f.Args, records)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &incidents.ListIncidentRecordsOutput{IncidentRecordSummaries: []incidents.IncidentRecordSummary{}}
	for i, r := range rows {
		if i == most {
			out.NextToken = new(page.Token(position{db.Micros(rows[i-1].Created), rows[i-1].ARN}))
			break
		}
		out.IncidentRecordSummaries = append(out.IncidentRecordSummaries, incidents.IncidentRecordSummary{
			Arn: &r.ARN, Title: &r.Title, Impact: new(int32(r.Impact)), Status: r.Status, CreationTime: &r.Created, ResolvedTime: ptr.Moment(r.Resolved), IncidentRecordSource: r.source(),
		})
	}
	return out, nil
}

// narrow adds the filters of the API to a query: filters combine with AND, the
// values of one with OR.
func narrow(f *db.Filter, filters []incidents.Filter, columns map[string]string) error {
	for _, filter := range filters {
		column, ok := columns[*filter.Key]
		if !ok {
			return invalid("The filter key %s is not known", *filter.Key)
		}
		c := filter.Condition
		switch {
		case c.After != nil:
			f.And(column+" > ?", db.Micros(*c.After))
		case c.Before != nil:
			f.And(column+" < ?", db.Micros(*c.Before))
		case c.Equals != nil && c.Equals.StringValues != nil:
			f.In(column, c.Equals.StringValues)
		case c.Equals != nil:
			marks := strings.TrimSuffix(strings.Repeat("?, ", len(c.Equals.IntegerValues)), ", ")
			args := make([]any, len(c.Equals.IntegerValues))
			for i, v := range c.Equals.IntegerValues {
				args[i] = int64(v)
			}
			if len(args) == 0 {
				return invalid("The filter %s has no values", *filter.Key)
			}
			f.And(column+" in ("+marks+")", args...)
		}
	}
	return nil
}

// updated writes the timeline event of changes to a record.
func (s *Service) updated(tx *db.Tx, r record, changes []attribute) error {
	return s.happened(tx, r.ARN, typeUpdate, tx.Now, map[string]any{"modifiedBy": actor(tx), "modifiedAttributes": changes, "incidentTitle": r.Title})
}
