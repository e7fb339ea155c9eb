package mailbox

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "mailbox", FS: migrateFS}

// State says how far a message came.
type State string

// The states of a message.
const (
	Queued       State = "queued"
	Sent         State = "sent"
	Acknowledged State = "acknowledged"
)

// A sent message that nobody acknowledged is sent again after firstResend, then
// after twice as long each time, up to lastResend.
const (
	firstResend = 5 * time.Second
	lastResend  = time.Minute
	batch       = 16
)

// Message is what a node gets.
type Message struct {
	Node     string
	ID       string // unique for the node; the same at each sending
	Kind     string // type of the frame, for example "agent_job"
	Payload  []byte
	Deadline time.Time // not sent at or after it

	Sent  time.Time // first sending, zero before it; filled by Take
	Sends int       // how often, this time included; filled by Take
}

// Mailbox is all mailboxes of a store.
type Mailbox struct {
	DB *db.DB
}

// New makes the mailboxes of a store.
func New(d *db.DB) *Mailbox { return &Mailbox{DB: d} }

var putMessages = db.NewBulk(`insert into mailbox_message(account, region, node_id, id, kind, payload, state, created, deadline, due, sent, sends)`, 12,
	"on conflict(account, region, node_id, id) do nothing")

// Put adds messages for their nodes and wakes the nodes' readers after the
// commit. A message with an id that the node has already is left as it is.
func (m *Mailbox) Put(tx *db.Tx, list ...Message) error {
	now := db.Micros(tx.Now)
	args := make([]any, 0, 12*len(list))
	for i := range list {
		msg := &list[i]
		args = append(args, tx.Scope.Account, tx.Scope.Region, msg.Node, msg.ID, msg.Kind, msg.Payload, Queued, now, db.Micros(msg.Deadline), now, 0, 0)
	}
	if err := putMessages.Run(tx, args); err != nil {
		return fmt.Errorf("mailbox: put: %w", err)
	}
	for i := range list {
		if err := tx.Notify(topic(tx.Scope, list[i].Node)); err != nil {
			return err
		}
	}
	return nil
}

// Listen returns a channel that gets a value when there may be something new to
// Take for the node, and a function that ends it.
func (m *Mailbox) Listen(ctx context.Context, node string) (<-chan struct{}, func()) {
	return m.DB.Listen(topic(db.ScopeOf(ctx), node))
}

func topic(s db.Scope, node string) string {
	return "mailbox/" + s.Account + "/" + s.Region + "/" + node
}

// Take gives the messages that are due for the node now, oldest first, and has
// marked them as sent when it returns. A message first sent longer than resend
// ago is not given again (0: no such limit). Next is when to come back without
// being woken, zero when nothing waits.
func (m *Mailbox) Take(ctx context.Context, node string, resend time.Duration) (out []Message, next time.Time, err error) {
	due := false
	err = m.DB.View(ctx, func(tx *db.Tx) error {
		next, err = nextDue(tx, node, resend)
		due = !next.IsZero() && !next.After(tx.Now)
		return err
	})
	if err != nil || !due {
		return nil, next, err
	}
	err = m.DB.Update(ctx, func(tx *db.Tx) error {
		if out, err = take(tx, node, resend); err != nil {
			return err
		}
		next, err = nextDue(tx, node, resend)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("mailbox: take: %w", err)
	}
	return out, next, nil
}

// waiting is the condition for messages that may still be sent.
func waiting(tx *db.Tx, node string, resend time.Duration) *db.Filter {
	f := &db.Filter{}
	f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("node_id = ?", node)
	f.And("state <> 'acknowledged'").And("deadline > ?", db.Micros(tx.Now))
	if resend > 0 {
		f.And("(sent = 0 or sent > ?)", db.Micros(tx.Now.Add(-resend)))
	}
	return f
}

func nextDue(tx *db.Tx, node string, resend time.Duration) (time.Time, error) {
	f := waiting(tx, node, resend)
	var due sql.NullInt64
	if err := tx.QueryRow("select min(due) from mailbox_message"+f.Where(), f.Args...).Scan(&due); err != nil {
		return time.Time{}, err
	}
	return db.FromMicros(due.Int64), nil
}

func take(tx *db.Tx, node string, resend time.Duration) ([]Message, error) {
	f := waiting(tx, node, resend).And("due <= ?", db.Micros(tx.Now))
	query := fmt.Sprintf("select id, kind, payload, deadline, sent, sends from mailbox_message%s order by created, id limit %d {lock}", f.Where(), batch)
	out, err := db.Rows(tx, query, f.Args, func(r *sql.Rows) (Message, error) {
		msg := Message{Node: node}
		var deadline, sent int64
		err := r.Scan(&msg.ID, &msg.Kind, &msg.Payload, &deadline, &sent, &msg.Sends)
		msg.Deadline, msg.Sent = db.FromMicros(deadline), db.FromMicros(sent)
		return msg, err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := markSent(tx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func markSent(tx *db.Tx, msg *Message) error {
	if msg.Sent.IsZero() {
		msg.Sent = tx.Now
	}
	msg.Sends++
	_, err := tx.Exec(`update mailbox_message set state = $5, sent = $6, sends = $7, due = $8
		where account = $1 and region = $2 and node_id = $3 and id = $4`,
		tx.Scope.Account, tx.Scope.Region, msg.Node, msg.ID, Sent, db.Micros(msg.Sent), msg.Sends, db.Micros(tx.Now.Add(resendAfter(msg.Sends))))
	return err
}

func resendAfter(sends int) time.Duration {
	return min(firstResend<<min(sends-1, 10), lastResend)
}

// Reopen makes the sent messages due at once: the node's connection is a new
// one, and what was on its way in the old one may be lost.
func (m *Mailbox) Reopen(tx *db.Tx, node string) error {
	_, err := tx.Exec(`update mailbox_message set due = $4 where account = $1 and region = $2 and node_id = $3 and state = 'sent'`,
		tx.Scope.Account, tx.Scope.Region, node, db.Micros(tx.Now))
	return err
}

// Ack ends the sending of a message: the node has it.
func (m *Mailbox) Ack(tx *db.Tx, node, id string) error {
	_, err := tx.Exec(`update mailbox_message set state = $5, payload = $6
		where account = $1 and region = $2 and node_id = $3 and id = $4`,
		tx.Scope.Account, tx.Scope.Region, node, id, Acknowledged, []byte{})
	return err
}

// Postpone keeps a message back until a time: the node has no room for it now, so
// that the time for sending it again begins anew. It does so for unacknowledged messages only.
func (m *Mailbox) Postpone(tx *db.Tx, node, id string, until time.Time) error {
	_, err := tx.Exec(`update mailbox_message set due = $5, sent = 0, sends = 0
		where account = $1 and region = $2 and node_id = $3 and id = $4 and state <> 'acknowledged'`,
		tx.Scope.Account, tx.Scope.Region, node, id, db.Micros(until))
	return err
}

// StateOf is the state of a message; ok is false when there is none.
func (m *Mailbox) StateOf(tx *db.Tx, node, id string) (state State, ok bool, err error) {
	err = tx.QueryRow(`select state from mailbox_message where account = $1 and region = $2 and node_id = $3 and id = $4 {lock}`,
		tx.Scope.Account, tx.Scope.Region, node, id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return state, err == nil, err
}

// Remove forgets messages, whatever their state.
func (m *Mailbox) Remove(tx *db.Tx, node string, ids ...string) error {
	f := &db.Filter{}
	f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("node_id = ?", node).In("id", ids)
	_, err := tx.Exec("delete from mailbox_message"+f.Where(), f.Args...)
	return err
}

// Drop forgets all messages of a node.
func (m *Mailbox) Drop(tx *db.Tx, node string) error {
	_, err := tx.Exec(`delete from mailbox_message where account = $1 and region = $2 and node_id = $3`,
		tx.Scope.Account, tx.Scope.Region, node)
	return err
}
