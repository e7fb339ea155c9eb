package incident

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

// customSource is the source of incidents that a call started without saying
// what for.
const customSource = "aws.ssm-incidents.custom"

// Start is an incident to be started.
type Start struct {
	Plan       string // ARN of the response plan
	Title      string // "" for the plan's
	Impact     int32  // 0 for the plan's
	Source     string
	TriggerARN string
	RawData    string // JSON, kept as it is
	At         time.Time
	Related    []incidents.RelatedItem
	Alarm      string // key of the alarm that starts it; folds by it
}

// StartIncident starts an incident, or folds into an open one that the plan's
// dedupe string is contained in, and answers that one's ARN.
func (s *Service) StartIncident(ctx context.Context, in *incidents.StartIncidentInput) (*incidents.StartIncidentOutput, error) {
	r := Start{Plan: *in.ResponsePlanArn, Title: ptr.Value(in.Title), Source: customSource, Related: in.RelatedItems}
	if in.Impact != nil {
		r.Impact = *in.Impact
	}
	if t := in.TriggerDetails; t != nil {
		if strings.HasPrefix(strings.ToLower(*t.Source), "aws.") {
			return nil, invalid("A custom source must not begin with aws.")
		}
		r.Source, r.TriggerARN, r.RawData, r.At = *t.Source, ptr.Value(t.TriggerArn), ptr.Value(t.RawData), *t.Timestamp
	}
	for _, i := range in.RelatedItems {
		if i.GeneratedId != nil {
			return nil, invalid("generatedId is assigned by the service")
		}
	}
	out := &incidents.StartIncidentOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.once(tx, "StartIncident", in.ClientToken, in, func() (string, error) {
			id, _, err := s.Start(ctx, tx, r)
			return id, err
		})
		out.IncidentRecordArn = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Start starts an incident in the caller's transaction, or folds into an open
// one. It returns the ARN and whether the incident is new.
func (s *Service) Start(ctx context.Context, tx *db.Tx, in Start) (id string, created bool, err error) {
	p, err := s.mustPlan(tx, in.Plan, "")
	if err != nil {
		return "", false, err
	}
	if in.At.IsZero() {
		in.At = tx.Now
	}
	dedupe := ptr.Value(p.Spec.Template.DedupeString)
	if dedupe != "" || in.Alarm != "" {
		old, ok, err := s.openFor(tx, dedupe, in.Alarm)
		if err != nil || ok {
			return old.ARN, false, s.fold(tx, old, in, err)
		}
	}
	r := s.newRecord(tx, p, in)
	return r.ARN, true, s.begin(ctx, tx, p, &r, in)
}

// openFor finds the open incident that a start folds into. When there is none
// it takes the account's lock and looks again, so that the next start sees what
// this one makes.
func (s *Service) openFor(tx *db.Tx, dedupe, alarmKey string) (record, bool, error) {
	r, ok, err := s.find(tx, dedupe, alarmKey)
	if err != nil || ok {
		return r, ok, err
	}
	if _, _, err := loadSet(tx, "{lock}"); err != nil {
		return r, false, err
	}
	return s.find(tx, dedupe, alarmKey)
}

func (s *Service) find(tx *db.Tx, dedupe, alarmKey string) (record, bool, error) {
	if alarmKey != "" {
		if r, ok, err := openBy(tx, "alarm", alarmKey); err != nil || ok {
			return r, ok, err
		}
	}
	if dedupe == "" {
		return record{}, false, nil
	}
	if r, ok, err := openBy(tx, "dedupe", dedupe); err != nil || ok {
		return r, ok, err
	}
	arns, dedupes, err := openDedupes(tx)
	if err != nil {
		return record{}, false, err
	}
	for i, d := range dedupes {
		if strings.Contains(d, dedupe) {
			if r, ok, err := loadRecord(tx, arns[i], "{lock}"); err != nil || ok && r.Status == incidents.IncidentRecordStatusOpen {
				return r, ok, err
			}
		}
	}
	return record{}, false, nil
}

func (s *Service) newRecord(tx *db.Tx, p plan, in Start) record {
	t := p.Spec.Template
	r := record{
		ARN:   arn.Make("ssm-incidents", "", tx.Scope.Account, "incident-record/"+p.Name+"/"+uuid.NewString()),
		Title: text.Clip(in.Title, 200), Summary: ptr.Value(t.Summary), Impact: int64(in.Impact), Status: incidents.IncidentRecordStatusOpen,
		Dedupe: ptr.Value(t.DedupeString), Planned: ptr.Value(t.DedupeString) != "", Alarm: in.Alarm, Created: tx.Now, CreatedBy: actor(tx), Modified: tx.Now, ModifiedBy: actor(tx),
		Source: in.Source, Resource: in.TriggerARN, Home: tx.Scope.Region, Spec: recordSpec{Chat: p.Spec.Chat, Targets: t.NotificationTargets},
	}
	if in.Source == customSource {
		r.InvokedBy = r.CreatedBy
	}
	if r.Title == "" {
		r.Title = ptr.Value(t.Title)
	}
	if r.Impact == 0 && t.Impact != nil {
		r.Impact = int64(*t.Impact)
	}
	if r.Dedupe == "" {
		r.Dedupe = uuid.NewString()
	}
	return r
}

// fold leaves a trace of a start that made no incident.
func (s *Service) fold(tx *db.Tx, r record, in Start, err error) error {
	if err != nil {
		return err
	}
	if err := s.trigger(tx, r, in, false); err != nil {
		return err
	}
	return s.record(tx, "incident.folded", r.ARN, map[string]any{"source": in.Source, "plan": in.Plan})
}

// begin writes everything that makes an incident.
func (s *Service) begin(ctx context.Context, tx *db.Tx, p plan, r *record, in Start) error {
	if err := insertRecord(tx, *r); err != nil {
		return err
	}
	if err := setTags(tx, r.ARN, p.Spec.Template.IncidentTags); err != nil {
		return err
	}
	if err := s.record(tx, "incident.started", r.ARN, map[string]any{"title": r.Title, "impact": r.Impact, "source": r.Source, "plan": in.Plan}, in.Plan); err != nil {
		return err
	}
	if err := s.trigger(tx, *r, in, true); err != nil {
		return err
	}
	if err := s.started(tx, *r, p, in); err != nil {
		return err
	}
	for _, i := range in.Related {
		if err := s.addItem(tx, r.ARN, i); err != nil {
			return err
		}
	}
	if err := s.openItem(tx, r); err != nil {
		return err
	}
	if err := s.engage(tx, *r, p); err != nil {
		return err
	}
	for _, a := range p.Spec.Actions {
		if err := s.runbook(ctx, tx, r, a.SsmAutomation, in); err != nil {
			return err
		}
	}
	return updateRecord(tx, *r)
}

// openItem opens the parent OpsItem.
func (s *Service) openItem(tx *db.Tx, r *record) error {
	severity := min(r.Impact, 4)
	id, _, err := s.OpsItems.Open(tx, opsitem.Open{Title: r.Title, Description: r.Summary, Source: "Incident Manager", Severity: fmt.Sprint(severity), Category: "Availability"})
	if err != nil {
		return err
	}
	if _, err := s.OpsItems.Relate(tx, id, "IsParentOf", "AWS::SSMIncidents::IncidentRecord", r.ARN); err != nil {
		return err
	}
	r.Item = id
	return s.addItem(tx, r.ARN, related(incidents.ItemTypeParent, "parentItem", opsitem.ARN(tx.Scope, id)))
}

// engage calls the contacts of the plan. One that does not exist any more is
// noted and does not keep the incident from starting.
func (s *Service) engage(tx *db.Tx, r record, p plan) error {
	for _, c := range p.Spec.Engagements {
		_, err := s.Engage.Start(tx, engage.Start{
			Contact: c, Incident: r.ARN, Sender: "Incident Manager", Subject: r.Title, Content: r.message(),
			PublicSubject: "Incident of impact " + fmt.Sprint(r.Impact), PublicContent: "An incident needs you.",
		})
		if err != nil && !told(err) {
			return err
		}
		if err != nil {
			if err := s.happened(tx, r.ARN, typeEngageFailed, tx.Now, map[string]any{"contactArn": c, "message": err.Error()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// message is the content of the pages of an incident.
func (r record) message() string {
	impact := []string{"", "Critical", "High", "Medium", "Low", "No impact"}[r.Impact]
	m := fmt.Sprintf("Impact: %d %s\n", r.Impact, impact)
	if r.Summary != "" {
		m += "\n" + r.Summary + "\n"
	}
	return text.Clip(m+"\n"+r.ARN, 8192)
}

// told says that an error is an answer of the API, not an outage.
func told(err error) bool {
	_, ok := err.(interface{ ErrorCode() string })
	return ok
}

// runbook starts the runbook of a plan. A start that is refused is noted and
// does not keep the incident from starting.
func (s *Service) runbook(ctx context.Context, tx *db.Tx, r *record, a *incidents.SsmAutomation, in Start) error {
	id, err := s.Automations.Start(ctx, tx, automation.Start{
		DocumentName: *a.DocumentName, Version: ptr.Value(a.DocumentVersion), Parameters: parameters(r.ARN, a, in.Related),
		RoleARN: ptr.Value(a.RoleArn), StartedBy: actor(tx), Human: identity.From(ctx).Human, IncidentARN: r.ARN, ClientToken: r.ARN[strings.LastIndex(r.ARN, "/")+1:],
	})
	if err != nil && !told(err) {
		return err
	}
	if err != nil {
		return s.happened(tx, r.ARN, typeRunbookRefused, tx.Now, map[string]any{"documentName": *a.DocumentName, "documentVersion": ptr.Value(a.DocumentVersion), "message": err.Error()})
	}
	execution := automation.ARN(tx.Scope, id)
	r.Spec.Executions = append(r.Spec.Executions, execution)
	return s.addItem(tx, r.ARN, related(incidents.ItemTypeAutomation, *a.DocumentName, execution))
}

// parameters are those of the plan with the dynamic ones filled in.
func parameters(incident string, a *incidents.SsmAutomation, items []incidents.RelatedItem) map[string][]string {
	out := map[string][]string{}
	for k, v := range a.Parameters {
		out[k] = v
	}
	for k, v := range a.DynamicParameters {
		if v.Variable == incidents.VariableTypeIncidentRecordArn {
			out[k] = []string{incident}
			continue
		}
		out[k] = []string{}
		for _, i := range items {
			if i.Identifier.Type == incidents.ItemTypeInvolvedResource && i.Identifier.Value.Arn != nil {
				out[k] = append(out[k], *i.Identifier.Value.Arn)
			}
		}
	}
	return out
}
