package opsitem

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the tables opsitem_*.
var Migrations = db.Migrations{Name: "opsitem", FS: migrateFS}

// item is an OpsItem and its row.
type item struct {
	ID, Title, Source, Severity, Category, Type string
	Status                                      ssm.OpsItemStatus
	Priority, Version                           int64
	Created, Modified                           time.Time
	CreatedBy, ModifiedBy                       string
	Dedup                                       string // hash; "" without a deduplication string
	Spec                                        spec
}

// spec is what is only kept and given back.
type spec struct {
	Description   string                          `json:"description,omitempty"`
	Data          map[string]ssm.OpsItemDataValue `json:"data,omitempty"`
	Notifications []ssm.OpsItemNotification       `json:"notifications,omitempty"`
	Related       []ssm.RelatedOpsItem            `json:"related,omitempty"`
	ActualStart   *time.Time                      `json:"actualStart,omitempty"`
	ActualEnd     *time.Time                      `json:"actualEnd,omitempty"`
	PlannedStart  *time.Time                      `json:"plannedStart,omitempty"`
	PlannedEnd    *time.Time                      `json:"plannedEnd,omitempty"`
}

// open says whether the status keeps others with the same key from opening.
func open(s ssm.OpsItemStatus) bool {
	return s == ssm.OpsItemStatusOpen || s == ssm.OpsItemStatusInProgress
}

func (i item) openDedup() string {
	if open(i.Status) {
		return i.Dedup
	}
	return ""
}

const columns = `id, title, status, source, severity, category, priority, type, version, created, created_by, modified, modified_by, dedup, spec`

func scanItem(scan func(...any) error) (item, error) {
	var i item
	var created, modified int64
	var text string
	err := scan(&i.ID, &i.Title, &i.Status, &i.Source, &i.Severity, &i.Category, &i.Priority, &i.Type, &i.Version,
		&created, &i.CreatedBy, &modified, &i.ModifiedBy, &i.Dedup, &text)
	if err != nil {
		return i, err
	}
	i.Created, i.Modified = db.FromMicros(created), db.FromMicros(modified)
	return i, json.Unmarshal([]byte(text), &i.Spec)
}

func load(tx *db.Tx, id, lock string) (item, bool, error) {
	row := tx.QueryRow(`select `+columns+` from opsitem_item where account = $1 and region = $2 and id = $3 `+lock, tx.Scope.Account, tx.Scope.Region, id)
	return found(scanItem(row.Scan))
}

func byDedup(tx *db.Tx, dedup string) (item, bool, error) {
	row := tx.QueryRow(`select `+columns+` from opsitem_item where account = $1 and region = $2 and open_dedup = $3`, tx.Scope.Account, tx.Scope.Region, dedup)
	return found(scanItem(row.Scan))
}

func found[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

// insert adds an item; false when an open one holds the same key.
func insert(tx *db.Tx, i item) (bool, error) {
	text, err := json.Marshal(i.Spec)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`insert into opsitem_item(account, region, `+columns+`, open_dedup)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) on conflict do nothing`,
		tx.Scope.Account, tx.Scope.Region, i.ID, i.Title, string(i.Status), i.Source, i.Severity, i.Category, i.Priority, i.Type, i.Version,
		db.Micros(i.Created), i.CreatedBy, db.Micros(i.Modified), i.ModifiedBy, i.Dedup, string(text), i.openDedup())
	return n == 1, err
}

func update(tx *db.Tx, i item) error {
	text, err := json.Marshal(i.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update opsitem_item set title = $4, status = $5, severity = $6, category = $7, priority = $8, version = $9,
		modified = $10, modified_by = $11, spec = $12, open_dedup = $13 where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, i.ID, i.Title, string(i.Status), i.Severity, i.Category, i.Priority, i.Version,
		db.Micros(i.Modified), i.ModifiedBy, string(text), i.openDedup())
	return err
}

func remove(tx *db.Tx, id string) error {
	if _, err := tx.Exec(`delete from opsitem_related where account = $1 and region = $2 and item = $3`, tx.Scope.Account, tx.Scope.Region, id); err != nil {
		return err
	}
	_, err := tx.Exec(`delete from opsitem_item where account = $1 and region = $2 and id = $3`, tx.Scope.Account, tx.Scope.Region, id)
	return err
}

func list(tx *db.Tx, f *db.Filter, most int) ([]item, error) {
	return db.Rows(tx, `select `+columns+` from opsitem_item`+f.Where()+` order by created desc, id limit `+strconv.Itoa(most), f.Args,
		func(r *sql.Rows) (item, error) { return scanItem(r.Scan) })
}

// related is a related item and its row.
type related struct {
	ID, Kind, Type, URI, By string // Kind is the association type
	At                      time.Time
}

func insertRelated(tx *db.Tx, item string, r related) (bool, error) {
	n, err := tx.Exec(`insert into opsitem_related(account, region, item, id, kind, type, uri, at, by) values($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		tx.Scope.Account, tx.Scope.Region, item, r.ID, r.Kind, r.Type, r.URI, db.Micros(r.At), r.By)
	return n == 1, err
}

func deleteRelated(tx *db.Tx, item, id string) (bool, error) {
	n, err := tx.Exec(`delete from opsitem_related where account = $1 and region = $2 and item = $3 and id = $4`, tx.Scope.Account, tx.Scope.Region, item, id)
	return n == 1, err
}

func listRelated(tx *db.Tx, item string) ([]related, error) {
	return db.Rows(tx, `select id, kind, type, uri, at, by from opsitem_related where account = $1 and region = $2 and item = $3 order by at, id`,
		[]any{tx.Scope.Account, tx.Scope.Region, item}, func(rows *sql.Rows) (r related, err error) {
			var at int64
			err = rows.Scan(&r.ID, &r.Kind, &r.Type, &r.URI, &at, &r.By)
			r.At = db.FromMicros(at)
			return r, err
		})
}
