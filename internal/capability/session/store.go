package session

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// row is a row of session_session. Document, Parameters and AllowedHosts of its
// Session are sealed in Content.
type row struct {
	Session
	Status    ssm.SessionStatus
	AccessKey string
	Source    string    // ARN of the principal that took on the owner's role
	Connected time.Time // both ends were there for the first time
	Active    time.Time // last input or output
	NodeAt    time.Time // the node's socket is open, and was so at this time
	ClientAt  time.Time
	Shells    int // how often the node was asked to open it
	Cause     Cause
	Output    string // what the client is told at the end
	S3URL     string
	LogURL    string
	Recording string // "", open, complete or interrupted
	Chunks    int
	Bytes     int64  // of the recording
	Chain     string // hash of the last chunk
	Content   []byte
}

func (r *row) state() state {
	return state{Status: r.Status, Node: !r.NodeAt.IsZero(), Client: !r.ClientAt.IsZero()}
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

const rowColumns = `account, region, id, node_id, owner, owner_id, human, access_key, source, document_name, document_version, reason, kind, status, host, port,
	idle, longest, two_person, strict, plane, started, connected, ended, active, node_at, client_at, shells, cause, output, bytes_in, bytes_out, s3_url,
	log_url, recording, chunks, chunk_bytes, chain, content`

func scanRow(rows *sql.Rows) (r row, err error) {
	var idle, longest, two, strict, started, connected, ended, active, nodeAt, clientAt int64
	err = rows.Scan(&r.Scope.Account, &r.Scope.Region, &r.ID, &r.Node, &r.Owner, &r.OwnerID, &r.Human, &r.AccessKey, &r.Source, &r.DocumentName,
		&r.DocumentVersion, &r.Reason, &r.Kind, &r.Status, &r.Host, &r.Port, &idle, &longest, &two, &strict, &r.Plane, &started, &connected,
		&ended, &active, &nodeAt, &clientAt, &r.Shells, &r.Cause, &r.Output, &r.In, &r.Out, &r.S3URL, &r.LogURL, &r.Recording, &r.Chunks, &r.Bytes,
		&r.Chain, &r.Content)
	r.Idle, r.Max, r.TwoPerson, r.Strict = time.Duration(idle), time.Duration(longest), two == 1, strict == 1
	r.Started, r.Connected, r.Ended, r.Active = db.FromMicros(started), db.FromMicros(connected), db.FromMicros(ended), db.FromMicros(active)
	r.NodeAt, r.ClientAt = db.FromMicros(nodeAt), db.FromMicros(clientAt)
	return r, err
}

func insertRow(tx *db.Tx, r *row) error {
	_, err := tx.Exec(`insert into session_session(`+rowColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
		$17, $18, $19, $20, $21, $22, 0, 0, $23, 0, 0, 0, '', '', 0, 0, '', '', '', 0, 0, '', $24)`,
		tx.Scope.Account, tx.Scope.Region, r.ID, r.Node, r.Owner, r.OwnerID, r.Human, r.AccessKey, r.Source, r.DocumentName, r.DocumentVersion, r.Reason,
		r.Kind, string(r.Status), r.Host, r.Port, int64(r.Idle), int64(r.Max), db.Bool(r.TwoPerson), db.Bool(r.Strict), r.Plane, db.Micros(r.Started),
		db.Micros(r.Active), r.Content)
	return err
}

// saveRow keeps what can change.
func saveRow(tx *db.Tx, r *row) error {
	_, err := tx.Exec(`update session_session set status = $4, connected = $5, ended = $6, active = $7, node_at = $8, client_at = $9, shells = $10,
		cause = $11, output = $12, bytes_in = $13, bytes_out = $14, s3_url = $15, log_url = $16, recording = $17, chunks = $18, chunk_bytes = $19, chain = $20
		where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, r.ID, string(r.Status), db.Micros(r.Connected), db.Micros(r.Ended), db.Micros(r.Active), db.Micros(r.NodeAt),
		db.Micros(r.ClientAt), r.Shells, string(r.Cause), r.Output, r.In, r.Out, r.S3URL, r.LogURL, r.Recording, r.Chunks, r.Bytes, r.Chain)
	return err
}

// findRow is a session by its id, in whatever scope it is; nil without one.
func findRow(tx *db.Tx, id string, lock bool) (*row, error) {
	query := "select " + rowColumns + " from session_session where id = $1"
	if lock {
		query += " {lock}"
	}
	rows, err := db.Rows(tx, query, []any{id}, scanRow)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// listRows reads sessions, newest first; n 0 is all of them.
func listRows(tx *db.Tx, f *db.Filter, n int) ([]row, error) {
	query := "select " + rowColumns + " from session_session" + f.Where() + " order by started desc, id desc"
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, scanRow)
}

// openIDs is the ids of sessions that have not ended, in all scopes.
func openIDs(tx *db.Tx, f *db.Filter) ([]string, error) {
	f.And("ended = 0")
	return db.Rows(tx, "select id from session_session"+f.Where()+" order by id", f.Args, func(r *sql.Rows) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	})
}
