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
	DocumentVersion string // as resolved
	Requested       time.Time
	Expires         time.Time // delivery is over
	Ends            time.Time // everything is over
	Status          detail
	Cancel          bool
	MaxConcurrency  int
	MaxErrors       int
	Targets         int
	Completed       int
	Errors          int
	DeliveryTimeout int
	Job             []byte      // content of its jobs without parameters; empty once it is finished
	Parameters      []byte      // sealed: see parameters
	Spec            ssm.Command // without Parameters
}

// invocation is a row of command_invocation.
type invocation struct {
	CommandID    string
	NodeID       string
	NodeName     string
	DocumentName string
	Requested    time.Time
	Status       detail
	Dispatched   bool // its job is in the mailbox, or was
	Delivered    time.Time
	Finished     time.Time
	Trace        string
}

// step is a row of command_step.
type step struct {
	Position int
	Name     string
	Plugin   string
	Status   detail
	Code     int
	Output   string
	Stdout   string
	Stderr   string
	Started  time.Time
	Finished time.Time
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

func insertCommand(tx *db.Tx, c *command) error {
	spec, err := json.Marshal(c.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into command_command(account, region, id, document_name, document_version, requested, expires, ends, status, cancel,
		max_concurrency, max_errors, target_count, completed, errors, delivery_timed_out, request_hash, job, parameters, spec)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, 0, 0, 0, '', $13, $14, $15)`,
		tx.Scope.Account, tx.Scope.Region, c.ID, c.DocumentName, c.DocumentVersion, db.Micros(c.Requested), db.Micros(c.Expires), db.Micros(c.Ends),
		c.Status, c.MaxConcurrency, c.MaxErrors, c.Targets, c.Job, c.Parameters, string(spec))
	return err
}

func saveCommand(tx *db.Tx, c *command) error {
	_, err := tx.Exec(`update command_command set status = $4, cancel = $5, completed = $6, errors = $7, delivery_timed_out = $8, job = $9
		where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, c.ID, c.Status, db.Bool(c.Cancel), c.Completed, c.Errors, c.DeliveryTimeout, c.Job)
	return err
}

const commandColumns = `id, document_name, document_version, requested, expires, ends, status, cancel, max_concurrency, max_errors, target_count,
	completed, errors, delivery_timed_out, job, parameters, spec`

// findCommand reads a command and locks it against other transitions; nil when
// there is none.
func findCommand(tx *db.Tx, id string, lock bool) (*command, error) {
	f := scoped(tx).And("id = ?", id)
	query := "select " + commandColumns + " from command_command" + f.Where()
	if lock {
		query += " {lock}"
	}
	rows, err := db.Rows(tx, query, f.Args, scanCommand)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func scanCommand(r *sql.Rows) (c command, err error) {
	var requested, expires, ends, cancel int64
	var spec string
	err = r.Scan(&c.ID, &c.DocumentName, &c.DocumentVersion, &requested, &expires, &ends, &c.Status, &cancel, &c.MaxConcurrency, &c.MaxErrors,
		&c.Targets, &c.Completed, &c.Errors, &c.DeliveryTimeout, &c.Job, &c.Parameters, &spec)
	if err != nil {
		return c, err
	}
	c.Requested, c.Expires, c.Ends, c.Cancel = db.FromMicros(requested), db.FromMicros(expires), db.FromMicros(ends), cancel == 1
	return c, json.Unmarshal([]byte(spec), &c.Spec)
}

func insertInvocation(tx *db.Tx, i *invocation) error {
	_, err := tx.Exec(`insert into command_invocation(account, region, command_id, node_id, node_name, document_name, requested, status, dispatched, delivered, finished, trace)
		values($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, '')`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, i.NodeName, i.DocumentName, db.Micros(i.Requested), i.Status)
	return err
}

func saveInvocation(tx *db.Tx, i *invocation) error {
	_, err := tx.Exec(`update command_invocation set status = $5, dispatched = $6, delivered = $7, finished = $8, trace = $9
		where account = $1 and region = $2 and command_id = $3 and node_id = $4`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, i.Status, db.Bool(i.Dispatched), db.Micros(i.Delivered), db.Micros(i.Finished), i.Trace)
	return err
}

func listInvocations(tx *db.Tx, f *db.Filter, order string, n int) ([]invocation, error) {
	query := `select command_id, node_id, node_name, document_name, requested, status, dispatched, delivered, finished, trace
		from command_invocation` + f.Where() + " order by " + order
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (i invocation, err error) {
		var requested, dispatched, delivered, finished int64
		err = r.Scan(&i.CommandID, &i.NodeID, &i.NodeName, &i.DocumentName, &requested, &i.Status, &dispatched, &delivered, &finished, &i.Trace)
		i.Requested, i.Delivered, i.Finished, i.Dispatched = db.FromMicros(requested), db.FromMicros(delivered), db.FromMicros(finished), dispatched == 1
		return i, err
	})
}

// findInvocation is the invocation of a command on a node, nil without one.
func findInvocation(tx *db.Tx, commandID, nodeID string) (*invocation, error) {
	rows, err := listInvocations(tx, scoped(tx).And("command_id = ?", commandID).And("node_id = ?", nodeID), "node_id", 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// open is the invocations of a command that are not final, in the order in
// which they get their turn.
func open(tx *db.Tx, commandID string) ([]invocation, error) {
	f := scoped(tx).And("command_id = ?", commandID).And("finished = 0")
	return listInvocations(tx, f, "node_id", 0)
}

func count(tx *db.Tx, commandID string) (tally, error) {
	f := scoped(tx).And("command_id = ?", commandID)
	rows, err := tx.Query("select status, count(*) from command_invocation"+f.Where()+" group by status", f.Args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	t := tally{}
	for rows.Next() {
		var d detail
		var n int
		if err := rows.Scan(&d, &n); err != nil {
			return nil, err
		}
		t[d] = n
	}
	return t, rows.Err()
}

func insertStep(tx *db.Tx, i *invocation, s *step) error {
	_, err := tx.Exec(`insert into command_step(account, region, command_id, node_id, position, name, plugin, status, code, output, stdout, stderr, started, finished)
		values($1, $2, $3, $4, $5, $6, $7, $8, -1, '', '', '', 0, 0)`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, s.Position, s.Name, s.Plugin, s.Status)
	return err
}

func saveStep(tx *db.Tx, i *invocation, s *step) error {
	_, err := tx.Exec(`update command_step set status = $6, code = $7, output = $8, stdout = $9, stderr = $10, started = $11, finished = $12
		where account = $1 and region = $2 and command_id = $3 and node_id = $4 and position = $5`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, s.Position, s.Status, s.Code, s.Output, s.Stdout, s.Stderr, db.Micros(s.Started), db.Micros(s.Finished))
	return err
}

func listSteps(tx *db.Tx, commandID, nodeID string) ([]step, error) {
	f := scoped(tx).And("command_id = ?", commandID).And("node_id = ?", nodeID)
	query := "select position, name, plugin, status, code, output, stdout, stderr, started, finished from command_step" + f.Where() + " order by position"
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (s step, err error) {
		var started, finished int64
		err = r.Scan(&s.Position, &s.Name, &s.Plugin, &s.Status, &s.Code, &s.Output, &s.Stdout, &s.Stderr, &started, &finished)
		s.Started, s.Finished = db.FromMicros(started), db.FromMicros(finished)
		return s, err
	})
}
