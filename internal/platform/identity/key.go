package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/secret"
)

// ErrNoUser says that there is no such user.
var ErrNoUser = errors.New("identity: no such user")

// AccessKey is a long-lived key of a user. The secret is shown once, at creation.
type AccessKey struct {
	ID     string
	Secret secret.String
	User   string
}

// cachedKey is a stored key with its secret open, believed for a short time so
// that a key deleted on another replica ends.
type cachedKey struct {
	accessKey
	until time.Time
}

const keyBelief = 5 * time.Second

func newID(prefix string) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

func newSecret() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

func (s *Service) keyPlace(id string) string { return "identity_key/" + s.config.Account + "/" + id }

// CreateAccessKey makes a key for a user. ErrNoUser when there is none.
func (s *Service) CreateAccessKey(ctx context.Context, user string) (AccessKey, error) {
	if _, ok := s.user(user); !ok {
		return AccessKey{}, ErrNoUser
	}
	return s.insertKey(ctx, AccessKey{ID: newID("AKIA"), Secret: secret.New(newSecret()), User: user})
}

func (s *Service) insertKey(ctx context.Context, k AccessKey) (AccessKey, error) {
	sealed, err := s.config.Sealer.Seal(ctx, []byte(k.Secret.Reveal()), s.keyPlace(k.ID))
	if err != nil {
		return AccessKey{}, fmt.Errorf("identity: seal the key %s: %w", k.ID, err)
	}
	err = s.config.DB.Update(s.scoped(ctx), func(tx *db.Tx) error {
		_, err := tx.Exec(`insert into identity_key(account, region, id, user_name, secret, created) values ($1, '', $2, $3, $4, $5)`,
			s.config.Account, k.ID, k.User, sealed, db.Micros(tx.Now))
		if err != nil {
			return err
		}
		return s.record(tx, "identity.key.created", k.ID, map[string]string{"User": k.User})
	})
	if err != nil {
		return AccessKey{}, fmt.Errorf("identity: insert the key %s: %w", k.ID, err)
	}
	return k, nil
}

// DeleteAccessKey ends a key made by CreateAccessKey or Bootstrap; false when
// there is no such key.
func (s *Service) DeleteAccessKey(ctx context.Context, id string) (bool, error) {
	var n int64
	err := s.config.DB.Update(s.scoped(ctx), func(tx *db.Tx) (err error) {
		n, err = tx.Exec(`delete from identity_key where account = $1 and region = '' and id = $2`, s.config.Account, id)
		if err != nil || n == 0 {
			return err
		}
		return s.record(tx, "identity.key.deleted", id, nil)
	})
	s.keys.drop(id)
	return n > 0, err
}

// Bootstrap makes the first key of the administrator, or the given id and secret
// into one. When there already is a key it returns its id, without the secret and
// with created false.
func (s *Service) Bootstrap(ctx context.Context, fixed *[2]string) (accessKeyID, secretKey string, created bool, err error) {
	k := AccessKey{ID: newID("AKIA"), Secret: secret.New(newSecret()), User: AdminUser}
	query, args := `select id from identity_key where account = $1 and region = '' and user_name = $2 order by created, id limit 1`, []any{s.config.Account, AdminUser}
	if fixed != nil {
		if !keyForm.MatchString(fixed[0]) || len(fixed[1]) < 16 {
			return "", "", false, errors.New("identity: an access key id has 16 to 128 capital letters and digits, a secret at least 16 characters")
		}
		k.ID, k.Secret = fixed[0], secret.New(fixed[1])
		query, args = `select id from identity_key where account = $1 and region = '' and id = $2`, []any{s.config.Account, k.ID}
	}
	var known string
	err = s.config.DB.View(s.scoped(ctx), func(tx *db.Tx) error { return tx.QueryRow(query, args...).Scan(&known) })
	if err == nil {
		return known, "", false, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", "", false, fmt.Errorf("identity: bootstrap: %w", err)
	}
	if k, err = s.insertKey(ctx, k); err != nil {
		return "", "", false, err
	}
	return k.ID, k.Secret.Reveal(), true, nil
}

// key finds a long-lived key: of the file, or stored.
func (s *Service) key(ctx context.Context, id string) (accessKey, bool, error) {
	if k, ok := s.state.Load().keys[id]; ok {
		return k, true, nil
	}
	if c, ok := s.keys.get(id); ok && time.Now().Before(c.until) {
		return c.accessKey, true, nil
	}
	var k accessKey
	var sealed []byte
	err := s.config.DB.View(s.scoped(ctx), func(tx *db.Tx) error {
		return tx.QueryRow(`select user_name, secret from identity_key where account = $1 and region = '' and id = $2`,
			s.config.Account, id).Scan(&k.user, &sealed)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return k, false, nil
	}
	if err != nil {
		return k, false, fmt.Errorf("identity: key %s: %w", id, err)
	}
	plain, err := s.config.Sealer.Open(ctx, sealed, s.keyPlace(id))
	if err != nil {
		return k, false, fmt.Errorf("identity: open the key %s: %w", id, err)
	}
	k.secret = string(plain)
	s.keys.put(id, cachedKey{k, time.Now().Add(keyBelief)})
	return k, true, nil
}
