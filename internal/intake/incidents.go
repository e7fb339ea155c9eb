package intake

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/capability/incident"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// maxURL is how long the URL of a related item is at most.
const maxURL = 1000

// IncidentManager starts incidents in package incident.
type IncidentManager struct{ Incidents *incident.Service }

// StartFromAlarm starts an incident, or folds into the open one of the same key.
func (m IncidentManager) StartFromAlarm(ctx context.Context, tx *db.Tx, in IncidentSignal) (string, bool, error) {
	return m.Incidents.Start(ctx, tx, incident.Start{
		Plan: in.ResponsePlanARN, Title: in.Title, Impact: in.Impact, Source: in.TriggerSource, TriggerARN: in.TriggerARN, RawData: in.RawData,
		At: in.TriggerAt, Alarm: in.DedupeKey, Related: related(in),
	})
}

// related is what an alarm involves and where to look.
func related(in IncidentSignal) []incidents.RelatedItem {
	var out []incidents.RelatedItem
	add := func(kind incidents.ItemType, title string, v *incidents.ItemValue) {
		out = append(out, incidents.RelatedItem{Title: new(text.Clip(title, 200)), Identifier: &incidents.ItemIdentifier{Type: kind, Value: v}})
	}
	for _, a := range in.Involved {
		add(incidents.ItemTypeInvolvedResource, a, &incidents.ItemValue{Arn: new(a)})
	}
	for _, l := range in.Links {
		switch {
		case arn.Is(l):
			add(incidents.ItemTypeMetric, l, &incidents.ItemValue{Arn: new(l)})
		case len(l) <= maxURL:
			add(incidents.ItemTypeMetric, "Where the alarm comes from", &incidents.ItemValue{Url: new(l)})
		}
	}
	return out
}

// NoteAlarm puts a note on the timeline of an incident.
func (m IncidentManager) NoteAlarm(_ context.Context, tx *db.Tx, incidentARN string, n Note) (bool, error) {
	return m.Incidents.NoteAlarm(tx, incidentARN, incident.AlarmNote{
		Key: n.Alarm, Name: n.Summary, Source: n.Source, Since: n.Since, Repeats: n.Repeats, Cleared: n.State == alarm.OK,
	})
}
