package incident

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/timeline"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// The types of timeline events. The first group is AWS's, seen in its samples;
// the second is ours in the same style.
const (
	typeTrigger        = timeline.Trigger
	typeStart          = timeline.Start
	typeUpdate         = timeline.Update
	typeRunbookRefused = timeline.RunbookRefused
	typePage           = timeline.Page
	typeAck            = timeline.Ack

	typeEngageFailed    = timeline.EngageFailed
	typeEscalated       = timeline.Escalated
	typeStageSkipped    = timeline.StageSkipped
	typeEngageEnd       = timeline.EngageEnd
	typePageFailed      = timeline.PageFailed
	typeRunbookStart    = timeline.RunbookStart
	typeRunbookStep     = timeline.RunbookStep
	typeRunbookUnknown  = timeline.RunbookUnknown
	typeApprovalWaits   = timeline.ApprovalWaits
	typeApproved        = timeline.Approved
	typeRejected        = timeline.Rejected
	typeRunbookEnd      = timeline.RunbookEnd
	typeAlarmCleared    = timeline.AlarmCleared
	typeAlarmRepeated   = timeline.AlarmRepeated
	typeCustom          = timeline.Custom
	typeNote            = timeline.Note
	mostEventData       = 12000
	mostRawDataInEvents = 10000
)

// happened appends an event to a timeline. Ids grow, so that events of one moment
// keep their order.
func (s *Service) happened(tx *db.Tx, incident, kind string, at time.Time, data any, refs ...incidents.EventReference) error {
	return putEvent(tx, incident, event{ID: newEventID(tx.Now), Type: kind, At: at, Updated: tx.Now, Data: js(data), Refs: refs})
}

var made atomic.Uint32

// newEventID is a UUID of version 7: the moment, then a counter, then chance.
func newEventID(now time.Time) string {
	id := uuid.New()
	binary.BigEndian.PutUint32(id[8:], made.Add(1))
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16)
	id[6], id[8] = 0x70, id[8]&0x3f|0x80
	return id.String()
}

// trigger writes the event of a start, whether it made the incident or not.
// RawData stays a string inside: readers decode it themselves.
func (s *Service) trigger(tx *db.Tx, r record, in Start, created bool) error {
	data := map[string]any{"createdIncident": created, "incidentSource": in.Source}
	if in.TriggerARN != "" {
		data["triggerArn"] = in.TriggerARN
	}
	if in.RawData != "" && len(in.RawData) <= mostRawDataInEvents {
		data["rawData"] = in.RawData
	}
	if in.Title != "" {
		data["title"] = in.Title
	}
	return s.happened(tx, r.ARN, typeTrigger, in.At, data)
}

// started writes the event that tells what the plan does.
func (s *Service) started(tx *db.Tx, r record, p plan, in Start) error {
	engaged := []map[string]string{}
	for _, c := range p.Spec.Engagements {
		engaged = append(engaged, map[string]string{"contactArn": c, "contactName": lastPart(c)})
	}
	data := map[string]any{"incidentTitle": r.Title, "contactsEngage": engaged, "responsePlan": p.Name}
	for _, a := range p.Spec.Actions {
		data["ssmDocumentName"], data["ssmDocumentVersion"] = *a.SsmAutomation.DocumentName, ptr.Value(a.SsmAutomation.DocumentVersion)
	}
	if in.TriggerARN != "" {
		data["triggerArn"] = in.TriggerARN
	}
	return s.happened(tx, r.ARN, typeStart, tx.Now, data)
}

// CreateTimelineEvent adds a "Custom Event" or a "Note". EventData is kept
// letter by letter.
func (s *Service) CreateTimelineEvent(ctx context.Context, in *incidents.CreateTimelineEventInput) (*incidents.CreateTimelineEventOutput, error) {
	if err := checkType(*in.EventType); err != nil {
		return nil, err
	}
	out := &incidents.CreateTimelineEventOutput{IncidentRecordArn: in.IncidentRecordArn}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.once(tx, "CreateTimelineEvent", in.ClientToken, in, func() (string, error) { return s.createEvent(tx, in) })
		out.EventId = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) createEvent(tx *db.Tx, in *incidents.CreateTimelineEventInput) (string, error) {
	if _, err := s.mustRecord(tx, *in.IncidentRecordArn, ""); err != nil {
		return "", err
	}
	e := event{ID: newEventID(tx.Now), Type: *in.EventType, At: *in.EventTime, Updated: tx.Now, Data: *in.EventData, Refs: in.EventReferences, Custom: true}
	if err := putEvent(tx, *in.IncidentRecordArn, e); err != nil {
		return "", err
	}
	return e.ID, s.record(tx, "incident.event_created", *in.IncidentRecordArn, map[string]any{"event": e.ID, "type": e.Type})
}

func checkType(t string) error {
	if t != typeCustom && t != typeNote {
		return invalid("The event type has to be %q or %q", typeCustom, typeNote)
	}
	return nil
}

func (s *Service) mustEvent(tx *db.Tx, incident, id string) (event, error) {
	if _, err := s.mustRecord(tx, incident, ""); err != nil {
		return event{}, err
	}
	e, ok, err := loadEvent(tx, incident, id)
	if err == nil && !ok {
		err = notFound(incidents.ResourceTypeTimelineEvent, id)
	}
	return e, err
}

// GetTimelineEvent returns an event with its data.
func (s *Service) GetTimelineEvent(ctx context.Context, in *incidents.GetTimelineEventInput) (*incidents.GetTimelineEventOutput, error) {
	var e event
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		e, err = s.mustEvent(tx, *in.IncidentRecordArn, *in.EventId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &incidents.GetTimelineEventOutput{Event: &incidents.TimelineEvent{
		EventData: &e.Data, EventId: &e.ID, EventReferences: e.Refs, EventTime: &e.At, EventType: &e.Type, EventUpdatedTime: &e.Updated, IncidentRecordArn: in.IncidentRecordArn,
	}}, nil
}

// UpdateTimelineEvent changes an event that a user made.
func (s *Service) UpdateTimelineEvent(ctx context.Context, in *incidents.UpdateTimelineEventInput) (*incidents.UpdateTimelineEventOutput, error) {
	out := &incidents.UpdateTimelineEventOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		e, err := s.mustEvent(tx, *in.IncidentRecordArn, *in.EventId)
		if err != nil {
			return err
		}
		if !e.Custom {
			return invalid("Events of the type %s cannot be changed", e.Type)
		}
		if in.EventType != nil {
			if err := checkType(*in.EventType); err != nil {
				return err
			}
			e.Type = *in.EventType
		}
		if in.EventTime != nil {
			e.At = *in.EventTime
		}
		if in.EventData != nil {
			e.Data = *in.EventData
		}
		if in.EventReferences != nil {
			e.Refs = in.EventReferences
		}
		e.Updated = tx.Now
		if err := putEvent(tx, *in.IncidentRecordArn, e); err != nil {
			return err
		}
		return s.record(tx, "incident.event_updated", *in.IncidentRecordArn, map[string]any{"event": e.ID})
	})
	return out, err
}

// DeleteTimelineEvent deletes an event that a user made; one that does not
// exist is deleted already.
func (s *Service) DeleteTimelineEvent(ctx context.Context, in *incidents.DeleteTimelineEventInput) (*incidents.DeleteTimelineEventOutput, error) {
	out := &incidents.DeleteTimelineEventOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		e, ok, err := loadEvent(tx, *in.IncidentRecordArn, *in.EventId)
		if err != nil || !ok {
			return err
		}
		if !e.Custom {
			return invalid("Events of the type %s cannot be deleted", e.Type)
		}
		if _, err := deleteEvent(tx, *in.IncidentRecordArn, *in.EventId); err != nil {
			return err
		}
		return s.record(tx, "incident.event_deleted", *in.IncidentRecordArn, map[string]any{"event": e.ID})
	})
	return out, err
}

// ListTimelineEvents lists events without their data, the latest first unless
// asked otherwise. An incident that does not exist has none.
func (s *Service) ListTimelineEvents(ctx context.Context, in *incidents.ListTimelineEventsInput) (*incidents.ListTimelineEventsOutput, error) {
	var from position
	if err := start(in.NextToken, &from); err != nil {
		return nil, err
	}
	most, order, next := page.Limit(in.MaxResults, 100), "desc", "<"
	if in.SortOrder == incidents.SortOrderAscending {
		order, next = "asc", ">"
	}
	var rows []event
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", "").And("incident = ?", *in.IncidentRecordArn)
		if err := narrowEvents(f, in.Filters); err != nil {
			return err
		}
		if from.ID != "" {
			f.And("(at "+next+" ? or at = ? and id "+next+" ?)", from.At, from.At, from.ID)
		}
		rows, err = listEvents(tx, f, order, most+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &incidents.ListTimelineEventsOutput{EventSummaries: []incidents.EventSummary{}}
	for i, e := range rows {
		if i == most {
			out.NextToken = new(page.Token(position{db.Micros(rows[i-1].At), rows[i-1].ID}))
			break
		}
		out.EventSummaries = append(out.EventSummaries, incidents.EventSummary{
			EventId: &e.ID, EventReferences: e.Refs, EventTime: &e.At, EventType: &e.Type, EventUpdatedTime: &e.Updated, IncidentRecordArn: in.IncidentRecordArn,
		})
	}
	return out, nil
}

// narrowEvents takes eventReference, which looks into the references, apart
// from the filters on columns.
func narrowEvents(f *db.Filter, filters []incidents.Filter) error {
	var plainFilters []incidents.Filter
	for _, filter := range filters {
		if *filter.Key != "eventReference" {
			plainFilters = append(plainFilters, filter)
			continue
		}
		c := filter.Condition
		if c.Equals == nil || len(c.Equals.StringValues) != 1 {
			return invalid("The filter eventReference takes one string value")
		}
		quoted, err := json.Marshal(c.Equals.StringValues[0])
		if err != nil {
			return err
		}
		f.And("refs <> replace(refs, ?, '')", ":"+string(quoted))
	}
	return narrow(f, plainFilters, map[string]string{"eventTime": "at", "eventType": "type"})
}
