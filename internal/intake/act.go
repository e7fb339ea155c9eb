package intake

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/cloudwatch"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Limits of what incidents and OpsItems take, in characters.
const (
	maxIncidentTitle = 200
	maxItemTitle     = 1024
	maxDescription   = 2048
)

// act does what the rules say of a change. A repeat whose incident is over counts
// as a trigger again: the alarm stands, so that somebody resolved the incident must
// not be the last word.
func (s *Service) act(tx *db.Tx, i *integration, sig alarm.Signal, t alarm.Transition) error {
	if !t.Told || t.Change == alarm.Unopened {
		return nil
	}
	if t.Change == alarm.Folded || t.Change == alarm.Resolved {
		open, err := s.note(tx, sig, &t.Entry)
		if err != nil || open || t.Change == alarm.Resolved {
			return err
		}
	}
	return s.raise(tx, i, sig, t)
}

// note tells the incident of an alarm what became of it, and says whether the
// incident is open.
func (s *Service) note(tx *db.Tx, sig alarm.Signal, e *alarm.Entry) (open bool, err error) {
	if !arn.Is(e.Reference) || s.Incidents == nil {
		return false, nil
	}
	n := Note{Alarm: e.ID(), Source: sig.Source, Summary: text.Clip(sig.Summary, maxIncidentTitle), State: e.State, Since: e.Since, Repeats: e.Repeats}
	err = s.attempt(tx, func() (err error) {
		open, err = s.Incidents.NoteAlarm(tx.Context(), tx, e.Reference, n)
		return err
	})
	if isUnusable(err) { // the facts of the alarm tell it anyway
		s.Log.WarnContext(tx.Context(), "an incident does not take a note of its alarm", "incident", e.Reference, "alarm", e.ID(), "error", err)
		return false, nil
	}
	return open, err
}

// raise starts what the rules say and keeps its name with the alarm.
func (s *Service) raise(tx *db.Tx, i *integration, sig alarm.Signal, t alarm.Transition) error {
	a := i.action(sig.Labels)
	if a.silence {
		return nil
	}
	reference, err := s.start(tx, i, a, sig)
	if err != nil || reference == t.Entry.Reference || reference == "" {
		return err
	}
	return s.Alarms.Refer(tx, i.name, sig.Key, reference)
}

func (s *Service) start(tx *db.Tx, i *integration, a action, sig alarm.Signal) (reference string, err error) {
	if a.plan == "" || s.Incidents == nil {
		return s.open(tx, i, a, sig, "")
	}
	err = s.attempt(tx, func() (err error) {
		reference, _, err = s.Incidents.StartFromAlarm(tx.Context(), tx, s.incident(tx, i, a, sig))
		return err
	})
	if isUnusable(err) {
		why := fmt.Sprintf("No incident was started: the response plan %s cannot be used: %s", a.plan, fault.Of(err).ErrorMessage())
		return s.open(tx, i, a, sig, why)
	}
	return reference, err
}

// isUnusable tells an error that will not go away by itself from one of the store.
func isUnusable(err error) bool {
	coded, ok := errors.AsType[fault.Coded](err)
	return ok && coded.HTTPStatus() < 500
}

// attempt undoes what f wrote when it fails, and nothing else of the transaction.
func (s *Service) attempt(tx *db.Tx, f func() error) error {
	if _, err := tx.Exec("savepoint attempt"); err != nil {
		return err
	}
	err := f()
	if err != nil {
		if _, lost := tx.Exec("rollback to savepoint attempt"); lost != nil {
			return lost
		}
	}
	if _, lost := tx.Exec("release savepoint attempt"); lost != nil {
		return lost
	}
	return err
}

func (s *Service) incident(tx *db.Tx, i *integration, a action, sig alarm.Signal) IncidentSignal {
	in := IncidentSignal{
		ResponsePlanARN: a.plan, DedupeKey: i.dedupe(a, sig.Key, sig.Labels), Title: text.Clip(sig.Summary, maxIncidentTitle), Impact: a.impact,
		TriggerSource: sig.Source, TriggerARN: sig.ARN, TriggerAt: sig.StartsAt, RawData: rawData(i.name, sig),
		Involved: involved(tx.Scope, sig.Labels),
	}
	if sig.Source == cloudwatch.Kind {
		in.TriggerSource = "aws.cloudwatch"
	}
	if in.TriggerAt.IsZero() {
		in.TriggerAt = tx.Now
	}
	for _, r := range []string{sig.ARN, sig.URL} {
		if r != "" {
			in.Links = append(in.Links, r)
		}
	}
	return in
}

var nodeID = regexp.MustCompile(`^mi-[0-9a-f]{17}$`)

// involved is what labels name by an ARN or by the id of a node.
func involved(scope db.Scope, labels map[string]string) []string {
	const most = 50
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		v := labels[k]
		if nodeID.MatchString(v) {
			v = arn.SSM(scope, "managed-instance/"+v)
		}
		if k != "topic" && arn.Is(v) && len(v) <= 1000 && len(out) < most && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// open opens an OpsItem that nobody owns.
func (s *Service) open(tx *db.Tx, i *integration, a action, sig alarm.Signal, why string) (string, error) {
	if s.OpsItems == nil {
		return "", nil
	}
	return s.OpsItems.OpenUnowned(tx.Context(), tx, OpsItemSignal{
		DedupeKey: i.dedupe(a, sig.Key, sig.Labels), Title: text.Clip(sig.Summary, maxItemTitle), Description: describe(sig, why),
		Source: sig.Source, Severity: a.severity, Category: a.category, Data: data(i.name, sig),
	})
}

func describe(sig alarm.Signal, why string) string {
	var parts []string
	for _, p := range []string{why, sig.Description, sig.Annotations["reason"]} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		parts = []string{sig.Summary}
	}
	return text.Clip(strings.Join(parts, "\n\n"), maxDescription)
}

// data is the labels and where to look, bounded.
func data(integration string, sig alarm.Signal) map[string]string {
	const most, longest = 40, 512
	out := map[string]string{"integration": integration}
	if sig.URL != "" {
		out["url"] = text.Clip(sig.URL, longest)
	}
	for _, k := range slices.Sorted(maps.Keys(sig.Labels)) {
		if len(out) == most {
			break
		}
		out["label."+text.Clip(k, 100)] = text.Clip(sig.Labels[k], longest)
	}
	return out
}
