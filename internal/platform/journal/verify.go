package journal

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// Report is what Verify found.
type Report struct {
	Facts       int64
	Checkpoints int
	Root        string   // of all facts, base64
	Problems    []string // empty when all is well
}

const maxProblems = 100

// Verify reads every fact, builds the tree anew from them, and compares it with the
// stored hashes, with each signed checkpoint, and with the head outside.
func (j *Journal) Verify(ctx context.Context) (*Report, error) {
	rep := &Report{}
	fresh := map[int64]tlog.Hash{}
	err := j.db.View(ctx, func(tx *db.Tx) error {
		if err := j.rebuild(tx, rep, fresh); err != nil {
			return err
		}
		return j.compareCheckpoints(tx, rep, fresh)
	})
	if err != nil {
		return nil, err
	}
	if err := j.CheckHead(ctx); err != nil {
		rep.problem("%v", err)
	}
	return rep, nil
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

func inMemory(have map[int64]tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(numbers []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(numbers))
		for i, n := range numbers {
			h, ok := have[n]
			if !ok {
				return nil, fmt.Errorf("journal: hash %d is missing", n)
			}
			out[i] = h
		}
		return out, nil
	})
}

// rebuild computes the tree from the facts alone.
func (j *Journal) rebuild(tx *db.Tx, rep *Report, fresh map[int64]tlog.Hash) error {
	want, err := size(tx)
	if err != nil {
		return err
	}
	rows, err := tx.Query("select " + columns + " from journal_row where position > 0 order by position")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		if r.Position != rep.Facts+1 {
			rep.problem("a fact is missing: position %d follows %d", r.Position, rep.Facts)
			return nil
		}
		hashes, err := tlog.StoredHashes(rep.Facts, r.leaf(), inMemory(fresh))
		if err != nil {
			return err
		}
		for k, h := range hashes {
			fresh[tlog.StoredHashIndex(0, rep.Facts)+int64(k)] = h
		}
		rep.Facts++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if rep.Facts != want {
		rep.problem("the head says %d facts, there are %d", want, rep.Facts)
	}
	root, err := tlog.TreeHash(rep.Facts, inMemory(fresh))
	rep.Root = encode(root)
	return err
}

func (j *Journal) compareCheckpoints(tx *db.Tx, rep *Report, fresh map[int64]tlog.Hash) error {
	rows, err := tx.Query("select size, note from journal_checkpoint order by size")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int64
		var text string
		if err := rows.Scan(&n, &text); err != nil {
			return err
		}
		rep.Checkpoints++
		if err := j.compareOne(n, text, fresh); err != nil {
			rep.problem("checkpoint of %d facts: %v", n, err)
		}
	}
	return rows.Err()
}

func (j *Journal) compareOne(n int64, text string, fresh map[int64]tlog.Hash) error {
	tree, err := j.signer.open([]byte(text))
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(tree.N, inMemory(fresh))
	if err != nil {
		return err
	}
	if tree.N != n || root != tree.Hash {
		return fmt.Errorf("the facts do not hash to what was signed")
	}
	return nil
}
