package key

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// row is a key.
type row struct {
	scope       db.Scope
	id          string
	manager     kms.KeyManagerType
	description string
	enabled     bool
	created     time.Time
	deletion    time.Time // zero: none is due
	material    []byte    // sealed
}

const keyColumns = "id, manager, description, enabled, created, deletion, material"

func scanKey(scope db.Scope, scan func(...any) error) (*row, error) {
	k := &row{scope: scope}
	var enabled, created, deletion int64
	err := scan(&k.id, &k.manager, &k.description, &enabled, &created, &deletion, &k.material)
	k.enabled, k.created, k.deletion = enabled != 0, db.FromMicros(created), db.FromMicros(deletion)
	return k, err
}

// load is a key by its id, nil when there is none.
func load(tx *db.Tx, id, lock string) (*row, error) {
	k, err := scanKey(tx.Scope, tx.QueryRow("select "+keyColumns+" from key_key where account = $1 and region = $2 and id = $3 "+lock,
		tx.Scope.Account, tx.Scope.Region, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	return k, nil
}

func insert(tx *db.Tx, k *row) error {
	_, err := tx.Exec("insert into key_key(account, region, "+keyColumns+") values($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		tx.Scope.Account, tx.Scope.Region, k.id, string(k.manager), k.description, db.Bool(k.enabled), db.Micros(k.created), db.Micros(k.deletion), k.material)
	if err != nil {
		return fmt.Errorf("key %s: %w", k.id, err)
	}
	return nil
}

// update keeps the state of a key.
func update(tx *db.Tx, k *row) error {
	_, err := tx.Exec("update key_key set enabled = $4, deletion = $5 where account = $1 and region = $2 and id = $3",
		tx.Scope.Account, tx.Scope.Region, k.id, db.Bool(k.enabled), db.Micros(k.deletion))
	if err != nil {
		return fmt.Errorf("key %s: %w", k.id, err)
	}
	return nil
}

// remove takes a key and its aliases away.
func remove(tx *db.Tx, id string) error {
	for _, text := range []string{
		"delete from key_alias where account = $1 and region = $2 and key_id = $3",
		"delete from key_key where account = $1 and region = $2 and id = $3",
	} {
		if _, err := tx.Exec(text, tx.Scope.Account, tx.Scope.Region, id); err != nil {
			return fmt.Errorf("key %s: %w", id, err)
		}
	}
	return nil
}

// listKeys is up to limit keys after an id.
func listKeys(tx *db.Tx, after string, limit int) ([]*row, error) {
	return db.Rows(tx, "select "+keyColumns+" from key_key where account = $1 and region = $2 and id > $3 order by id limit $4",
		[]any{tx.Scope.Account, tx.Scope.Region, after, limit}, func(r *sql.Rows) (*row, error) { return scanKey(tx.Scope, r.Scan) })
}

// alias is a second name of a key.
type alias struct {
	name    string // with its "alias/"
	keyID   string
	created time.Time
	updated time.Time
}

const aliasColumns = "name, key_id, created, updated"

func scanAlias(r *sql.Rows) (a alias, err error) {
	var created, updated int64
	err = r.Scan(&a.name, &a.keyID, &created, &updated)
	a.created, a.updated = db.FromMicros(created), db.FromMicros(updated)
	return a, err
}

// loadAlias is an alias by its name, nil when there is none.
func loadAlias(tx *db.Tx, name string) (*alias, error) {
	found, err := db.Rows(tx, "select "+aliasColumns+" from key_alias where account = $1 and region = $2 and name = $3",
		[]any{tx.Scope.Account, tx.Scope.Region, name}, scanAlias)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// putAlias makes an alias, or points it to another key.
func putAlias(tx *db.Tx, a alias) error {
	_, err := tx.Exec(`insert into key_alias(account, region, name, key_id, created, updated) values($1, $2, $3, $4, $5, $6)
		on conflict(account, region, name) do update set key_id = excluded.key_id, updated = excluded.updated`,
		tx.Scope.Account, tx.Scope.Region, a.name, a.keyID, db.Micros(a.created), db.Micros(a.updated))
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	return nil
}

func removeAlias(tx *db.Tx, name string) error {
	_, err := tx.Exec("delete from key_alias where account = $1 and region = $2 and name = $3", tx.Scope.Account, tx.Scope.Region, name)
	return err
}

// listAliases is up to limit aliases after a name, of one key when keyID is not "".
func listAliases(tx *db.Tx, keyID, after string, limit int) ([]alias, error) {
	f := new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("name > ?", after)
	if keyID != "" {
		f.And("key_id = ?", keyID)
	}
	f.Args = append(f.Args, limit)
	return db.Rows(tx, fmt.Sprintf("select %s from key_alias%s order by name limit $%d", aliasColumns, f.Where(), len(f.Args)), f.Args, scanAlias)
}

// place is what the material of a key is sealed for, and its ciphertexts are bound to.
func (k *row) place() string { return "key_key/" + k.scope.Account + "/" + k.scope.Region + "/" + k.id }

func (k *row) arn() string { return keyARN(k.scope, k.id) }

func keyARN(s db.Scope, id string) string { return arn.Make("kms", s.Region, s.Account, "key/"+id) }

func (k *row) state() kms.KeyState {
	switch {
	case !k.deletion.IsZero():
		return kms.KeyStatePendingDeletion
	case k.enabled:
		return kms.KeyStateEnabled
	}
	return kms.KeyStateDisabled
}

// project is a key as the API shows it.
func (k *row) project() *kms.KeyMetadata {
	return &kms.KeyMetadata{
		AWSAccountId: new(k.scope.Account), Arn: new(k.arn()), KeyId: new(k.id), CreationDate: new(k.created), Description: new(k.description),
		Enabled: new(k.state() == kms.KeyStateEnabled), KeyState: k.state(), KeyManager: k.manager, DeletionDate: ptr.OrNil(k.deletion),
		KeyUsage: kms.KeyUsageTypeEncryptDecrypt, KeySpec: kms.KeySpecSymmetricDefault, CustomerMasterKeySpec: kms.CustomerMasterKeySpecSymmetricDefault,
		EncryptionAlgorithms: []kms.EncryptionAlgorithmSpec{kms.EncryptionAlgorithmSpecSymmetricDefault}, Origin: kms.OriginTypeAwsKms, MultiRegion: new(false),
	}
}
