package command

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// command is a row of command_command.
type command struct {
	ID              string
	DocumentName    string
	DocumentVersion string // as asked for
	Requested       time.Time
	Expires         time.Time // delivery is over
	Ends            time.Time // everything is over
	Status          detail
	Cancel          bool
	MaxConcurrency  int
	MaxErrors       int
	Ramped          bool // started slowly
	Targets         int
	Tally           tally       // of its invocations
	Waiting         int         // invocations whose turn has not come
	Version         int64       // grows with each change of it or of an invocation
	Wave            int         // of a rollout, from 1; 0 without one
	Spec            ssm.Command // without Parameters

	// Only readCommand fills these.
	Job        []byte // content of its jobs without parameters; empty once it is finished
	Parameters []byte // sealed: see parameters
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

// topic is where those listen who wait for a change of a command.
func topic(s db.Scope, commandID string) string {
	return "command/" + s.Account + "/" + s.Region + "/" + commandID
}

func insertCommand(tx *db.Tx, c *command) error {
	spec, err := json.Marshal(c.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into command_command(account, region, id, document_name, document_version, requested, expires, ends, status, cancel,
		max_concurrency, max_errors, target_count, completed, errors, delivery_timed_out, request_hash, job, parameters, spec, ramped, wave)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, 0, 0, 0, '', $13, $14, $15, $16, $17)`,
		tx.Scope.Account, tx.Scope.Region, c.ID, c.DocumentName, c.DocumentVersion, db.Micros(c.Requested), db.Micros(c.Expires), db.Micros(c.Ends),
		c.Status, c.MaxConcurrency, c.MaxErrors, c.Targets, c.Job, c.Parameters, string(spec), db.Bool(c.Ramped), c.Wave)
	return err
}

// saveCommand keeps the state of a command and wakes those who wait for it.
func saveCommand(tx *db.Tx, c *command) error {
	counts, err := json.Marshal(c.Tally)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update command_command set status = $4, cancel = $5, completed = $6, errors = $7, delivery_timed_out = $8, tally = $9, waiting = $10, version = $11
		where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, c.ID, c.Status, db.Bool(c.Cancel), c.Tally.completed(), c.Tally.errors(), c.Tally[deliveryTimedOut],
		string(counts), c.Waiting, c.Version)
	if err != nil {
		return err
	}
	return tx.Notify(topic(tx.Scope, c.ID))
}

// forgetJob drops what only a command that runs needs.
func forgetJob(tx *db.Tx, commandID string) error {
	_, err := tx.Exec("update command_command set job = $4 where account = $1 and region = $2 and id = $3", tx.Scope.Account, tx.Scope.Region, commandID, []byte{})
	return err
}

const commandColumns = `id, document_name, document_version, requested, expires, ends, status, cancel, max_concurrency, max_errors, target_count,
	ramped, tally, waiting, version, wave, spec`

// The two forms of a command's row.
const (
	lightCommand = "select " + commandColumns + ", null, null from command_command"
	wholeCommand = "select " + commandColumns + ", job, parameters from command_command"
)

// findCommand reads a command, without its job and parameters, and locks it
// against other transitions; nil when there is none.
func findCommand(tx *db.Tx, id string, lock bool) (*command, error) {
	f := scoped(tx).And("id = ?", id)
	query := lightCommand + f.Where()
	if lock {
		query += " {lock}"
	}
	return oneCommand(tx, query, f)
}

// readCommand reads all of a command; nil when there is none.
func readCommand(tx *db.Tx, id string) (*command, error) {
	f := scoped(tx).And("id = ?", id)
	return oneCommand(tx, wholeCommand+f.Where(), f)
}

func oneCommand(tx *db.Tx, query string, f *db.Filter) (*command, error) {
	rows, err := db.Rows(tx, query, f.Args, scanCommand)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	c := &rows[0]
	if len(c.Tally) == 0 && c.Targets > 0 && c.Status != rateExceeded { // from before the counts were kept
		err = c.count(tx)
	}
	return c, err
}

func scanCommand(r *sql.Rows) (c command, err error) {
	var requested, expires, ends, cancel, ramped int64
	var spec, counts string
	err = r.Scan(&c.ID, &c.DocumentName, &c.DocumentVersion, &requested, &expires, &ends, &c.Status, &cancel, &c.MaxConcurrency, &c.MaxErrors,
		&c.Targets, &ramped, &counts, &c.Waiting, &c.Version, &c.Wave, &spec, &c.Job, &c.Parameters)
	if err != nil {
		return c, err
	}
	c.Requested, c.Expires, c.Ends, c.Cancel, c.Ramped = db.FromMicros(requested), db.FromMicros(expires), db.FromMicros(ends), cancel == 1, ramped == 1
	if err := json.Unmarshal([]byte(counts), &c.Tally); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(spec), &c.Spec)
}

// count makes the counts from the invocations.
func (c *command) count(tx *db.Tx) error {
	f := scoped(tx).And("command_id = ?", c.ID)
	type line struct {
		status  detail
		n, wait int
	}
	rows, err := db.Rows(tx, "select status, count(*), sum(case when dispatched = 0 and finished = 0 then 1 else 0 end) from command_invocation"+f.Where()+" group by status", f.Args,
		func(r *sql.Rows) (l line, err error) { return l, r.Scan(&l.status, &l.n, &l.wait) })
	c.Tally, c.Waiting = tally{}, 0
	for _, l := range rows {
		c.Tally[l.status] = l.n
		c.Waiting += l.wait
	}
	return err
}

func commandsWhere(tx *db.Tx, f *db.Filter, n int) ([]command, error) {
	return db.Rows(tx, fmt.Sprintf("%s%s order by requested desc, id desc limit %d", wholeCommand, f.Where(), n), f.Args, scanCommand)
}
