package incident

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// typeOf is the timeline event of each kind of fact that is heard.
var typeOf = map[string]string{
	"engagement.escalated":          typeEscalated,
	"engagement.stage_skipped":      typeStageSkipped,
	"engagement.resolved":           typeEngageEnd,
	"page.sent":                     typePage,
	"page.failed":                   typePageFailed,
	"page.acknowledged":             typeAck,
	"automation.started":            typeRunbookStart,
	"automation.step.finished":      typeRunbookStep,
	"automation.step.unknown":       typeRunbookUnknown,
	"automation.approval.requested": typeApprovalWaits,
	"automation.approved":           typeApproved,
	"automation.rejected":           typeRejected,
	"automation.finished":           typeRunbookEnd,
}

func heard() []string { return slices.Sorted(maps.Keys(typeOf)) }

// follow appends a fact to the timeline of the incident that it concerns. Its id
// follows from the fact, so hearing it twice leaves one event.
func (s *Service) follow(_ context.Context, tx *db.Tx, row journal.Row) error {
	incident := incidentOf(row)
	if incident == "" {
		return nil
	}
	if _, ok, err := loadRecord(tx, incident, ""); err != nil || !ok {
		return err
	}
	data, ref, err := describe(row)
	if err != nil || data == nil {
		return err
	}
	e := event{
		ID: idOf(row), Type: typeOf[row.Kind], At: row.At, Updated: row.At, Data: js(data),
	}
	if ref != "" {
		e.Refs = []incidents.EventReference{{Resource: &ref}}
	}
	return putEvent(tx, incident, e)
}

// idOf is the id of the event of a fact: the same each time, and among events of
// one moment in the order of the facts, after those of the call that made them.
func idOf(row journal.Row) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(row.Position))
	binary.BigEndian.PutUint64(id[:8], uint64(row.At.UnixMilli())<<16)
	id[6], id[8] = 0x80, 0x80 // version 8: our own layout
	return id.String()
}

// incidentOf is the incident among what a fact concerns.
func incidentOf(row journal.Row) string {
	for _, r := range row.Related {
		if strings.HasPrefix(r, "arn:aws:ssm-incidents:") && strings.Contains(r, ":incident-record/") {
			return r
		}
	}
	return ""
}

// describe is the data of the event of a fact, and what it refers to; nothing
// for a fact that others tell already.
func describe(row journal.Row) (data map[string]any, ref string, err error) {
	if strings.HasPrefix(row.Kind, "automation.") {
		var f automation.Fact
		if err := row.Decode(&f); err != nil {
			return nil, "", err
		}
		return runbookData(f, row), row.Subject, nil
	}
	var f engage.Fact
	if err := row.Decode(&f); err != nil {
		return nil, "", err
	}
	if row.Kind == "engagement.escalated" && f.Stage <= 1 || row.Kind == "engagement.resolved" && f.Outcome == engage.Stopped {
		return nil, "", nil
	}
	data = map[string]any{"contactArn": f.Contact, "contactName": lastPart(f.Contact), "engagementArn": f.Engagement}
	for k, v := range map[string]string{"pageArn": f.Page, "contactChannelArn": f.Channel, "note": f.Note, "message": f.Reason, "outcome": string(f.Outcome)} {
		if v != "" {
			data[k] = v
		}
	}
	if f.Stage > 0 {
		data["stage"] = f.Stage
	}
	return data, f.Page, nil
}

func runbookData(f automation.Fact, row journal.Row) map[string]any {
	data := map[string]any{"ssmExecutionArn": row.Subject, "documentName": f.DocumentName, "documentVersion": f.DocumentVersion, "status": f.Status}
	for k, v := range map[string]string{
		"stepName": f.StepName, "stepStatus": f.StepStatus, "stepAction": f.StepAction, "message": text.Clip(f.Message, 2000), "failureMessage": text.Clip(f.FailureMessage, 2000), "approver": f.Approver,
	} {
		if v != "" {
			data[k] = v
		}
	}
	return data
}

// lastPart is the name at the end of an ARN or a path.
func lastPart(s string) string { return s[strings.LastIndexAny(s, "/:")+1:] }
