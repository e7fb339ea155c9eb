package incident

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the tables incident_*.
var Migrations = db.Migrations{Name: "incident", FS: migrateFS}

// set is a replication set and its row.
type set struct {
	ID                    string
	Status                incidents.ReplicationSetStatus
	Protected             bool
	Regions               map[string]incidents.RegionInfo
	Created, Modified     time.Time
	CreatedBy, ModifiedBy string
}

// plan is a response plan and its row.
type plan struct {
	Name    string
	Created time.Time
	Spec    planSpec
}

type planSpec struct {
	DisplayName  *string                     `json:"displayName,omitempty"`
	Template     *incidents.IncidentTemplate `json:"template"`
	Engagements  []string                    `json:"engagements"`
	Actions      []incidents.Action          `json:"actions"`
	Chat         *incidents.ChatChannel      `json:"chat,omitempty"`
	Integrations []incidents.Integration     `json:"integrations"`
}

// record is an incident record and its row. Planned says that the dedupe string
// is the plan's, not made up; Home is the region that it was started from.
type record struct {
	ARN, Title, Summary         string
	Impact                      int64
	Status                      incidents.IncidentRecordStatus
	Dedupe                      string
	Planned                     bool
	Alarm                       string
	Created, Resolved, Modified time.Time
	CreatedBy, ModifiedBy       string
	Source, InvokedBy, Resource string
	Home, Item                  string
	Spec                        recordSpec
}

type recordSpec struct {
	Chat       *incidents.ChatChannel             `json:"chat,omitempty"`
	Targets    []incidents.NotificationTargetItem `json:"targets,omitempty"`
	Executions []string                           `json:"executions,omitempty"` // ARNs
}

// event is a timeline event and its row.
type event struct {
	ID, Type    string
	At, Updated time.Time
	Data        string
	Refs        []incidents.EventReference
	Custom      bool
}

func found[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

// js is v as JSON for a column; our own shapes always have one.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("incident: " + err.Error())
	}
	return string(b)
}

const setColumns = `id, status, protected, regions, created, created_by, modified, modified_by`

func loadSet(tx *db.Tx, lock string) (set, bool, error) {
	var s set
	var protected, created, modified int64
	var regions string
	err := tx.QueryRow(`select `+setColumns+` from incident_set where account = $1 and region = '' `+lock, tx.Scope.Account).
		Scan(&s.ID, &s.Status, &protected, &regions, &created, &s.CreatedBy, &modified, &s.ModifiedBy)
	if err == nil {
		err = json.Unmarshal([]byte(regions), &s.Regions)
	}
	s.Protected, s.Created, s.Modified = protected == 1, db.FromMicros(created), db.FromMicros(modified)
	return found(s, err)
}

func insertSet(tx *db.Tx, s set) (bool, error) {
	n, err := tx.Exec(`insert into incident_set(account, region, `+setColumns+`) values($1, '', $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		tx.Scope.Account, s.ID, string(s.Status), db.Bool(s.Protected), js(s.Regions), db.Micros(s.Created), s.CreatedBy, db.Micros(s.Modified), s.ModifiedBy)
	return n == 1, err
}

func updateSet(tx *db.Tx, s set) error {
	_, err := tx.Exec(`update incident_set set protected = $2, regions = $3, modified = $4, modified_by = $5 where account = $1 and region = ''`,
		tx.Scope.Account, db.Bool(s.Protected), js(s.Regions), db.Micros(s.Modified), s.ModifiedBy)
	return err
}

// dropAll deletes everything that hangs on the replication set.
func dropAll(tx *db.Tx) error {
	for _, table := range []string{"incident_set", "incident_plan", "incident_record", "incident_event", "incident_item", "incident_policy", "incident_token"} {
		if _, err := tx.Exec(`delete from `+table+` where account = $1 and region = ''`, tx.Scope.Account); err != nil {
			return err
		}
	}
	return nil
}

func scanPlan(scan func(...any) error) (plan, error) {
	var p plan
	var created int64
	var spec string
	err := scan(&p.Name, &created, &spec)
	if err == nil {
		err = json.Unmarshal([]byte(spec), &p.Spec)
	}
	p.Created = db.FromMicros(created)
	return p, err
}

func loadPlan(tx *db.Tx, name, lock string) (plan, bool, error) {
	return found(scanPlan(tx.QueryRow(`select name, created, spec from incident_plan where account = $1 and region = '' and name = $2 `+lock, tx.Scope.Account, name).Scan))
}

func insertPlan(tx *db.Tx, p plan) (bool, error) {
	n, err := tx.Exec(`insert into incident_plan(account, region, name, created, spec) values($1, '', $2, $3, $4) on conflict do nothing`,
		tx.Scope.Account, p.Name, db.Micros(p.Created), js(p.Spec))
	return n == 1, err
}

func updatePlan(tx *db.Tx, p plan) error {
	_, err := tx.Exec(`update incident_plan set spec = $3 where account = $1 and region = '' and name = $2`, tx.Scope.Account, p.Name, js(p.Spec))
	return err
}

func deletePlan(tx *db.Tx, name string) (bool, error) {
	n, err := tx.Exec(`delete from incident_plan where account = $1 and region = '' and name = $2`, tx.Scope.Account, name)
	return n == 1, err
}

func listPlans(tx *db.Tx, after string, most int) ([]plan, error) {
	return db.Rows(tx, `select name, created, spec from incident_plan where account = $1 and region = '' and name > $2 order by name limit $3`,
		[]any{tx.Scope.Account, after, most}, func(r *sql.Rows) (plan, error) { return scanPlan(r.Scan) })
}

const recordColumns = `arn, title, summary, impact, status, dedupe, planned, alarm, created, created_by, resolved, modified, modified_by, source, invoked_by, resource, home, item, spec`

func scanRecord(scan func(...any) error) (record, error) {
	var r record
	var planned, created, resolved, modified int64
	var spec string
	err := scan(&r.ARN, &r.Title, &r.Summary, &r.Impact, &r.Status, &r.Dedupe, &planned, &r.Alarm, &created, &r.CreatedBy, &resolved, &modified, &r.ModifiedBy,
		&r.Source, &r.InvokedBy, &r.Resource, &r.Home, &r.Item, &spec)
	if err == nil {
		err = json.Unmarshal([]byte(spec), &r.Spec)
	}
	r.Planned, r.Created, r.Resolved, r.Modified = planned == 1, db.FromMicros(created), db.FromMicros(resolved), db.FromMicros(modified)
	return r, err
}

func records(r *sql.Rows) (record, error) { return scanRecord(r.Scan) }

func loadRecord(tx *db.Tx, id, lock string) (record, bool, error) {
	return found(scanRecord(tx.QueryRow(`select `+recordColumns+` from incident_record where account = $1 and region = '' and arn = $2 `+lock, tx.Scope.Account, id).Scan))
}

// openBy finds the open incident whose column has a value, the oldest of them,
// and locks it.
func openBy(tx *db.Tx, column, value string) (record, bool, error) {
	rows, err := db.Rows(tx, `select `+recordColumns+` from incident_record where account = $1 and region = '' and `+column+` = $2 and status = 'OPEN' order by created limit 1 {lock}`,
		[]any{tx.Scope.Account, value}, records)
	if err != nil || len(rows) == 0 {
		return record{}, false, err
	}
	return rows[0], true, nil
}

// openDedupes are the dedupe strings of open incidents that a plan gave them.
func openDedupes(tx *db.Tx) (arns, dedupes []string, err error) {
	_, err = db.Rows(tx, `select arn, dedupe from incident_record where account = $1 and region = '' and status = 'OPEN' and planned = 1 order by created`,
		[]any{tx.Scope.Account}, func(r *sql.Rows) (struct{}, error) {
			var a, d string
			err := r.Scan(&a, &d)
			arns, dedupes = append(arns, a), append(dedupes, d)
			return struct{}{}, err
		})
	return arns, dedupes, err
}

func insertRecord(tx *db.Tx, r record) error {
	_, err := tx.Exec(`insert into incident_record(account, region, `+recordColumns+`)
		values($1, '', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		tx.Scope.Account, r.ARN, r.Title, r.Summary, r.Impact, string(r.Status), r.Dedupe, db.Bool(r.Planned), r.Alarm, db.Micros(r.Created), r.CreatedBy,
		db.Micros(r.Resolved), db.Micros(r.Modified), r.ModifiedBy, r.Source, r.InvokedBy, r.Resource, r.Home, r.Item, js(r.Spec))
	return err
}

func updateRecord(tx *db.Tx, r record) error {
	_, err := tx.Exec(`update incident_record set title = $3, summary = $4, impact = $5, status = $6, resolved = $7, modified = $8, modified_by = $9, item = $10, spec = $11
		where account = $1 and region = '' and arn = $2`,
		tx.Scope.Account, r.ARN, r.Title, r.Summary, r.Impact, string(r.Status), db.Micros(r.Resolved), db.Micros(r.Modified), r.ModifiedBy, r.Item, js(r.Spec))
	return err
}

func deleteRecord(tx *db.Tx, id string) (bool, error) {
	for _, table := range []string{"incident_event", "incident_item"} {
		if _, err := tx.Exec(`delete from `+table+` where account = $1 and region = '' and incident = $2`, tx.Scope.Account, id); err != nil {
			return false, err
		}
	}
	n, err := tx.Exec(`delete from incident_record where account = $1 and region = '' and arn = $2`, tx.Scope.Account, id)
	return n == 1, err
}

const eventColumns = `id, type, at, updated, data, refs, custom`

func events(r *sql.Rows) (event, error) {
	var e event
	var at, updated, custom int64
	var refs string
	err := r.Scan(&e.ID, &e.Type, &at, &updated, &e.Data, &refs, &custom)
	if err == nil {
		err = json.Unmarshal([]byte(refs), &e.Refs)
	}
	e.At, e.Updated, e.Custom = db.FromMicros(at), db.FromMicros(updated), custom == 1
	return e, err
}

func loadEvent(tx *db.Tx, incident, id string) (event, bool, error) {
	rows, err := db.Rows(tx, `select `+eventColumns+` from incident_event where account = $1 and region = '' and incident = $2 and id = $3`,
		[]any{tx.Scope.Account, incident, id}, events)
	if err != nil || len(rows) == 0 {
		return event{}, false, err
	}
	return rows[0], true, nil
}

// putEvent adds an event, or changes the one with its id.
func putEvent(tx *db.Tx, incident string, e event) error {
	_, err := tx.Exec(`insert into incident_event(account, region, incident, `+eventColumns+`) values($1, '', $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict(account, region, incident, id) do update set type = excluded.type, at = excluded.at, updated = excluded.updated, data = excluded.data, refs = excluded.refs`,
		tx.Scope.Account, incident, e.ID, e.Type, db.Micros(e.At), db.Micros(e.Updated), e.Data, js(e.Refs), db.Bool(e.Custom))
	return err
}

func deleteEvent(tx *db.Tx, incident, id string) (bool, error) {
	n, err := tx.Exec(`delete from incident_event where account = $1 and region = '' and incident = $2 and id = $3`, tx.Scope.Account, incident, id)
	return n == 1, err
}

func listEvents(tx *db.Tx, f *db.Filter, order string, most int) ([]event, error) {
	return db.Rows(tx, `select `+eventColumns+` from incident_event`+f.Where()+` order by at `+order+`, id `+order+` limit `+strconv.Itoa(most), f.Args, events)
}

func putItem(tx *db.Tx, incident string, i incidents.RelatedItem) error {
	_, err := tx.Exec(`insert into incident_item(account, region, incident, id, title, added, spec) values($1, '', $2, $3, $4, $5, $6)
		on conflict(account, region, incident, id) do update set title = excluded.title`,
		tx.Scope.Account, incident, *i.GeneratedId, ptr.Value(i.Title), db.Micros(tx.Now), js(i.Identifier))
	return err
}

func deleteItem(tx *db.Tx, incident, id string) (bool, error) {
	n, err := tx.Exec(`delete from incident_item where account = $1 and region = '' and incident = $2 and id = $3`, tx.Scope.Account, incident, id)
	return n == 1, err
}

func listItems(tx *db.Tx, incident, after string, most int) ([]incidents.RelatedItem, error) {
	return db.Rows(tx, `select id, title, spec from incident_item where account = $1 and region = '' and incident = $2 and id > $3 order by id limit $4`,
		[]any{tx.Scope.Account, incident, after, most}, func(r *sql.Rows) (i incidents.RelatedItem, err error) {
			var id, title, spec string
			if err = r.Scan(&id, &title, &spec); err == nil {
				err = json.Unmarshal([]byte(spec), &i.Identifier)
			}
			i.GeneratedId, i.Title = &id, ptr.OrNil(title)
			return i, err
		})
}

func planARN(account, name string) string {
	return arn.Make("ssm-incidents", "", account, "response-plan/"+name)
}
