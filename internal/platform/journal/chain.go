package journal

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// maxAssign bounds how many facts one transaction gives a position: it keeps the one
// writer of SQLite for 2 to 3 ms.
const maxAssign = 200

// leaf is what the tree hashes of a row: every column but the position, which is
// the leaf's place, each behind its length.
func (r *Row) leaf() []byte {
	var b []byte
	for _, s := range []string{
		r.id, fmt.Sprint(db.Micros(r.At)), r.Scope.Account, r.Scope.Region,
		r.Actor, r.RequestID, r.Kind, r.Subject, r.related, string(r.Body),
	} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// assign gives positions and hashes to committed facts and says how many.
func (j *Journal) assign(ctx context.Context) (n int, err error) {
	err = j.db.Update(ctx, func(tx *db.Tx) error {
		n = 0
		var size int64
		if err := tx.QueryRow("select size from journal_head where id = 1 {lock}").Scan(&size); err != nil {
			return err
		}
		rows, err := db.Rows(tx, "select "+columns+" from journal_row where position = 0 order by at, id limit $1", []any{maxAssign}, scanRow)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := j.append(tx, size, rows); err != nil {
			return err
		}
		n = len(rows)
		_, err = tx.Exec("update journal_head set size = $1 where id = 1", size+int64(n))
		return err
	})
	return n, err
}

func (j *Journal) append(tx *db.Tx, size int64, rows []*Row) error {
	fresh := map[int64]tlog.Hash{} // closures may run again: the cache learns after the commit
	var stored, placed []any
	for i, r := range rows {
		at := size + int64(i)
		hashes, err := tlog.StoredHashes(at, r.leaf(), j.reader(tx, fresh))
		if err != nil {
			return err
		}
		first := tlog.StoredHashIndex(0, at)
		for k, h := range hashes {
			fresh[first+int64(k)] = h
			stored = append(stored, first+int64(k), encode(h))
		}
		placed = append(placed, at+1, r.id)
	}
	tx.AfterCommit(func() { j.cache.add(fresh) })
	if err := storeHashes.run(tx, stored); err != nil {
		return err
	}
	return placeRows.run(tx, placed)
}

// reader reads stored hashes: those of this transaction, then those remembered,
// then the table's.
func (j *Journal) reader(tx *db.Tx, fresh map[int64]tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(numbers []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(numbers))
		for i, n := range numbers {
			h, ok := fresh[n]
			if !ok {
				h, ok = j.cache.get(n)
			}
			if !ok {
				var s string
				if err := tx.QueryRow("select hash from journal_hash where number = $1", n).Scan(&s); err != nil {
					return nil, fmt.Errorf("journal: hash %d: %w", n, err)
				}
				var err error
				if h, err = decode(s); err != nil {
					return nil, err
				}
			}
			out[i] = h
		}
		return out, nil
	})
}

func encode(h tlog.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

func decode(s string) (tlog.Hash, error) { return tlog.ParseHash(s) }

// size is the number of facts that have a position.
func size(tx *db.Tx) (n int64, err error) {
	err = tx.QueryRow("select size from journal_head where id = 1").Scan(&n)
	return n, err
}
