package intake

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// IncidentSignal asks for an incident.
type IncidentSignal struct {
	ResponsePlanARN string
	DedupeKey       string // an open incident with this key takes the signal in
	Title           string // at most 200 characters
	Impact          int32  // 1 to 5, 0 for what the plan says
	TriggerSource   string // "aws.cloudwatch", or "alertmanager"
	TriggerARN      string // of the CloudWatch alarm, "" for others
	TriggerAt       time.Time
	RawData         string   // JSON, at most 10,000 characters
	Involved        []string // ARNs of resources that the labels name
	Links           []string // ARN of the alarm, URL of where the sender shows it
}

// Note tells an incident what became of an alarm that led to it.
type Note struct {
	Alarm   string // its id in facts
	Source  string
	Summary string
	State   alarm.State
	Since   time.Time // of the state, by the sender's clock
	Repeats int64     // how often it was repeated since it stands
}

// Incidents starts incidents; package incident does. Errors of status 4xx say
// that this signal cannot be used; what was written before them is undone.
type Incidents interface {
	StartFromAlarm(ctx context.Context, tx *db.Tx, in IncidentSignal) (incidentARN string, opened bool, err error)
	NoteAlarm(ctx context.Context, tx *db.Tx, incidentARN string, n Note) (open bool, err error)
}

// OpsItemSignal asks for an OpsItem.
type OpsItemSignal struct {
	DedupeKey   string // an open item with this key is the answer
	Title       string // at most 1,024 characters
	Description string // at most 2,048 characters
	Source      string
	Severity    string // "1" to "4", "" for none
	Category    string
	Data        map[string]string // labels and links, to be shown
}

// OpsItems opens OpsItems that nobody owns yet; package opsitem does.
type OpsItems interface {
	OpenUnowned(ctx context.Context, tx *db.Tx, in OpsItemSignal) (id string, err error)
}
