package incident

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// Signal is one report of an alarm, mapped to what is to be done about it.
type Signal struct {
	Key        string // the same for all reports of one alarm
	Source     string // as "prometheus.alertmanager"
	Name       string
	Title      string
	Firing     bool
	At         time.Time // when the alarm changed; zero for now
	Plan       string    // ARN of the response plan; "" opens an unowned OpsItem
	Impact     int32     // 0 for the plan's
	TriggerARN string
	Payload    string   // JSON
	Involved   []string // ARNs of the resources concerned
	// Fold is the same for all alarms that belong to one incident; "" means Key.
	Fold string
}

// Outcome says what a signal led to.
type Outcome struct {
	Change   alarm.Change
	Incident string // ARN
	Item     string // id of an OpsItem
}

// Signal takes a report of an alarm, in the caller's transaction: a firing one
// starts an incident or folds into the open one, a cleared one is noted. A
// report that no plan takes care of opens an OpsItem: nothing is lost.
func (s *Service) Signal(ctx context.Context, tx *db.Tx, in Signal) (Outcome, error) {
	a, change, err := s.Alarms.Note(tx, alarm.Signal{Key: in.Key, Source: in.Source, Name: in.Name, Firing: in.Firing, Payload: clip(in.Payload, 10000)})
	out := Outcome{Change: change, Incident: a.Incident, Item: a.Item}
	if err != nil || change == alarm.Nothing {
		return out, err
	}
	if change == alarm.Cleared {
		return out, s.cleared(tx, a, in)
	}
	if change == alarm.Repeated {
		if ok, err := s.repeated(tx, a); err != nil || ok {
			return out, err
		}
	}
	return s.act(ctx, tx, in, change)
}

// act starts what is to be done about a firing alarm.
func (s *Service) act(ctx context.Context, tx *db.Tx, in Signal, change alarm.Change) (out Outcome, err error) {
	out.Change = change
	why := "no response plan is mapped to it"
	fold := first(in.Fold, in.Key)
	if in.Plan != "" {
		out.Incident, _, err = s.Start(ctx, tx, Start{
			Plan: in.Plan, Title: in.Title, Impact: in.Impact, Source: in.Source, TriggerARN: in.TriggerARN, RawData: in.Payload, At: in.At, Alarm: fold, Related: involved(in.Involved),
		})
		if err == nil {
			return out, s.Alarms.Attach(tx, in.Key, out.Incident, "")
		}
		if !told(err) {
			return out, err
		}
		why = err.Error()
	}
	out.Item, _, err = s.OpsItems.Open(tx, opsitem.Open{
		Title: in.Title, Source: in.Source, Severity: "2", Category: "Availability", Dedup: "alarm:" + fold,
		Description: fmt.Sprintf("The alarm %s fires and nobody is called: %s.", in.Name, why),
	})
	if err != nil {
		return out, err
	}
	return out, s.Alarms.Attach(tx, in.Key, "", out.Item)
}

func involved(arns []string) []incidents.RelatedItem {
	var out []incidents.RelatedItem
	for _, a := range arns {
		out = append(out, related(incidents.ItemTypeInvolvedResource, a, a))
	}
	return out
}

// repeated counts a repetition on the open incident of an alarm; false when
// there is none any more.
func (s *Service) repeated(tx *db.Tx, a alarm.Alarm) (bool, error) {
	if a.Incident == "" {
		return false, nil
	}
	r, ok, err := loadRecord(tx, a.Incident, "{lock}")
	if err != nil || !ok || r.Status != incidents.IncidentRecordStatusOpen {
		return false, err
	}
	return true, putEvent(tx, a.Incident, event{
		ID:   uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s\x00%s\x00%d", a.Incident, a.Key, db.Micros(a.Since))).String(),
		Type: typeAlarmRepeated, At: tx.Now, Updated: tx.Now, Data: js(map[string]any{"alarm": a.Name, "alarmKey": a.Key, "count": a.Count - 1}),
	})
}

// cleared notes on the timeline that an alarm is over. The incident stays open:
// that is for people to say.
func (s *Service) cleared(tx *db.Tx, a alarm.Alarm, in Signal) error {
	if a.Incident == "" {
		return nil
	}
	_, ok, err := loadRecord(tx, a.Incident, "")
	if err != nil || !ok {
		return err
	}
	return s.happened(tx, a.Incident, typeAlarmCleared, tx.Now, map[string]any{"alarm": a.Name, "alarmKey": a.Key, "source": in.Source})
}
