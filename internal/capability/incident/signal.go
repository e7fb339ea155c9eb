package incident

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// AlarmNote tells what became of an alarm that led to an incident.
type AlarmNote struct {
	Key     string // the same for all notes of one alarm
	Name    string
	Source  string
	Since   time.Time // when the alarm began, or ended
	Repeats int64     // how often it was repeated since it began
	Cleared bool
}

// NoteAlarm puts a note on the timeline of an incident, in the caller's
// transaction: one event that counts the repetitions, and one for the end. It
// says whether the incident is open; one that is not takes no repetitions. An
// alarm that ended leaves the incident open: that is for people to say.
func (s *Service) NoteAlarm(tx *db.Tx, incident string, n AlarmNote) (open bool, err error) {
	r, ok, err := loadRecord(tx, incident, "{lock}")
	if err != nil || !ok {
		return false, err
	}
	open = r.Status == incidents.IncidentRecordStatusOpen
	if n.Cleared {
		return open, s.happened(tx, incident, typeAlarmCleared, tx.Now, map[string]any{"alarm": n.Name, "alarmKey": n.Key, "source": n.Source})
	}
	if !open {
		return false, nil
	}
	return true, putEvent(tx, incident, event{
		ID:   uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s\x00%s\x00%d", incident, n.Key, db.Micros(n.Since))).String(),
		Type: typeAlarmRepeated, At: tx.Now, Updated: tx.Now, Data: js(map[string]any{"alarm": n.Name, "alarmKey": n.Key, "count": n.Repeats}),
	})
}
