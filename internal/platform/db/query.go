package db

import (
	"database/sql"
	"fmt"
	"strings"
)

// Filter gathers the conditions of a list query. Its zero value selects all.
type Filter struct {
	Args  []any
	conds []string
}

// And adds a condition; each ? in it stands for the next of args.
func (f *Filter) And(cond string, args ...any) *Filter {
	for _, a := range args {
		f.Args = append(f.Args, a)
		cond = strings.Replace(cond, "?", fmt.Sprintf("$%d", len(f.Args)), 1)
	}
	f.conds = append(f.conds, cond)
	return f
}

// In adds the condition that column is one of values; none of them selects
// nothing.
func (f *Filter) In(column string, values []string) *Filter {
	if len(values) == 0 {
		f.conds = append(f.conds, "1 = 0")
		return f
	}
	marks := make([]string, len(values))
	for i, v := range values {
		f.Args = append(f.Args, v)
		marks[i] = fmt.Sprintf("$%d", len(f.Args))
	}
	f.conds = append(f.conds, column+" in ("+strings.Join(marks, ", ")+")")
	return f
}

// Where is " where …" with all conditions, "" without any.
func (f *Filter) Where() string {
	if len(f.conds) == 0 {
		return ""
	}
	return " where " + strings.Join(f.conds, " and ")
}

// Rows runs a query and scans each row of its answer.
func Rows[T any](tx *Tx, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, back, err := tx.lend(query, args)
	if err != nil {
		return nil, err
	}
	defer back()
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func scanString(r *sql.Rows) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}
