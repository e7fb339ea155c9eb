package hubtest

import (
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/watchbill/watchbill/internal/platform/db" // the drivers come with it
)

// Store is the store of a hub, looked at from outside.
type Store struct {
	t      testing.TB
	pool   *sql.DB
	names  []string
	tables map[string]string // name -> the query of its rows, of those in a snapshot
}

// taskQuery leaves out the columns of tasks that change by themselves, and the tasks
// that calls leave without changing anything.
const taskQuery = "select account, region, kind, key, args from task_task where kind not like 'audit%' and kind not like 'journal%'"

// OpenStore opens the store of a hub.
func OpenStore(t testing.TB, address string) *Store {
	t.Helper()
	s := &Store{t: t, tables: map[string]string{}}
	driver, name, list := "pgx", address, "select table_name from information_schema.tables where table_schema = current_schema()"
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)"
		list = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
	}
	var err error
	if s.pool, err = sql.Open(driver, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.pool.Close() })
	s.names = s.Rows(list)
	for _, table := range s.names {
		switch prefix, _, _ := strings.Cut(table, "_"); prefix {
		case "journal", "audit":
		case "task":
			s.tables["task_task"] = taskQuery
		default:
			s.tables[table] = "select * from " + table
		}
	}
	return s
}

// Rows are the rows of a query as texts, columns divided by tabs.
func (s *Store) Rows(query string) (out []string) {
	s.t.Helper()
	rows, err := s.pool.Query(query)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	values, at := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		at[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			s.t.Fatal(err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			texts[i] = fmt.Sprint(v)
		}
		out = append(out, strings.Join(texts, "\t"))
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Snapshot is every row of every table that holds the hub's state: all but the
// journal, the audit and the housekeeping of tasks.
type Snapshot map[string][]string

// Snapshot reads the store.
func (s *Store) Snapshot() Snapshot {
	s.t.Helper()
	out := Snapshot{}
	for table, query := range s.tables {
		rows := s.Rows(query)
		slices.Sort(rows)
		out[table] = rows
	}
	return out
}

// Changes tells how two snapshots differ, "" when they do not.
func (a Snapshot) Changes(b Snapshot) string {
	var out strings.Builder
	for table := range a {
		for _, row := range a[table] {
			if !slices.Contains(b[table], row) {
				fmt.Fprintf(&out, "- %s: %.300q\n", table, row)
			}
		}
		for _, row := range b[table] {
			if !slices.Contains(a[table], row) {
				fmt.Fprintf(&out, "+ %s: %.300q\n", table, row)
			}
		}
		if len(a[table]) != len(b[table]) && out.Len() == 0 {
			fmt.Fprintf(&out, "%s: %d rows, then %d\n", table, len(a[table]), len(b[table]))
		}
	}
	return out.String()
}

// Unchanged fails the test when the store is not as it was before.
func (s *Store) Unchanged(t testing.TB, before Snapshot, what string) {
	t.Helper()
	if d := before.Changes(s.Snapshot()); d != "" {
		t.Errorf("%s changed the store:\n%s", what, d)
	}
}

// Everything is every row of every table.
func (s *Store) Everything() (out []string) {
	s.t.Helper()
	for _, table := range s.names {
		out = append(out, s.Rows("select * from "+table)...)
	}
	return out
}

// Settle waits until no task is due or under way, so that what follows is compared
// with a store at rest.
func (s *Store) Settle() {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		busy := s.Rows(fmt.Sprintf("select kind, key from task_task where dead = 0 and (owner <> '' or wake <= %d)", time.Now().UnixMicro()))
		if len(busy) == 0 {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	s.t.Fatal("the hub's tasks do not come to rest")
}
