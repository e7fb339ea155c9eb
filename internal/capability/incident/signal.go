package incident

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// FromAlarm asks for an incident on behalf of an alarm.
type FromAlarm struct {
	Plan       string // ARN of the response plan
	Key        string // the same for all reports that belong to one incident
	Title      string // of the incident; "" for the plan's
	Impact     int32  // 0 for the plan's
	Source     string // as "alertmanager"
	TriggerARN string
	RawData    string // JSON
	At         time.Time
	Related    []string // ARNs of involved resources, URLs of what else to look at
}

// StartFromAlarm starts an incident, or folds into the open one of the same key and
// tells it on the timeline, in the caller's transaction.
func (s *Service) StartFromAlarm(ctx context.Context, tx *db.Tx, in FromAlarm) (id string, opened bool, err error) {
	return s.Start(ctx, tx, Start{
		Plan: in.Plan, Title: in.Title, Impact: in.Impact, Source: in.Source, TriggerARN: in.TriggerARN, RawData: clip(in.RawData, 10000),
		At: in.At, Alarm: in.Key, Related: relatedTo(in.Related),
	})
}

func relatedTo(names []string) (out []incidents.RelatedItem) {
	for _, n := range names {
		if arn.Is(n) {
			out = append(out, related(incidents.ItemTypeInvolvedResource, n, n))
			continue
		}
		out = append(out, incidents.RelatedItem{
			Title: new("Alarm"), Identifier: &incidents.ItemIdentifier{Type: incidents.ItemTypeOther, Value: &incidents.ItemValue{Url: new(n)}},
		})
	}
	return out
}

// AlarmCleared notes on the timeline that an alarm is over. The incident stays open:
// closing it is for people.
func (s *Service) AlarmCleared(tx *db.Tx, incident, name string, at time.Time) error {
	_, ok, err := loadRecord(tx, incident, "")
	if err != nil || !ok {
		return err
	}
	if at.IsZero() || at.After(tx.Now) {
		at = tx.Now
	}
	return s.happened(tx, incident, typeAlarmCleared, at, map[string]any{"alarm": name})
}
