package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/watchbill/watchbill/internal/platform/db"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package: which keys belong to the store.
var Migrations = db.Migrations{Name: "server", FS: migrateFS}

// sharedKeys are the files that all hubs on one store have alike.
var sharedKeys = []string{sealFile, linkFile, "journal.key"}

// checkKeys refuses to run with other keys than those that the store was made with:
// secrets would not open, links of pages would not work, and checkpoints would have
// signatures that nobody can check.
func (h *hub) checkKeys(ctx context.Context) error {
	for _, name := range sharedKeys {
		key, err := os.ReadFile(h.path(name))
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("watchbill " + name))
		if err := h.checkKey(ctx, name, hex.EncodeToString(mac.Sum(nil))); err != nil {
			return err
		}
	}
	return nil
}

// checkKey compares a fingerprint with the store's, and leaves it there at the first
// start.
func (h *hub) checkKey(ctx context.Context, name, fingerprint string) error {
	var known string
	read := func(tx *db.Tx) error {
		return tx.QueryRow("select fingerprint from server_key where name = $1", name).Scan(&known)
	}
	err := h.db.View(ctx, read)
	if errors.Is(err, sql.ErrNoRows) {
		err = h.db.Update(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec("insert into server_key(name, fingerprint, at) values($1, $2, $3) on conflict(name) do nothing", name, fingerprint, db.Micros(tx.Now))
			return errors.Join(err, read(tx))
		})
	}
	if err == nil && known != fingerprint {
		err = fmt.Errorf("%s is not the key that this store was made with: put it back, or copy it from another hub on the store (docs/operations.md, Several hubs)", h.path(name))
	}
	return err
}
