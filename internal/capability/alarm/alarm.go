// Package alarm is the registry of alarms: one row for each key, with its
// state, how often it was repeated and what was opened for it. What an alarm
// leads to is decided by package incident.
//
// Facts: alarm.fired, alarm.repeated, alarm.cleared.
package alarm

import (
	"database/sql"
	"embed"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the table alarm_alarm.
var Migrations = db.Migrations{Name: "alarm", FS: migrateFS}

// Service keeps the registry.
type Service struct {
	Journal *journal.Journal
}

// Alarm is what is known of a key. Incident and Item are what was opened for it
// last, "" for nothing.
type Alarm struct {
	Key      string
	Source   string
	Name     string
	Firing   bool
	Count    int64 // how often it was reported since it began to fire
	Since    time.Time
	Last     time.Time
	Incident string // ARN
	Item     string // id of an OpsItem
	Payload  string
}

// Signal is one report of an alarm.
type Signal struct {
	Key     string // the same for all reports of one alarm
	Source  string
	Name    string
	Firing  bool
	Payload string // what arrived, as JSON
}

// Change says what a report did to the alarm.
type Change string

// The changes.
const (
	Fired    Change = "alarm.fired"
	Repeated Change = "alarm.repeated"
	Cleared  Change = "alarm.cleared"
	Nothing  Change = "" // cleared again, or never heard of
)

const columns = `source, name, firing, count, since, last, incident, item, payload`

// Note takes a report into the registry, in the caller's transaction and scope.
func (s *Service) Note(tx *db.Tx, in Signal) (Alarm, Change, error) {
	a, known, err := Load(tx, in.Key)
	if err != nil || !known && !in.Firing {
		return a, Nothing, err
	}
	a.Key, a.Source, a.Name, a.Last, a.Payload = in.Key, in.Source, in.Name, tx.Now, in.Payload
	change := Repeated
	switch {
	case !in.Firing && !a.Firing:
		return a, Nothing, nil
	case !in.Firing:
		a.Firing, change = false, Cleared
	case !a.Firing:
		a.Firing, a.Count, a.Since, change = true, 1, tx.Now, Fired
	default:
		a.Count++
	}
	if err := save(tx, a); err != nil {
		return a, change, err
	}
	return a, change, s.Journal.Record(tx, journal.Fact{Kind: string(change), Subject: a.Key, Body: map[string]any{"name": a.Name, "source": a.Source, "count": a.Count}})
}

// Attach remembers what was opened for an alarm.
func (s *Service) Attach(tx *db.Tx, key, incident, item string) error {
	_, err := tx.Exec(`update alarm_alarm set incident = $4, item = $5 where account = $1 and region = $2 and key = $3`, tx.Scope.Account, tx.Scope.Region, key, incident, item)
	return err
}

// Load reads an alarm and locks its row.
func Load(tx *db.Tx, key string) (Alarm, bool, error) {
	a := Alarm{Key: key}
	var firing, since, last int64
	err := tx.QueryRow(`select `+columns+` from alarm_alarm where account = $1 and region = $2 and key = $3 {lock}`, tx.Scope.Account, tx.Scope.Region, key).
		Scan(&a.Source, &a.Name, &firing, &a.Count, &since, &last, &a.Incident, &a.Item, &a.Payload)
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	a.Firing, a.Since, a.Last = firing == 1, db.FromMicros(since), db.FromMicros(last)
	return a, err == nil, err
}

func save(tx *db.Tx, a Alarm) error {
	var firing int64
	if a.Firing {
		firing = 1
	}
	_, err := tx.Exec(`insert into alarm_alarm(account, region, key, `+columns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict(account, region, key) do update set source = excluded.source, name = excluded.name, firing = excluded.firing,
			count = case when excluded.count = 1 and alarm_alarm.firing = 1 then alarm_alarm.count + 1 else excluded.count end,
			since = excluded.since, last = excluded.last, payload = excluded.payload`,
		tx.Scope.Account, tx.Scope.Region, a.Key, a.Source, a.Name, firing, a.Count, db.Micros(a.Since), db.Micros(a.Last), a.Incident, a.Item, a.Payload)
	return err
}
