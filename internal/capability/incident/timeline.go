package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const mostLines = 10000

// Timeline renders the timeline of an incident for people, oldest first, one
// line an event as "10:01 Alarm triggered: x"; with seconds when all of it took
// less than ten minutes, with the date when it took more than a day.
func (s *Service) Timeline(ctx context.Context, incident string) (string, error) {
	var rows []event
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := s.mustRecord(tx, incident, ""); err != nil {
			return err
		}
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", "").And("incident = ?", incident)
		var err error
		rows, err = listEvents(tx, f, "asc", mostLines)
		return err
	})
	if err != nil {
		return "", err
	}
	return render(rows), nil
}

func render(rows []event) string {
	if len(rows) == 0 {
		return ""
	}
	layout := "15:04"
	switch span := rows[len(rows)-1].At.Sub(rows[0].At); {
	case span < 10*time.Minute:
		layout = "15:04:05"
	case span > 24*time.Hour:
		layout = "2006-01-02 15:04"
	}
	var b strings.Builder
	for _, e := range rows {
		if line := e.line(); line != "" {
			_, _ = fmt.Fprintf(&b, "%s %s\n", e.At.UTC().Format(layout), oneLine(line))
		}
	}
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// detail reads the members of event data that lines are made of.
type detail struct {
	CreatedIncident bool        `json:"createdIncident"`
	Source          string      `json:"incidentSource"`
	Trigger         string      `json:"triggerArn"`
	Title           string      `json:"title"`
	IncidentTitle   string      `json:"incidentTitle"`
	Plan            string      `json:"responsePlan"`
	By              string      `json:"modifiedBy"`
	Attributes      []attribute `json:"modifiedAttributes"`
	Contact         string      `json:"contactName"`
	ContactARN      string      `json:"contactArn"`
	Stage           int         `json:"stage"`
	Outcome         string      `json:"outcome"`
	Note            string      `json:"note"`
	Message         string      `json:"message"`
	Document        string      `json:"documentName"`
	Status          string      `json:"status"`
	Failure         string      `json:"failureMessage"`
	Step            string      `json:"stepName"`
	StepStatus      string      `json:"stepStatus"`
	Approver        string      `json:"approver"`
	Alarm           string      `json:"alarm"`
}

// line is an event as a sentence; "" for one that is not worth a line.
func (e event) line() string {
	if e.Type == typeCustom || e.Type == typeNote {
		return plain(e.Data)
	}
	var d detail
	if json.Unmarshal([]byte(e.Data), &d) != nil {
		return e.Type
	}
	if f, ok := lines[e.Type]; ok {
		return f(d)
	}
	return e.Type
}

var lines = map[string]func(detail) string{
	typeTrigger: func(d detail) string {
		what := first(d.Title, d.Trigger, d.Source)
		switch {
		case !d.CreatedIncident:
			return "Triggered again, folded into this incident: " + what
		case d.Source == customSource:
			return "Incident reported: " + first(d.Title, "by a call")
		}
		return "Alarm triggered: " + what
	},
	typeStart: func(d detail) string {
		return fmt.Sprintf("Incident created by response plan %s: %s", d.Plan, d.IncidentTitle)
	},
	typeUpdate:       func(d detail) string { return d.changes() },
	typePage:         func(d detail) string { return "Paged " + d.Contact },
	typeAck:          func(d detail) string { return after(d.Contact+" acknowledged", d.Note) },
	typePageFailed:   func(d detail) string { return after("Page to "+d.Contact+" failed", d.Message) },
	typeEscalated:    func(d detail) string { return fmt.Sprintf("No answer: stage %d of %s began", d.Stage, d.Contact) },
	typeEngageEnd:    func(d detail) string { return d.engagementEnd() },
	typeAlarmCleared: func(d detail) string { return "Alarm cleared: " + d.Alarm },
	typeEngageFailed: func(d detail) string { return after("Could not engage "+d.ContactARN, d.Message) },
	typeStageSkipped: func(d detail) string {
		return fmt.Sprintf("Stage %d of %s reaches nobody: skipped", d.Stage, d.Contact)
	},
	typeRunbookStart:   func(d detail) string { return "Runbook " + d.Document + " started" },
	typeRunbookStep:    func(d detail) string { return after("Runbook step "+d.Step+": "+d.StepStatus, d.Message) },
	typeRunbookUnknown: func(d detail) string { return after("Runbook step "+d.Step+" may or may not have run", d.Message) },
	typeRunbookRefused: func(d detail) string { return after("Runbook "+d.Document+" could not be started", d.Message) },
	typeRunbookEnd:     func(d detail) string { return after("Runbook "+d.Document+" ended: "+d.Status, d.Failure) },
	typeApprovalWaits:  func(d detail) string { return after("Runbook waits for approval of "+d.Step, d.Message) },
	typeApproved:       func(d detail) string { return after(lastPart(d.Approver)+" approved "+d.Step, d.Message) },
	typeRejected:       func(d detail) string { return after(lastPart(d.Approver)+" rejected "+d.Step, d.Message) },
}

func (d detail) engagementEnd() string {
	if d.Outcome == "exhausted" {
		return "Nobody answered: all stages of " + d.Contact + " are over"
	}
	return "" // the acknowledgement has its own line
}

// changes tells what was changed on the record, the resolution above all.
func (d detail) changes() string {
	by := ""
	if d.By != "" {
		by = " by " + lastPart(d.By)
	}
	var out []string
	for _, a := range d.Attributes {
		switch {
		case a.Name == "status" && a.Value == "RESOLVED":
			out = append(out, "Incident resolved"+by)
		case a.Name == "status":
			out = append(out, "Incident opened again"+by)
		case a.Name == "impact":
			out = append(out, "Impact set to "+a.Value+by)
		case a.Name == "relatedItems":
			out = append(out, "Related items changed"+by)
		default:
			out = append(out, fmt.Sprintf("%s set to %q%s", a.Name, a.Value, by))
		}
	}
	return strings.Join(out, "; ")
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// after adds a remark to a sentence when there is one.
func after(s, remark string) string {
	if remark == "" {
		return s
	}
	return s + ": " + remark
}
