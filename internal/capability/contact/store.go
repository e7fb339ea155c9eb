package contact

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the tables contact_*.
var Migrations = db.Migrations{Name: "contact", FS: migrateFS}

// Contact is a contact and its row.
type Contact struct {
	Scope   db.Scope
	Alias   string
	Type    contacts.ContactType
	Name    string
	Plan    contacts.Plan
	Policy  string
	Token   string
	Created time.Time
}

// Channel is a contact channel and its row. Nonce, Expires and Tries belong to
// the activation code on its way, Sends and SendsSince to the limit of codes.
type Channel struct {
	Scope      db.Scope
	ID         string
	Alias      string
	Type       contacts.ChannelType
	Name       string
	Address    string
	Activated  bool
	Token      string
	Created    time.Time
	Nonce      string
	Expires    time.Time
	Tries      int64
	Sends      int64
	SendsSince time.Time
}

const contactColumns = `account, region, alias, type, name, plan, policy, token, created`

func scanContact(scan func(...any) error) (Contact, error) {
	var c Contact
	var plan string
	var created int64
	err := scan(&c.Scope.Account, &c.Scope.Region, &c.Alias, &c.Type, &c.Name, &plan, &c.Policy, &c.Token, &created)
	if err != nil {
		return c, err
	}
	c.Created = db.FromMicros(created)
	return c, json.Unmarshal([]byte(plan), &c.Plan)
}

func loadContact(tx *db.Tx, s db.Scope, alias string) (Contact, bool, error) {
	row := tx.QueryRow(`select `+contactColumns+` from contact_contact where account = $1 and region = $2 and alias = $3`, s.Account, s.Region, alias)
	c, err := scanContact(row.Scan)
	return found(c, err)
}

func found[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

func insertContact(tx *db.Tx, c Contact) (bool, error) {
	plan, err := json.Marshal(c.Plan)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`insert into contact_contact(`+contactColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		c.Scope.Account, c.Scope.Region, c.Alias, string(c.Type), c.Name, string(plan), c.Policy, c.Token, db.Micros(c.Created))
	return n == 1, err
}

func updateContact(tx *db.Tx, c Contact) error {
	plan, err := json.Marshal(c.Plan)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update contact_contact set name = $4, plan = $5, policy = $6 where account = $1 and region = $2 and alias = $3`,
		c.Scope.Account, c.Scope.Region, c.Alias, c.Name, string(plan), c.Policy)
	return err
}

func deleteContact(tx *db.Tx, c Contact) error {
	if _, err := tx.Exec(`delete from contact_channel where account = $1 and region = $2 and alias = $3`, c.Scope.Account, c.Scope.Region, c.Alias); err != nil {
		return err
	}
	_, err := tx.Exec(`delete from contact_contact where account = $1 and region = $2 and alias = $3`, c.Scope.Account, c.Scope.Region, c.Alias)
	return err
}

func listContacts(tx *db.Tx, f *db.Filter, limit int) ([]Contact, error) {
	f.Args = append(f.Args, limit)
	return db.Rows(tx, `select `+contactColumns+` from contact_contact`+f.Where()+` order by alias limit `+place(f), f.Args,
		func(r *sql.Rows) (Contact, error) { return scanContact(r.Scan) })
}

const channelColumns = `account, region, id, alias, type, name, address, activated, token, created, nonce, expires, tries, sends, sends_since`

func scanChannel(scan func(...any) error) (Channel, error) {
	var c Channel
	var activated, created, expires, since int64
	err := scan(&c.Scope.Account, &c.Scope.Region, &c.ID, &c.Alias, &c.Type, &c.Name, &c.Address, &activated, &c.Token, &created,
		&c.Nonce, &expires, &c.Tries, &c.Sends, &since)
	c.Activated, c.Created = activated == 1, db.FromMicros(created)
	c.Expires, c.SendsSince = db.FromMicros(expires), db.FromMicros(since)
	return c, err
}

func loadChannel(tx *db.Tx, s db.Scope, id string) (Channel, bool, error) {
	row := tx.QueryRow(`select `+channelColumns+` from contact_channel where account = $1 and region = $2 and id = $3`, s.Account, s.Region, id)
	c, err := scanChannel(row.Scan)
	return found(c, err)
}

func insertChannel(tx *db.Tx, c Channel) error {
	_, err := tx.Exec(`insert into contact_channel(`+channelColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		c.Scope.Account, c.Scope.Region, c.ID, c.Alias, string(c.Type), c.Name, c.Address, db.Bool(c.Activated), c.Token, db.Micros(c.Created),
		c.Nonce, db.Micros(c.Expires), c.Tries, c.Sends, db.Micros(c.SendsSince))
	return err
}

func updateChannel(tx *db.Tx, c Channel) error {
	_, err := tx.Exec(`update contact_channel set name = $4, address = $5, activated = $6, nonce = $7, expires = $8, tries = $9, sends = $10, sends_since = $11
		where account = $1 and region = $2 and id = $3`,
		c.Scope.Account, c.Scope.Region, c.ID, c.Name, c.Address, db.Bool(c.Activated), c.Nonce, db.Micros(c.Expires), c.Tries, c.Sends, db.Micros(c.SendsSince))
	return err
}

func deleteChannel(tx *db.Tx, c Channel) error {
	_, err := tx.Exec(`delete from contact_channel where account = $1 and region = $2 and id = $3`, c.Scope.Account, c.Scope.Region, c.ID)
	return err
}

func listChannels(tx *db.Tx, s db.Scope, alias, after string, limit int) ([]Channel, error) {
	return db.Rows(tx, `select `+channelColumns+` from contact_channel where account = $1 and region = $2 and alias = $3 and id > $4 order by id limit $5`,
		[]any{s.Account, s.Region, alias, after, limit}, func(r *sql.Rows) (Channel, error) { return scanChannel(r.Scan) })
}

// place is the placeholder of the last argument of a filter.
func place(f *db.Filter) string { return "$" + strconv.Itoa(len(f.Args)) }
