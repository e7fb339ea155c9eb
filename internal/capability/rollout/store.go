package rollout

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// rollout is a row of rollout_rollout.
type rollout struct {
	ID          string
	Request     string // hash of the request that made it
	Requested   time.Time
	RequestedBy string // ARN
	Ended       time.Time
	Version     int64
	State       state
	Spec        spec
	Orders      []byte // sealed orders
}

// spec is what is only kept and given back.
type spec struct {
	DocumentName    string
	DocumentVersion string
	Comment         string `json:",omitzero"`
	MaxErrors       string
	Targets         int
	Times           []times // of the waves
}

// times of a wave, and the commands that were sent for it.
type times struct {
	Started, Ended time.Time `json:",omitzero"`
	Sent           map[role]string
}

// orders are the commands of a rollout and how they are sent. Their parameters
// may hold secrets.
type orders struct {
	Command        *api.RolloutCommand
	Health         *api.RolloutCommand
	RollBack       *api.RolloutCommand
	MaxConcurrency *string
	TimeoutSeconds *int32
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

func topic(s db.Scope, id string) string { return "rollout/" + s.Account + "/" + s.Region + "/" + id }

const columns = "id, request, requested, requested_by, ended, version, state, spec, orders"

func insertRollout(tx *db.Tx, r *rollout) error {
	state, err := json.Marshal(r.State)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into rollout_rollout(account, region, id, request, status, requested, requested_by, ended, version, state, spec, orders)
		values($1, $2, $3, $4, $5, $6, $7, 0, 1, $8, $9, $10)`,
		tx.Scope.Account, tx.Scope.Region, r.ID, r.Request, r.State.Status, db.Micros(r.Requested), r.RequestedBy, string(state), string(spec), r.Orders)
	return err
}

// saveRollout keeps the state of a rollout and wakes those who wait for it.
func saveRollout(tx *db.Tx, r *rollout) error {
	r.Version++
	state, err := json.Marshal(r.State)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update rollout_rollout set status = $4, ended = $5, version = $6, state = $7, spec = $8 where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, r.ID, r.State.Status, db.Micros(r.Ended), r.Version, string(state), string(spec))
	if err != nil {
		return err
	}
	return tx.Notify(topic(tx.Scope, r.ID))
}

// findRollout reads a rollout and may lock it against other transitions; nil
// when there is none.
func findRollout(tx *db.Tx, id string, lock bool) (*rollout, error) {
	f := scoped(tx).And("id = ?", id)
	query := "select " + columns + " from rollout_rollout" + f.Where()
	if lock {
		query += " {lock}"
	}
	rows, err := db.Rows(tx, query, f.Args, scanRollout)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func listRollouts(tx *db.Tx, f *db.Filter, n int) ([]rollout, error) {
	return db.Rows(tx, fmt.Sprintf("select %s from rollout_rollout%s order by requested desc, id desc limit %d", columns, f.Where(), n), f.Args, scanRollout)
}

func scanRollout(r *sql.Rows) (out rollout, err error) {
	var requested, ended int64
	var state, spec string
	if err := r.Scan(&out.ID, &out.Request, &requested, &out.RequestedBy, &ended, &out.Version, &state, &spec, &out.Orders); err != nil {
		return out, err
	}
	out.Requested, out.Ended = db.FromMicros(requested), db.FromMicros(ended)
	if err := json.Unmarshal([]byte(state), &out.State); err != nil {
		return out, err
	}
	return out, json.Unmarshal([]byte(spec), &out.Spec)
}

var insertTargets = db.NewBulk("insert into rollout_target(account, region, rollout_id, node_id, wave, position, details, why)", 8, "")

func saveTargets(tx *db.Tx, id string, list []target) error {
	args := make([]any, 0, 8*len(list))
	for _, t := range list {
		args = append(args, tx.Scope.Account, tx.Scope.Region, id, t.Node, t.Wave, t.Position, t.Details, t.Why)
	}
	return insertTargets.Run(tx, args)
}

// targetsOf are the nodes of a wave, -1 for those that no wave takes.
func targetsOf(tx *db.Tx, id string, wave int) ([]target, error) {
	f := scoped(tx).And("rollout_id = ?", id).And("wave = ?", wave)
	return db.Rows(tx, "select node_id, wave, position, details, why from rollout_target"+f.Where()+" order by position", f.Args, func(r *sql.Rows) (t target, err error) {
		return t, r.Scan(&t.Node, &t.Wave, &t.Position, &t.Details, &t.Why)
	})
}

// moveTargets puts nodes into another wave.
func moveTargets(tx *db.Tx, id string, nodes []string, wave int) error {
	if len(nodes) == 0 {
		return nil
	}
	f := &db.Filter{Args: []any{wave}}
	f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("rollout_id = ?", id).In("node_id", nodes)
	_, err := tx.Exec("update rollout_target set wave = $1"+f.Where(), f.Args...)
	return err
}

// link is a row of rollout_command.
type link struct {
	Rollout string
	Role    role
	Wave    int
}

func insertLink(tx *db.Tx, commandID string, l link) error {
	_, err := tx.Exec(`insert into rollout_command(account, region, command_id, rollout_id, role, wave) values($1, $2, $3, $4, $5, $6)
		on conflict(account, region, command_id) do nothing`, tx.Scope.Account, tx.Scope.Region, commandID, l.Rollout, l.Role, l.Wave)
	return err
}

// findLink is what a command is for, nil when it is of no rollout.
func findLink(tx *db.Tx, commandID string) (*link, error) {
	f := scoped(tx).And("command_id = ?", commandID)
	rows, err := db.Rows(tx, "select rollout_id, role, wave from rollout_command"+f.Where(), f.Args, func(r *sql.Rows) (l link, err error) {
		return l, r.Scan(&l.Rollout, &l.Role, &l.Wave)
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}
