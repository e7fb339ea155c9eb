package key

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	materialBytes = 32
	mostKeys      = 1000 // of one page
	mostAliases   = 100
	dayWindow     = 30 // of ScheduleKeyDeletion without one
	leastWindow   = 7
	mostWindow    = 30
)

// fresh makes a key with sealed material, not yet kept.
func (s *Service) fresh(ctx context.Context, manager kms.KeyManagerType, description string) (*row, error) {
	k := &row{scope: db.ScopeOf(ctx), id: uuid.NewString(), manager: manager, description: description, enabled: true}
	material := make([]byte, materialBytes)
	_, _ = rand.Read(material) // never fails
	var err error
	if k.material, err = s.Sealer.Seal(ctx, material, k.place()); err != nil {
		return nil, fmt.Errorf("key %s: %w", k.id, err)
	}
	return k, nil
}

// CreateKey makes a symmetric key. Other kinds of keys, imported material, key stores,
// tags and key policies are refused: who may use a key is said by identity policies.
func (s *Service) CreateKey(ctx context.Context, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, error) {
	if err := supported(in); err != nil {
		return nil, err
	}
	k, err := s.fresh(ctx, kms.KeyManagerTypeCustomer, ptr.Value(in.Description))
	if err != nil {
		return nil, err
	}
	out := &kms.CreateKeyOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		k.created = tx.Now
		out.KeyMetadata = k.project()
		if err := insert(tx, k); err != nil {
			return err
		}
		return s.record(tx, "key.created", k, nil)
	})
	return out, err
}

func supported(in *kms.CreateKeyInput) error {
	symmetric := (in.KeySpec == "" || in.KeySpec == kms.KeySpecSymmetricDefault) &&
		(in.CustomerMasterKeySpec == "" || in.CustomerMasterKeySpec == kms.CustomerMasterKeySpecSymmetricDefault) &&
		(in.KeyUsage == "" || in.KeyUsage == kms.KeyUsageTypeEncryptDecrypt)
	switch {
	case !symmetric:
		return &kms.UnsupportedOperationException{Message: "Only SYMMETRIC_DEFAULT keys for ENCRYPT_DECRYPT are supported."}
	case in.Origin != "" && in.Origin != kms.OriginTypeAwsKms, in.CustomKeyStoreId != nil, in.XksKeyId != nil:
		return &kms.UnsupportedOperationException{Message: "Only the origin AWS_KMS is supported."}
	case ptr.Value(in.MultiRegion):
		return &kms.UnsupportedOperationException{Message: "Multi-Region keys are not supported."}
	case in.Policy != nil:
		return &kms.UnsupportedOperationException{Message: "Key policies are not supported: identity policies say who may use a key."}
	case len(in.Tags) > 0:
		return &kms.UnsupportedOperationException{Message: "Tags of keys are not supported."}
	}
	return nil
}

// makeDefault makes the key behind DefaultAlias, unless somebody else just did.
func (s *Service) makeDefault(ctx context.Context) error {
	k, err := s.fresh(ctx, kms.KeyManagerTypeAws, "Default key that protects my SSM parameters and sessions when no other key is defined")
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if a, err := loadAlias(tx, DefaultAlias); err != nil || a != nil {
			return err
		}
		k.created = tx.Now
		if err := insert(tx, k); err != nil {
			return err
		}
		if err := putAlias(tx, alias{name: DefaultAlias, keyID: k.id, created: tx.Now, updated: tx.Now}); err != nil {
			return err
		}
		return s.record(tx, "key.created", k, map[string]string{"Alias": DefaultAlias})
	})
}

// DescribeKey shows a key, found by its id, an alias or an ARN of either.
func (s *Service) DescribeKey(ctx context.Context, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	k, err := s.may(ctx, "kms:DescribeKey", *in.KeyId)
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: k.project()}, nil
}

// ListKeys lists the keys of the account and region.
func (s *Service) ListKeys(ctx context.Context, in *kms.ListKeysInput) (*kms.ListKeysOutput, error) {
	var after string
	if page.Parse(ptr.Value(in.Marker), &after) != nil {
		return nil, &kms.InvalidMarkerException{Message: "The marker is not valid."}
	}
	limit := page.Limit(in.Limit, mostKeys)
	if in.Limit == nil {
		limit = mostAliases
	}
	var keys []*row
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		keys, err = listKeys(tx, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &kms.ListKeysOutput{Keys: []kms.KeyListEntry{}, Truncated: new(len(keys) > limit)}
	for _, k := range keys[:min(limit, len(keys))] {
		out.Keys = append(out.Keys, kms.KeyListEntry{KeyId: new(k.id), KeyArn: new(k.arn())})
	}
	if *out.Truncated {
		out.NextMarker = new(page.Token(keys[limit-1].id))
	}
	return out, nil
}

// EnableKey lets a key be used again.
func (s *Service) EnableKey(ctx context.Context, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	out := &kms.EnableKeyOutput{}
	return out, s.change(ctx, "kms:EnableKey", *in.KeyId, out, func(tx *db.Tx, k *row) error {
		if err := pending(k, false); err != nil {
			return err
		}
		k.enabled = true
		return s.record(tx, "key.enabled", k, nil)
	})
}

// DisableKey keeps a key and refuses its use.
func (s *Service) DisableKey(ctx context.Context, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
	out := &kms.DisableKeyOutput{}
	return out, s.change(ctx, "kms:DisableKey", *in.KeyId, out, func(tx *db.Tx, k *row) error {
		if err := pending(k, false); err != nil {
			return err
		}
		k.enabled = false
		return s.record(tx, "key.disabled", k, nil)
	})
}

// pending refuses a key whose deletion is not in the state wanted.
func pending(k *row, want bool) error {
	if k.deletion.IsZero() == want {
		return &kms.KMSInvalidStateException{Message: k.arn() + " is in the state " + string(k.state()) + "."}
	}
	return nil
}

// change runs f on a key that its caller may act on and that is not the hub's own, and
// keeps what f made of it.
func (s *Service) change(ctx context.Context, action, keyID string, out any, f func(tx *db.Tx, k *row) error) error {
	known, err := s.may(ctx, action, keyID)
	if err != nil {
		return err
	}
	if known.manager == kms.KeyManagerTypeAws {
		return fault.AccessDenied("%s is an AWS managed key and cannot be changed.", known.arn())
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		k, err := load(tx, known.id, "{lock}")
		if err != nil {
			return err
		}
		if k == nil {
			return notFound(known.arn())
		}
		if err := f(tx, k); err != nil {
			return err
		}
		return update(tx, k)
	})
}

// window is how long a key waits for its deletion.
func window(days *int32) (time.Duration, int32, error) {
	n := int32(dayWindow)
	if days != nil {
		n = *days
	}
	if n < leastWindow || n > mostWindow {
		return 0, 0, fault.Validation("PendingWindowInDays must be between %d and %d (inclusive)", leastWindow, mostWindow)
	}
	return time.Duration(n) * 24 * time.Hour, n, nil
}
