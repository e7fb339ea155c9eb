// Package inbox is the channel that needs nobody else: messages kept by the hub
// and read in a browser, and the page behind every acknowledge link.
//
// Reading the list is for this machine only, since whoever reads it can answer
// every page; one message opens to whoever holds its link. Codes and links are
// kept encrypted. GET never changes anything: mail scanners follow links.
package inbox

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the table inbox_message.
var Migrations = db.Migrations{Name: "inbox", FS: migrateFS}

// Inbox is the channel.
type Inbox struct {
	db   *db.DB
	aead cipher.AEAD
}

// New makes the inbox. Key is 32 bytes kept outside the database.
func New(d *db.DB, key []byte) (*Inbox, error) {
	k, err := hkdf.Key(sha256.New, key, nil, "watchbill inbox", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Inbox{db: d, aead: aead}, err
}

// Message is a message as its reader sees it.
type Message struct {
	ID       string    `json:"id"`
	Address  string    `json:"address"`
	Sender   string    `json:"sender"`
	Subject  string    `json:"subject"`
	Content  string    `json:"content"`
	Incident string    `json:"incident,omitempty"`
	Code     string    `json:"code"`
	Link     string    `json:"link,omitempty"` // empty for an activation code
	At       time.Time `json:"at"`
}

// Deliver puts a page into the inbox; once it is there it has arrived. The same
// page is there once, however often it is delivered.
func (b *Inbox) Deliver(ctx context.Context, p engage.Page) (engage.Receipt, error) {
	sealed, err := b.seal(p)
	if err != nil {
		return engage.Receipt{}, err
	}
	err = b.db.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`insert into inbox_message(account, region, id, address, sender, subject, content, incident, sealed, at)
			values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing`,
			tx.Scope.Account, tx.Scope.Region, p.ID, p.Address, p.Sender, p.Subject, p.Content, p.Incident, sealed, db.Micros(p.At))
		return err
	})
	return engage.Receipt{Info: "inbox/" + p.ID, Delivered: true}, err
}

// List returns the messages of an address, of all for "", the latest first.
func (b *Inbox) List(ctx context.Context, address string, most int) (out []Message, err error) {
	err = b.db.View(ctx, func(tx *db.Tx) error {
		f := &db.Filter{}
		if address != "" {
			f.And("address = ?", address)
		}
		out, err = db.Rows(tx, `select id, address, sender, subject, content, incident, sealed, at from inbox_message`+f.Where()+` order by at desc, id limit `+strconv.Itoa(most), f.Args, b.scan)
		return err
	})
	return out, err
}

func (b *Inbox) scan(r *sql.Rows) (m Message, err error) {
	var sealed string
	var at int64
	if err := r.Scan(&m.ID, &m.Address, &m.Sender, &m.Subject, &m.Content, &m.Incident, &sealed, &at); err != nil {
		return m, err
	}
	m.At = db.FromMicros(at)
	return m, b.open(sealed, &m)
}

// secrets of a message, encrypted in its row.
type secrets struct {
	Code string `json:"code"`
	Link string `json:"link"`
}

func (b *Inbox) seal(p engage.Page) (string, error) {
	plain, err := json.Marshal(secrets{Code: p.Code, Link: p.Link})
	if err != nil {
		return "", err
	}
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(b.aead.Seal(nonce, nonce, plain, []byte(p.ID))), nil
}

func (b *Inbox) open(sealed string, m *Message) error {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < b.aead.NonceSize() {
		return errors.New("inbox: a sealed column is damaged")
	}
	plain, err := b.aead.Open(nil, raw[:b.aead.NonceSize()], raw[b.aead.NonceSize():], []byte(m.ID))
	if err != nil {
		return err
	}
	var s secrets
	err = json.Unmarshal(plain, &s)
	m.Code, m.Link = s.Code, s.Link
	return err
}
