// Package timeline tells the events of an incident in lines for people. It is pure:
// the hub and its clients share it.
package timeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Types of events. Those that AWS has bear its names; the others are the hub's own.
const (
	Trigger        = "SSM Incident Trigger"
	Start          = "SSM Incident Start"
	Update         = "SSM Incident Record Update"
	RunbookRefused = "SSM Automation Execution Start Failure for Incident"
	Page           = "SSM Contacts Page for Incident"
	Ack            = "SSM Contacts Page Acknowledgement for Incident"
	EngageFailed   = "SSM Contacts Engagement Failure for Incident"
	Escalated      = "SSM Contacts Engagement Escalation for Incident"
	StageSkipped   = "SSM Contacts Engagement Stage Skipped for Incident"
	EngageEnd      = "SSM Contacts Engagement End for Incident"
	PageFailed     = "SSM Contacts Page Failure for Incident"
	RunbookStart   = "SSM Automation Execution Start for Incident"
	RunbookStep    = "SSM Automation Step End for Incident"
	RunbookUnknown = "SSM Automation Step Unknown for Incident"
	ApprovalWaits  = "SSM Automation Approval Request for Incident"
	Approved       = "SSM Automation Approval for Incident"
	Rejected       = "SSM Automation Rejection for Incident"
	RunbookEnd     = "SSM Automation Execution End for Incident"
	AlarmCleared   = "SSM Incident Alarm Clear"
	AlarmRepeated  = "SSM Incident Alarm Repeat"
	Custom         = "Custom Event"
	Note           = "Note"
)

// CustomSource is the source of incidents that a call started without saying what
// for.
const CustomSource = "aws.ssm-incidents.custom"

// Event is one event. Data is its JSON, a JSON string for custom events and notes.
type Event struct {
	At   time.Time
	Type string
	Data string
}

// Render tells events, which are in order, one a line as "10:01 Alarm triggered: x":
// with seconds when all of it took less than ten minutes, with the date when it took
// more than a day.
func Render(events []Event, zone *time.Location) string {
	if len(events) == 0 {
		return ""
	}
	layout := "15:04"
	switch span := events[len(events)-1].At.Sub(events[0].At); {
	case span < 10*time.Minute:
		layout = "15:04:05"
	case span > 24*time.Hour:
		layout = "2006-01-02 15:04"
	}
	var b strings.Builder
	for _, e := range events {
		if line := e.Line(); line != "" {
			_, _ = fmt.Fprintf(&b, "%s %s\n", e.At.In(zone).Format(layout), oneLine(line))
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
	Count           int         `json:"count"`
}

// attribute is one change of a record.
type attribute struct {
	Name  string `json:"attributeName"`
	Value string `json:"newValue"`
}

// plain is the value of a JSON string, or the text itself.
func plain(data string) string {
	var s string
	if json.Unmarshal([]byte(data), &s) == nil {
		return s
	}
	return data
}

func lastPart(s string) string { return s[strings.LastIndexAny(s, "/:")+1:] }

// Line is an event as a sentence; "" for one that is not worth a line.
func (e Event) Line() string {
	if e.Type == Custom || e.Type == Note {
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
	Trigger: func(d detail) string {
		what := cmp.Or(d.Title, d.Trigger, d.Source)
		switch {
		case !d.CreatedIncident:
			return "Triggered again, folded into this incident: " + what
		case d.Source == CustomSource:
			return "Incident reported: " + cmp.Or(d.Title, "by a call")
		}
		return "Alarm triggered: " + what
	},
	Start: func(d detail) string {
		return fmt.Sprintf("Incident created by response plan %s: %s", d.Plan, d.IncidentTitle)
	},
	Update:       func(d detail) string { return d.changes() },
	Page:         func(d detail) string { return "Paged " + d.Contact },
	Ack:          func(d detail) string { return after(d.Contact+" acknowledged", d.Note) },
	PageFailed:   func(d detail) string { return after("Page to "+d.Contact+" failed", d.Message) },
	Escalated:    func(d detail) string { return fmt.Sprintf("No answer: stage %d of %s began", d.Stage, d.Contact) },
	EngageEnd:    func(d detail) string { return d.engagementEnd() },
	AlarmCleared: func(d detail) string { return "Alarm cleared: " + d.Alarm },
	EngageFailed: func(d detail) string { return after("Could not engage "+d.ContactARN, d.Message) },
	StageSkipped: func(d detail) string {
		return fmt.Sprintf("Stage %d of %s reaches nobody: skipped", d.Stage, d.Contact)
	},
	AlarmRepeated: func(d detail) string {
		if d.Count == 1 {
			return "Alarm repeated: " + d.Alarm
		}
		return fmt.Sprintf("Alarm repeated %d times: %s", d.Count, d.Alarm)
	},
	RunbookStart:   func(d detail) string { return "Runbook " + d.Document + " started" },
	RunbookStep:    func(d detail) string { return after("Runbook step "+d.Step+": "+d.StepStatus, d.Message) },
	RunbookUnknown: func(d detail) string { return after("Runbook step "+d.Step+" may or may not have run", d.Message) },
	RunbookRefused: func(d detail) string { return after("Runbook "+d.Document+" could not be started", d.Message) },
	RunbookEnd:     func(d detail) string { return after("Runbook "+d.Document+" ended: "+d.Status, d.Failure) },
	ApprovalWaits:  func(d detail) string { return after("Runbook waits for approval of "+d.Step, d.Message) },
	Approved:       func(d detail) string { return after(lastPart(d.Approver)+" approved "+d.Step, d.Message) },
	Rejected:       func(d detail) string { return after(lastPart(d.Approver)+" rejected "+d.Step, d.Message) },
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

// after adds a remark to a sentence when there is one.
func after(s, remark string) string {
	if remark == "" {
		return s
	}
	return s + ": " + remark
}
