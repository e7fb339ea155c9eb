package loggroup

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// group is a log group.
type group struct {
	name      string
	created   time.Time
	retention int64 // days, 0 for ever
}

const groupColumns = "name, created, retention"

func scanGroup(scan func(...any) error) (g group, err error) {
	var created int64
	err = scan(&g.name, &created, &g.retention)
	g.created = db.FromMicros(created)
	return g, err
}

func loadGroup(tx *db.Tx, name, lock string) (*group, error) {
	g, err := scanGroup(tx.QueryRow("select "+groupColumns+" from loggroup_group where account = $1 and region = $2 and name = $3 "+lock,
		tx.Scope.Account, tx.Scope.Region, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noGroup
	}
	if err != nil {
		return nil, fmt.Errorf("log group %s: %w", name, err)
	}
	return &g, nil
}

func putGroup(tx *db.Tx, g *group) error {
	_, err := tx.Exec(`insert into loggroup_group(account, region, `+groupColumns+`) values($1, $2, $3, $4, $5)
		on conflict(account, region, name) do update set retention = excluded.retention`,
		tx.Scope.Account, tx.Scope.Region, g.name, db.Micros(g.created), g.retention)
	return err
}

func removeGroup(tx *db.Tx, name string) error {
	for _, text := range []string{
		"delete from loggroup_event where account = $1 and region = $2 and group_name = $3",
		"delete from loggroup_stream where account = $1 and region = $2 and group_name = $3",
		"delete from loggroup_group where account = $1 and region = $2 and name = $3",
	} {
		if _, err := tx.Exec(text, tx.Scope.Account, tx.Scope.Region, name); err != nil {
			return err
		}
	}
	return nil
}

// beyond is after every name that begins with a prefix.
func beyond(prefix string) string { return prefix + "\U0010FFFF" }

func scoped(tx *db.Tx) *db.Filter {
	return new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

// limited ends a query with a limit.
func limited(f *db.Filter, limit int) string {
	f.Args = append(f.Args, limit)
	return fmt.Sprintf(" limit $%d", len(f.Args))
}

func listGroups(tx *db.Tx, f *db.Filter, limit int) ([]group, error) {
	where := f.Where()
	return db.Rows(tx, "select "+groupColumns+" from loggroup_group"+where+" order by name"+limited(f, limit), f.Args,
		func(r *sql.Rows) (group, error) { return scanGroup(r.Scan) })
}

// stream is a log stream. Times of events are in milliseconds, 0 without any.
type stream struct {
	name                string
	created             time.Time
	first, last, ingest int64
	next                int64 // number of the next event
}

const streamColumns = "name, created, first_event, last_event, ingested, next"

func scanStream(scan func(...any) error) (s stream, err error) {
	var created int64
	err = scan(&s.name, &created, &s.first, &s.last, &s.ingest, &s.next)
	s.created = db.FromMicros(created)
	return s, err
}

func loadStream(tx *db.Tx, group, name, lock string) (*stream, error) {
	s, err := scanStream(tx.QueryRow("select "+streamColumns+" from loggroup_stream where account = $1 and region = $2 and group_name = $3 and name = $4 "+lock,
		tx.Scope.Account, tx.Scope.Region, group, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := loadGroup(tx, group, ""); err != nil {
			return nil, err
		}
		return nil, noStream
	}
	if err != nil {
		return nil, fmt.Errorf("log stream %s of %s: %w", name, group, err)
	}
	return &s, nil
}

func putStream(tx *db.Tx, group string, s *stream) error {
	_, err := tx.Exec(`insert into loggroup_stream(account, region, group_name, `+streamColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict(account, region, group_name, name) do update set
			first_event = excluded.first_event, last_event = excluded.last_event, ingested = excluded.ingested, next = excluded.next`,
		tx.Scope.Account, tx.Scope.Region, group, s.name, db.Micros(s.created), s.first, s.last, s.ingest, s.next)
	return err
}

func removeStream(tx *db.Tx, group, name string) error {
	for _, text := range []string{
		"delete from loggroup_event where account = $1 and region = $2 and group_name = $3 and stream = $4",
		"delete from loggroup_stream where account = $1 and region = $2 and group_name = $3 and name = $4",
	} {
		if _, err := tx.Exec(text, tx.Scope.Account, tx.Scope.Region, group, name); err != nil {
			return err
		}
	}
	return nil
}

func listStreams(tx *db.Tx, f *db.Filter, order string, limit int) ([]stream, error) {
	where := f.Where()
	return db.Rows(tx, "select "+streamColumns+" from loggroup_stream"+where+" order by "+order+limited(f, limit), f.Args,
		func(r *sql.Rows) (stream, error) { return scanStream(r.Scan) })
}

// event is a log event. Times are in milliseconds.
type event struct {
	stream   string
	at, seq  int64
	ingested int64
	message  string
	sealed   []byte // the message when it is not in plain
}

func insertEvent(tx *db.Tx, group string, e event) error {
	_, err := tx.Exec("insert into loggroup_event(account, region, group_name, stream, at, seq, ingested, message, sealed) values($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		tx.Scope.Account, tx.Scope.Region, group, e.stream, e.at, e.seq, e.ingested, e.message, e.sealed)
	return err
}

func listEvents(tx *db.Tx, f *db.Filter, order string, limit int) ([]event, error) {
	where := f.Where()
	return db.Rows(tx, "select stream, at, seq, ingested, message, sealed from loggroup_event"+where+" order by "+order+limited(f, limit), f.Args,
		func(r *sql.Rows) (e event, err error) {
			err = r.Scan(&e.stream, &e.at, &e.seq, &e.ingested, &e.message, &e.sealed)
			return e, err
		})
}
