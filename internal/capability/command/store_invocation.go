package command

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

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
	Version      int64  // of the command when it changed last
	Why          string // the reason of its state, "" when the state says all
	Code         int    // exit code, -1 without one
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

var (
	insertInvocations = db.NewBulk(`insert into command_invocation(account, region, command_id, node_id, node_name, document_name, requested, status, dispatched,
		delivered, finished, trace, version, why, code)`, 15, "")
	insertSteps = db.NewBulk(`insert into command_step(account, region, command_id, node_id, position, name, plugin, status, code, output, stdout, stderr, started, finished)`, 14, "")
)

// values are a new row.
func (i *invocation) values(tx *db.Tx) []any {
	return []any{
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, i.NodeName, i.DocumentName, db.Micros(i.Requested), i.Status, db.Bool(i.Dispatched),
		0, db.Micros(i.Finished), "", i.Version, i.Why, i.Code,
	}
}

// values are a new row.
func (st *step) values(tx *db.Tx, i *invocation) []any {
	return []any{tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, st.Position, st.Name, st.Plugin, st.Status, -1, "", "", "", 0, 0}
}

func saveInvocation(tx *db.Tx, i *invocation) error {
	_, err := tx.Exec(`update command_invocation set status = $5, dispatched = $6, delivered = $7, finished = $8, trace = $9, version = $10, why = $11, code = $12
		where account = $1 and region = $2 and command_id = $3 and node_id = $4`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, i.Status, db.Bool(i.Dispatched), db.Micros(i.Delivered), db.Micros(i.Finished), i.Trace,
		i.Version, i.Why, i.Code)
	return err
}

func listInvocations(tx *db.Tx, f *db.Filter, order string, n int) ([]invocation, error) {
	query := `select command_id, node_id, node_name, document_name, requested, status, dispatched, delivered, finished, trace, version, why, code
		from command_invocation` + f.Where() + " order by " + order
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (i invocation, err error) {
		var requested, dispatched, delivered, finished int64
		err = r.Scan(&i.CommandID, &i.NodeID, &i.NodeName, &i.DocumentName, &requested, &i.Status, &dispatched, &delivered, &finished, &i.Trace,
			&i.Version, &i.Why, &i.Code)
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

// waiting is up to n invocations whose turn has not come, in their order.
func waiting(tx *db.Tx, commandID string, n int) ([]invocation, error) {
	f := scoped(tx).And("command_id = ?", commandID).And("dispatched = 0").And("finished = 0")
	return listInvocations(tx, f, "node_id", n)
}

// markDispatched says of invocations that their jobs are in the mailbox.
func markDispatched(tx *db.Tx, c *command, list []invocation) error {
	ids := make([]string, len(list))
	for n := range list {
		ids[n] = list[n].NodeID
	}
	f := &db.Filter{Args: []any{c.Version}}
	f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("command_id = ?", c.ID).In("node_id", ids)
	_, err := tx.Exec("update command_invocation set dispatched = 1, version = $1"+f.Where(), f.Args...)
	return err
}

func (s *Service) saveStep(tx *db.Tx, i *invocation, st *step) error {
	outputs, err := s.sealOutputs(tx, i, st)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update command_step set status = $6, code = $7, output = '', stdout = '', stderr = '', outputs = $8, started = $9, finished = $10
		where account = $1 and region = $2 and command_id = $3 and node_id = $4 and position = $5`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, st.Position, st.Status, st.Code, outputs, db.Micros(st.Started), db.Micros(st.Finished))
	return err
}

// closeSteps gives the steps that have not ended the state of their invocation.
func closeSteps(tx *db.Tx, i *invocation) error {
	f := &db.Filter{Args: []any{i.Status}}
	f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("command_id = ?", i.CommandID).And("node_id = ?", i.NodeID).In("status", openDetails)
	_, err := tx.Exec("update command_step set status = $1"+f.Where(), f.Args...)
	return err
}

func (s *Service) listSteps(tx *db.Tx, commandID, nodeID string) ([]step, error) {
	f := scoped(tx).And("command_id = ?", commandID).And("node_id = ?", nodeID)
	query := "select position, name, plugin, status, code, output, stdout, stderr, outputs, started, finished from command_step" + f.Where() + " order by position"
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (st step, err error) {
		var started, finished int64
		var outputs []byte
		err = r.Scan(&st.Position, &st.Name, &st.Plugin, &st.Status, &st.Code, &st.Output, &st.Stdout, &st.Stderr, &outputs, &started, &finished)
		st.Started, st.Finished = db.FromMicros(started), db.FromMicros(finished)
		if err == nil {
			err = s.openOutputs(tx, commandID, nodeID, &st, outputs)
		}
		return st, err
	})
}
