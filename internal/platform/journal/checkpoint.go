package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const (
	signEvery     = time.Minute
	signEveryRows = 1000
)

// checkpointIfDue signs the head when a minute or 1,000 facts passed.
func (j *Journal) checkpointIfDue(ctx context.Context) error {
	var n, signed, at int64
	var now time.Time
	err := j.db.View(ctx, func(tx *db.Tx) error {
		now = tx.Now
		return tx.QueryRow("select size, signed, signed_at from journal_head where id = 1").Scan(&n, &signed, &at)
	})
	if err != nil || n == signed {
		return err
	}
	if n-signed < signEveryRows && now.Sub(db.FromMicros(at)) < signEvery {
		return nil
	}
	return j.checkpoint(ctx)
}

// checkpoint signs the head, keeps it in the database and outside.
func (j *Journal) checkpoint(ctx context.Context) error {
	if j.signer == nil {
		return nil
	}
	var signed []byte
	err := j.db.Update(ctx, func(tx *db.Tx) error {
		signed = nil
		var n, before int64
		if err := tx.QueryRow("select size, signed from journal_head where id = 1 {lock}").Scan(&n, &before); err != nil || n == before {
			return err
		}
		text, err := j.sign(tx, n)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("insert into journal_checkpoint(size, at, note) values($1, $2, $3)", n, db.Micros(tx.Now), string(text)); err != nil {
			return err
		}
		signed = text
		_, err = tx.Exec("update journal_head set signed = $1, signed_at = $2 where id = 1", n, db.Micros(tx.Now))
		return err
	})
	if err != nil || signed == nil {
		return err
	}
	return j.signer.keep(signed)
}

func (j *Journal) sign(tx *db.Tx, n int64) ([]byte, error) {
	root, err := tlog.TreeHash(n, j.reader(tx, nil))
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: string(tlog.FormatTree(tlog.Tree{N: n, Hash: root}))}, j.signer.private)
}

// ErrHead says that the database is not the one that the head outside tells of: it
// is older, or it was changed.
var ErrHead = errors.New("journal: the database does not hold what its signed head outside says")

// CheckHead compares the database with the head kept outside.
func (j *Journal) CheckHead(ctx context.Context) error {
	text, err := j.signer.kept()
	if err != nil || text == nil {
		return err
	}
	tree, err := j.signer.open(text)
	if err != nil {
		return err
	}
	return j.db.View(ctx, func(tx *db.Tx) error {
		n, err := size(tx)
		if err != nil {
			return err
		}
		if tree.N > n {
			return fmt.Errorf("%w: it has %d facts, the head has %d", ErrHead, n, tree.N)
		}
		root, err := tlog.TreeHash(tree.N, j.reader(tx, nil))
		if err != nil {
			return err
		}
		if root != tree.Hash {
			return fmt.Errorf("%w: the hashes of the first %d facts differ", ErrHead, tree.N)
		}
		return nil
	})
}
