package alarm

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const columns = `integration, alarm_key, source, state, since, started, ended, closed, opened, repeats, deliveries, unnoted, noted, last_seen,
	severity, owner, reference, summary, labels, spec`

const one = ` from alarm_alarm where account = $1 and region = $2 and integration = $3 and alarm_key = $4`

type scanner interface{ Scan(...any) error }

func scan(r scanner) (*Entry, error) {
	e := &Entry{}
	var since, started, ended, closed, noted, seen int64
	var labels, spec string
	err := r.Scan(&e.Integration, &e.Key, &e.Source, &e.State, &since, &started, &ended, &closed, &e.Opened, &e.Repeats, &e.Deliveries, &e.unnoted, &noted, &seen,
		&e.Severity, &e.Owner, &e.Reference, &e.Summary, &labels, &spec)
	if err != nil {
		return nil, err
	}
	e.Since, e.noted, e.LastSeen = db.FromMicros(since), db.FromMicros(noted), db.FromMicros(seen)
	e.spell = spell{
		state: e.State, since: e.Since, started: db.FromMicros(started), ended: db.FromMicros(ended),
		closed: db.FromMicros(closed), opened: e.Opened,
	}
	return e, errors.Join(json.Unmarshal([]byte(labels), &e.Labels), json.Unmarshal([]byte(spec), &e.Detail))
}

func load(tx *db.Tx, integration, key, lock string) (*Entry, error) {
	e, err := scan(tx.QueryRow("select "+columns+one+lock, tx.Scope.Account, tx.Scope.Region, integration, key))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("alarm %s of %s: %w", key, integration, err)
	}
	return e, nil
}

// take loads the alarm of a signal, locked. Of an alarm that is new it makes the
// row first where others might make it at the same time.
func take(tx *db.Tx, sig Signal) (*Entry, error) {
	if e, err := load(tx, sig.Integration, sig.Key, " {lock}"); e != nil || err != nil {
		return e, err
	}
	fresh := &Entry{Integration: sig.Integration, Key: sig.Key}
	made, err := insert(tx, fresh)
	if err != nil || made {
		return fresh, err
	}
	e, err := load(tx, sig.Integration, sig.Key, " {lock}")
	if err == nil && e == nil {
		err = fmt.Errorf("alarm %s of %s: the row is gone", sig.Key, sig.Integration)
	}
	return e, err
}

func insert(tx *db.Tx, e *Entry) (bool, error) {
	n, err := tx.Exec(`insert into alarm_alarm(account, region, integration, alarm_key, source, state, since, started, ended, closed, opened,
		repeats, deliveries, unnoted, noted, last_seen, severity, owner, reference, summary, labels, spec)
		values($1, $2, $3, $4, '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '', '{}', '{}')
		on conflict do nothing`, tx.Scope.Account, tx.Scope.Region, e.Integration, e.Key)
	return n == 1, err
}

// save writes the state and the counts; the description too when it was taken
// over, which is seldom.
func save(tx *db.Tx, e *Entry, described bool) error {
	w := e.spell
	args := []any{
		tx.Scope.Account, tx.Scope.Region, e.Integration, e.Key, e.State, db.Micros(e.Since), db.Micros(w.started), db.Micros(w.ended),
		db.Micros(w.closed), e.Opened, e.Repeats, e.Deliveries, e.unnoted, db.Micros(e.noted), db.Micros(e.LastSeen),
	}
	const counts = `update alarm_alarm set state = $5, since = $6, started = $7, ended = $8, closed = $9, opened = $10,
		repeats = $11, deliveries = $12, unnoted = $13, noted = $14, last_seen = $15`
	const where = ` where account = $1 and region = $2 and integration = $3 and alarm_key = $4`
	if !described {
		_, err := tx.Exec(counts+where, args...)
		return err
	}
	labels, err := json.Marshal(e.Labels)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(e.Detail)
	if err != nil {
		return err
	}
	args = append(args, e.Source, e.Severity, e.Owner, e.Summary, string(labels), string(spec))
	_, err = tx.Exec(counts+`, source = $16, severity = $17, owner = $18, summary = $19, labels = $20, spec = $21`+where, args...)
	return err
}

// Get is one alarm, nil when nobody has sent it.
func (s *Service) Get(tx *db.Tx, integration, key string) (*Entry, error) {
	return load(tx, integration, key, "")
}

// List is the alarms in a state, those that have been in it longest first, at
// most limit.
func (s *Service) List(tx *db.Tx, state State, limit int) ([]*Entry, error) {
	return db.Rows(tx, "select "+columns+` from alarm_alarm where account = $1 and region = $2 and state = $3 order by since, integration, alarm_key limit $4`,
		[]any{tx.Scope.Account, tx.Scope.Region, state, limit}, func(r *sql.Rows) (*Entry, error) { return scan(r) })
}
