package inventory

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const itemColumns = "node_id, type, schema_version, capture_time, hash"

// find reads the item of a node and a type, nil when there is none.
func find(tx *db.Tx, nodeID, name string, content bool) (*item, error) {
	out, err := items(tx, scoped(tx).And("node_id = ?", nodeID).And("type = ?", name), content)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return &out[0], nil
}

// items reads items by node and type, with or without their content.
func items(tx *db.Tx, f *db.Filter, content bool) ([]item, error) {
	columns := itemColumns
	if content {
		columns += ", content"
	}
	return db.Rows(tx, "select "+columns+" from inventory_item"+f.Where()+" order by node_id, type", f.Args, func(r *sql.Rows) (x item, err error) {
		into := []any{&x.NodeID, &x.Type, &x.SchemaVersion, &x.CaptureTime, &x.Hash}
		if !content {
			return x, r.Scan(into...)
		}
		var text []byte
		if err := r.Scan(append(into, &text)...); err != nil {
			return x, err
		}
		if err := json.Unmarshal(text, &x.Content); err != nil {
			return x, fmt.Errorf("inventory of %s: %s: %w", x.NodeID, x.Type, err)
		}
		return x, nil
	})
}

func save(tx *db.Tx, x *item) error {
	content, err := encode(x.Content)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into inventory_item(account, region, node_id, type, schema_version, capture_time, hash, content, entries, updated)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict(account, region, node_id, type) do update set schema_version = excluded.schema_version,
		capture_time = excluded.capture_time, hash = excluded.hash, content = excluded.content, entries = excluded.entries, updated = excluded.updated`,
		tx.Scope.Account, tx.Scope.Region, x.NodeID, x.Type, x.SchemaVersion, x.CaptureTime, x.Hash, content, len(x.Content), db.Micros(tx.Now))
	return err
}

// touch keeps that an item was looked at again.
func touch(tx *db.Tx, nodeID, name, captured string) error {
	_, err := tx.Exec(`update inventory_item set capture_time = $5, updated = $6 where account = $1 and region = $2 and node_id = $3 and type = $4`,
		tx.Scope.Account, tx.Scope.Region, nodeID, name, captured, db.Micros(tx.Now))
	return err
}

// types are the names of the types of which there are items.
func types(tx *db.Tx) ([]string, error) {
	f := scoped(tx)
	return db.Rows(tx, "select distinct type from inventory_item"+f.Where()+" order by type", f.Args, func(r *sql.Rows) (s string, err error) {
		return s, r.Scan(&s)
	})
}

// disabled says that items of this version are ignored.
func disabled(tx *db.Tx, name, version string) (bool, error) {
	var limit string
	err := tx.QueryRow("select version from inventory_disabled where account = $1 and region = $2 and type = $3", tx.Scope.Account, tx.Scope.Region, name).Scan(&limit)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && olderOrSame(version, limit), err
}
