package parameter

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// version is one version of a parameter: the newest as the parameter's own row.
type version struct {
	name        string
	number      int64
	typ         ssm.ParameterType
	value       string // "" for SecureString
	sealed      []byte // of SecureString
	tier        ssm.ParameterTier
	dataType    string
	keyID       string
	description string
	pattern     string
	policies    []policy
	modified    time.Time
	modifiedBy  string
}

const columns = `name, version, type, value, sealed, tier, data_type, key_id, description, allowed_pattern, policies, modified, modified_by`

type scanner interface{ Scan(dest ...any) error }

func scanVersion(r scanner) (*version, error) {
	var v version
	var policies string
	var modified int64
	err := r.Scan(&v.name, &v.number, &v.typ, &v.value, &v.sealed, &v.tier, &v.dataType, &v.keyID, &v.description, &v.pattern, &policies, &modified, &v.modifiedBy)
	if err != nil {
		return nil, err
	}
	v.modified = db.FromMicros(modified)
	v.policies, err = decodePolicies(policies)
	return &v, err
}

func scanRows(r *sql.Rows) (*version, error) { return scanVersion(r) }

// readColumns is what answers with a value need: reading one costs its columns.
const readColumns = `name, version, type, value, sealed, data_type, modified`

func scanRead(r *sql.Row, name string) (*version, error) {
	var v version
	var modified int64
	err := r.Scan(&v.name, &v.number, &v.typ, &v.value, &v.sealed, &v.dataType, &modified)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", name, err)
	}
	v.modified = db.FromMicros(modified)
	return &v, nil
}

// read is the newest version with readColumns, nil when there is no such
// parameter.
func read(tx *db.Tx, name string) (*version, error) {
	return scanRead(tx.QueryRow(`select `+readColumns+` from parameter_parameter where account = $1 and region = $2 and name = $3`,
		tx.Scope.Account, tx.Scope.Region, name), name)
}

func readVersion(tx *db.Tx, name string, number int64) (*version, error) {
	return scanRead(tx.QueryRow(`select `+readColumns+` from parameter_version where account = $1 and region = $2 and name = $3 and version = $4`,
		tx.Scope.Account, tx.Scope.Region, name, number), name)
}

func readLabeled(tx *db.Tx, name, label string) (*version, error) {
	return scanRead(tx.QueryRow(`select `+readColumns+` from parameter_version where account = $1 and region = $2 and name = $3 and version =
		(select version from parameter_label where account = $1 and region = $2 and name = $3 and label = $4)`,
		tx.Scope.Account, tx.Scope.Region, name, label), name)
}

// lock is the newest version, whole, and keeps others from putting the
// parameter meanwhile; nil when there is no such parameter.
func lock(tx *db.Tx, name string) (*version, error) {
	v, err := scanVersion(tx.QueryRow(`select `+columns+` from parameter_parameter where account = $1 and region = $2 and name = $3 {lock}`,
		tx.Scope.Account, tx.Scope.Region, name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", name, err)
	}
	return v, nil
}

// errRaced says that somebody else created the parameter meanwhile.
var errRaced = errors.New("parameter: created by another call")

// save writes a new newest version.
func (v *version) save(tx *db.Tx) error {
	args := []any{
		tx.Scope.Account, tx.Scope.Region, v.name, v.number, string(v.typ), v.value, v.sealed, string(v.tier), v.dataType,
		v.keyID, v.description, v.pattern, encodePolicies(v.policies), db.Micros(v.modified), v.modifiedBy,
	}
	if err := v.saveNewest(tx, args); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into parameter_version(account, region, `+columns+`)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`, args...)
	if err != nil {
		return fmt.Errorf("parameter %s version %d: %w", v.name, v.number, err)
	}
	return nil
}

func (v *version) saveNewest(tx *db.Tx, args []any) error {
	query := `update parameter_parameter set (` + columns + `) = ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		where account = $1 and region = $2 and name = $3`
	if v.number == 1 {
		query = `insert into parameter_parameter(account, region, ` + columns + `, parent, created)
			values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $14) on conflict do nothing`
		args = append(args, parentOf(v.name))
	}
	n, err := tx.Exec(query, args...)
	if err != nil {
		return fmt.Errorf("parameter %s: %w", v.name, err)
	}
	if n != 1 {
		return errRaced
	}
	return nil
}

// savePolicies writes the policies of the newest version.
func (v *version) savePolicies(tx *db.Tx) error {
	for _, table := range []string{"parameter_parameter", "parameter_version"} {
		_, err := tx.Exec(`update `+table+` set policies = $1 where account = $2 and region = $3 and name = $4 and version = $5`,
			encodePolicies(v.policies), tx.Scope.Account, tx.Scope.Region, v.name, v.number)
		if err != nil {
			return fmt.Errorf("policies of parameter %s: %w", v.name, err)
		}
	}
	return nil
}

// dropVersion forgets one version; it has no labels.
func dropVersion(tx *db.Tx, name string, number int64) error {
	_, err := tx.Exec(`delete from parameter_version where account = $1 and region = $2 and name = $3 and version = $4`,
		tx.Scope.Account, tx.Scope.Region, name, number)
	if err != nil {
		return fmt.Errorf("parameter %s version %d: %w", name, number, err)
	}
	return nil
}

// dropAll forgets a parameter with its versions and labels.
func dropAll(tx *db.Tx, name string) error {
	for _, table := range []string{"parameter_parameter", "parameter_version", "parameter_label"} {
		_, err := tx.Exec(`delete from `+table+` where account = $1 and region = $2 and name = $3`, tx.Scope.Account, tx.Scope.Region, name)
		if err != nil {
			return fmt.Errorf("delete parameter %s: %w", name, err)
		}
	}
	return nil
}

// oldest is the lowest version that is kept and how many there are.
func oldest(tx *db.Tx, name string) (number int64, count int, err error) {
	err = tx.QueryRow(`select coalesce(min(version), 0), count(*) from parameter_version where account = $1 and region = $2 and name = $3`,
		tx.Scope.Account, tx.Scope.Region, name).Scan(&number, &count)
	if err != nil {
		return 0, 0, fmt.Errorf("versions of parameter %s: %w", name, err)
	}
	return number, count, nil
}

type labeled struct {
	label  string
	number int64
}

// labels is every label of a parameter, in order.
func labels(tx *db.Tx, name string) ([]labeled, error) {
	out, err := db.Rows(tx, `select label, version from parameter_label where account = $1 and region = $2 and name = $3 order by label`,
		[]any{tx.Scope.Account, tx.Scope.Region, name}, func(r *sql.Rows) (l labeled, err error) {
			err = r.Scan(&l.label, &l.number)
			return l, err
		})
	if err != nil {
		return nil, fmt.Errorf("labels of parameter %s: %w", name, err)
	}
	return out, nil
}

// setLabel puts a label on a version, off any other.
func setLabel(tx *db.Tx, name, label string, number int64) error {
	_, err := tx.Exec(`insert into parameter_label(account, region, name, label, version) values($1, $2, $3, $4, $5)
		on conflict(account, region, name, label) do update set version = excluded.version`,
		tx.Scope.Account, tx.Scope.Region, name, label, number)
	if err != nil {
		return fmt.Errorf("label parameter %s: %w", name, err)
	}
	return nil
}

// unsetLabel reports whether the version had the label.
func unsetLabel(tx *db.Tx, name, label string, number int64) (bool, error) {
	n, err := tx.Exec(`delete from parameter_label where account = $1 and region = $2 and name = $3 and label = $4 and version = $5`,
		tx.Scope.Account, tx.Scope.Region, name, label, number)
	if err != nil {
		return false, fmt.Errorf("unlabel parameter %s: %w", name, err)
	}
	return n > 0, nil
}

// history is the versions above after, oldest first.
func history(tx *db.Tx, name string, after int64, limit int) ([]*version, error) {
	out, err := db.Rows(tx, `select `+columns+` from parameter_version where account = $1 and region = $2 and name = $3 and version > $4
		order by version limit $5`, []any{tx.Scope.Account, tx.Scope.Region, name, after, limit}, scanRows)
	if err != nil {
		return nil, fmt.Errorf("history of parameter %s: %w", name, err)
	}
	return out, nil
}

// list is parameters that match f, by name.
func list(tx *db.Tx, f *db.Filter, limit int) ([]*version, error) {
	out, err := db.Rows(tx, `select `+columns+` from parameter_parameter`+f.Where()+fmt.Sprintf(` order by name limit %d`, limit), f.Args, scanRows)
	if err != nil {
		return nil, fmt.Errorf("list parameters: %w", err)
	}
	return out, nil
}

// listLabeled is versions that match f and carry one of the labels, by name.
func listLabeled(tx *db.Tx, f *db.Filter, wanted []string, limit int) ([]*version, error) {
	f.Args = append(f.Args, tx.Scope.Account, tx.Scope.Region)
	n := len(f.Args)
	marks := make([]string, len(wanted))
	for i, l := range wanted {
		f.Args = append(f.Args, l)
		marks[i] = fmt.Sprintf("$%d", len(f.Args))
	}
	query := `select ` + columns + ` from parameter_version v` + f.Where() + fmt.Sprintf(` and exists (select 1 from parameter_label l
		where l.account = $%d and l.region = $%d and l.name = v.name and l.version = v.version and l.label in (%s)) order by name, version limit %d`,
		n-1, n, strings.Join(marks, ", "), limit)
	out, err := db.Rows(tx, query, f.Args, scanRows)
	if err != nil {
		return nil, fmt.Errorf("list parameters by label: %w", err)
	}
	return out, nil
}
