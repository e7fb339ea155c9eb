package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Migrations is the schema history of one package: the files migrate/*.sql in the
// order of their names. Each runs once; a file that has run must not change.
type Migrations struct {
	Name string
	FS   fs.FS
}

const migrationTable = `create table if not exists db_migration(
	name {text} not null, file {text} not null, hash {text} not null, at bigint not null, primary key(name, file))`

// Migrate brings the schema up to date, in one transaction for each file.
func (d *DB) Migrate(ctx context.Context, all []Migrations) error {
	err := d.Update(ctx, func(tx *Tx) error {
		if err := tx.lockMigrations(); err != nil {
			return err
		}
		_, err := tx.Exec(migrationTable)
		return err
	})
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	for _, m := range all {
		if err := d.migrateOne(ctx, m); err != nil {
			return fmt.Errorf("db: migrate %s: %w", m.Name, err)
		}
	}
	return nil
}

func (d *DB) migrateOne(ctx context.Context, m Migrations) error {
	files, err := fs.Glob(m.FS, "migrate/*.sql")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no file migrate/*.sql")
	}
	return d.Update(ctx, func(tx *Tx) error {
		if err := tx.lockMigrations(); err != nil {
			return err
		}
		for _, f := range files {
			if err := tx.migrateFile(m, f); err != nil {
				return fmt.Errorf("%s: %w", f, err)
			}
		}
		return nil
	})
}

// lockMigrations keeps two hubs that start together from migrating together.
func (t *Tx) lockMigrations() error {
	if !t.db.pg {
		return nil
	}
	_, err := t.Exec("select pg_advisory_xact_lock(7237419061)")
	return err
}

func (t *Tx) migrateFile(m Migrations, file string) error {
	text, err := fs.ReadFile(m.FS, file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	done, err := t.migrated(m.Name, file)
	if err != nil {
		return err
	}
	if done != "" {
		if done != hash {
			return errors.New("the file has changed since it was applied")
		}
		return nil
	}
	for _, s := range statements(string(text)) {
		if _, err := t.Exec(s); err != nil {
			return fmt.Errorf("%w in %q", err, s)
		}
	}
	_, err = t.Exec("insert into db_migration(name, file, hash, at) values($1, $2, $3, $4)", m.Name, file, hash, Micros(t.Now))
	return err
}

func (t *Tx) migrated(name, file string) (string, error) {
	hashes, err := Rows(t, "select hash from db_migration where name = $1 and file = $2", []any{name, file}, scanString)
	if err != nil || len(hashes) == 0 {
		return "", err
	}
	return hashes[0], nil
}

// statements splits a file at each ";" that ends a line.
func statements(text string) []string {
	var out []string
	for s := range strings.SplitSeq(text+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
