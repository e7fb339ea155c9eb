package engage

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the tables engage_*.
var Migrations = db.Migrations{Name: "engage", FS: migrateFS}

// engagement is an engagement and its row.
type engagement struct {
	Scope                        db.Scope
	ID, Alias, Incident, Sender  string
	Subject, Content             string
	PublicSubject, PublicContent string
	Started, Stopped             time.Time
	Token                        string
	State                        State
}

func (e engagement) ARN() string {
	return arn.Make("ssm-contacts", e.Scope.Region, e.Scope.Account, "engagement/"+e.Alias+"/"+e.ID)
}

func (e engagement) contact() string { return contactARN(e.Scope, e.Alias) }

func contactARN(s db.Scope, alias string) string {
	return arn.Make("ssm-contacts", s.Region, s.Account, "contact/"+alias)
}

// status of a page.
type status string

const (
	pending status = "pending" // an intent: a task delivers it
	sent    status = "sent"
	failed  status = "failed"
	dropped status = "dropped" // the engagement was stopped before it was sent
)

// pageRow is a page and its row. Channel is an ARN.
type pageRow struct {
	Scope                          db.Scope
	ID, Engagement, Alias, Channel string
	Slot                           Slot
	Status                         status
	Created, Sent, Delivered, Read time.Time
}

func (p pageRow) ARN() string {
	return arn.Make("ssm-contacts", p.Scope.Region, p.Scope.Account, "page/"+p.Alias+"/"+p.ID)
}

type receipt struct {
	Channel string
	Type    contacts.ReceiptType
	Info    string
	At      time.Time
}

const engagementColumns = `account, region, id, alias, incident, sender, subject, content, public_subject, public_content, started, stopped, outcome, token, state`

func scanEngagement(scan func(...any) error) (engagement, error) {
	var e engagement
	var started, stopped int64
	var outcome, state string
	err := scan(&e.Scope.Account, &e.Scope.Region, &e.ID, &e.Alias, &e.Incident, &e.Sender, &e.Subject, &e.Content, &e.PublicSubject, &e.PublicContent,
		&started, &stopped, &outcome, &e.Token, &state)
	if err != nil {
		return e, err
	}
	e.Started, e.Stopped = db.FromMicros(started), db.FromMicros(stopped)
	return e, json.Unmarshal([]byte(state), &e.State)
}

func engagements(r *sql.Rows) (engagement, error) { return scanEngagement(r.Scan) }

// loadEngagement reads an engagement; with lock it is the caller's to change.
func loadEngagement(tx *db.Tx, s db.Scope, id, lock string) (engagement, bool, error) {
	row := tx.QueryRow(`select `+engagementColumns+` from engage_engagement where account = $1 and region = $2 and id = $3 `+lock, s.Account, s.Region, id)
	e, err := scanEngagement(row.Scan)
	return found(e, err)
}

func found[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

// insertEngagement adds an engagement; false when its token made one already.
func insertEngagement(tx *db.Tx, e engagement) (bool, error) {
	state, err := json.Marshal(e.State)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`insert into engage_engagement(`+engagementColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict do nothing`,
		e.Scope.Account, e.Scope.Region, e.ID, e.Alias, e.Incident, e.Sender, e.Subject, e.Content, e.PublicSubject, e.PublicContent,
		db.Micros(e.Started), db.Micros(e.Stopped), string(e.State.Outcome), e.Token, string(state))
	return n == 1, err
}

func updateEngagement(tx *db.Tx, e engagement) error {
	state, err := json.Marshal(e.State)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update engage_engagement set stopped = $4, outcome = $5, state = $6 where account = $1 and region = $2 and id = $3`,
		e.Scope.Account, e.Scope.Region, e.ID, db.Micros(e.Stopped), string(e.State.Outcome), string(state))
	return err
}

func engagementByToken(tx *db.Tx, s db.Scope, alias, token string) (engagement, bool, error) {
	row := tx.QueryRow(`select `+engagementColumns+` from engage_engagement where account = $1 and region = $2 and alias = $3 and token = $4`, s.Account, s.Region, alias, token)
	e, err := scanEngagement(row.Scan)
	return found(e, err)
}

// engagementsOf are the engagements of an incident, in all regions.
func engagementsOf(tx *db.Tx, account, incident, lock string) ([]engagement, error) {
	return db.Rows(tx, `select `+engagementColumns+` from engage_engagement where account = $1 and incident = $2 order by region, id `+lock,
		[]any{account, incident}, engagements)
}

const pageColumns = `account, region, id, engagement, alias, channel, run, stage, target, try, status, created, sent, delivered, read`

func scanPage(scan func(...any) error) (pageRow, error) {
	var p pageRow
	var created, sent, delivered, read int64
	err := scan(&p.Scope.Account, &p.Scope.Region, &p.ID, &p.Engagement, &p.Alias, &p.Channel,
		&p.Slot.Run, &p.Slot.Stage, &p.Slot.Target, &p.Slot.Try, &p.Status, &created, &sent, &delivered, &read)
	p.Created, p.Sent, p.Delivered, p.Read = db.FromMicros(created), db.FromMicros(sent), db.FromMicros(delivered), db.FromMicros(read)
	return p, err
}

func pages(r *sql.Rows) (pageRow, error) { return scanPage(r.Scan) }

func loadPage(tx *db.Tx, s db.Scope, id, lock string) (pageRow, bool, error) {
	row := tx.QueryRow(`select `+pageColumns+` from engage_page where account = $1 and region = $2 and id = $3 `+lock, s.Account, s.Region, id)
	p, err := scanPage(row.Scan)
	return found(p, err)
}

func insertPage(tx *db.Tx, p pageRow) error {
	_, err := tx.Exec(`insert into engage_page(`+pageColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		p.Scope.Account, p.Scope.Region, p.ID, p.Engagement, p.Alias, p.Channel, p.Slot.Run, p.Slot.Stage, p.Slot.Target, p.Slot.Try,
		string(p.Status), db.Micros(p.Created), db.Micros(p.Sent), db.Micros(p.Delivered), db.Micros(p.Read))
	return err
}

func updatePage(tx *db.Tx, p pageRow) error {
	_, err := tx.Exec(`update engage_page set status = $4, sent = $5, delivered = $6, read = $7 where account = $1 and region = $2 and id = $3`,
		p.Scope.Account, p.Scope.Region, p.ID, string(p.Status), db.Micros(p.Sent), db.Micros(p.Delivered), db.Micros(p.Read))
	return err
}

func pendingPages(tx *db.Tx, e engagement) ([]pageRow, error) {
	return db.Rows(tx, `select `+pageColumns+` from engage_page where account = $1 and region = $2 and engagement = $3 and status = $4 order by id {lock}`,
		[]any{e.Scope.Account, e.Scope.Region, e.ID, string(pending)}, pages)
}

func insertReceipt(tx *db.Tx, p pageRow, r receipt) error {
	_, err := tx.Exec(`insert into engage_receipt(account, region, page, seq, channel, type, info, at)
		select $1, $2, $3, count(*), $4, $5, $6, $7 from engage_receipt where account = $1 and region = $2 and page = $3`,
		p.Scope.Account, p.Scope.Region, p.ID, r.Channel, string(r.Type), r.Info, db.Micros(r.At))
	return err
}

func listReceipts(tx *db.Tx, p pageRow, after, limit int) ([]receipt, error) {
	return db.Rows(tx, `select channel, type, info, at from engage_receipt where account = $1 and region = $2 and page = $3 and seq >= $4 order by seq limit $5`,
		[]any{p.Scope.Account, p.Scope.Region, p.ID, after, limit}, func(rows *sql.Rows) (r receipt, err error) {
			var at int64
			err = rows.Scan(&r.Channel, &r.Type, &r.Info, &at)
			r.At = db.FromMicros(at)
			return r, err
		})
}
