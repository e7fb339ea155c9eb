package key

import (
	"context"
	"strings"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

func aliasARN(s db.Scope, name string) string { return arn.Make("kms", s.Region, s.Account, name) }

// CreateAlias gives a key a second name.
func (s *Service) CreateAlias(ctx context.Context, in *kms.CreateAliasInput) (*kms.CreateAliasOutput, error) {
	out := &kms.CreateAliasOutput{}
	return out, s.pointAlias(ctx, "kms:CreateAlias", *in.AliasName, *in.TargetKeyId, out)
}

// UpdateAlias points an alias to another key.
func (s *Service) UpdateAlias(ctx context.Context, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, error) {
	out := &kms.UpdateAliasOutput{}
	return out, s.pointAlias(ctx, "kms:UpdateAlias", *in.AliasName, *in.TargetKeyId, out)
}

// pointAlias needs the right to both the alias and the key.
func (s *Service) pointAlias(ctx context.Context, action, aliasName, keyID string, out any) error {
	if strings.HasPrefix(keyID, "alias/") || strings.Contains(keyID, ":alias/") {
		return &kms.InvalidArnException{Message: "An alias must refer to a key, not to an alias."}
	}
	if err := ownName(aliasName); err != nil {
		return err
	}
	if err := s.Allow(ctx, action, aliasARN(db.ScopeOf(ctx), aliasName)); err != nil {
		return err
	}
	k, err := s.may(ctx, action, keyID)
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		again, err := load(tx, k.id, "{lock}")
		if err != nil {
			return err
		}
		if again == nil {
			return notFound(k.arn())
		}
		return s.point(tx, action == "kms:CreateAlias", aliasName, k)
	})
}

func (s *Service) point(tx *db.Tx, create bool, aliasName string, k *row) error {
	known, err := loadAlias(tx, aliasName)
	if err != nil {
		return err
	}
	a := alias{name: aliasName, keyID: k.id, created: tx.Now, updated: tx.Now}
	kind := "key.alias.created"
	switch {
	case create && known != nil:
		return &kms.AlreadyExistsException{Message: "An alias with the name " + aliasARN(tx.Scope, aliasName) + " already exists"}
	case !create && known == nil:
		return notFound(aliasARN(tx.Scope, aliasName))
	case !create:
		kind = "key.alias.updated"
	}
	if err := putAlias(tx, a); err != nil {
		return err
	}
	return s.record(tx, kind, k, map[string]string{"Alias": aliasName})
}

// ownName refuses names that are none, and those that begin with alias/aws/.
func ownName(name string) error {
	rest, ok := strings.CutPrefix(name, "alias/")
	if !ok || rest == "" || strings.Contains(rest, ":") {
		return &kms.InvalidAliasNameException{Message: "An alias begins with alias/ and goes on with letters, digits, /, _ and -."}
	}
	if strings.HasPrefix(rest, "aws/") {
		return &kms.InvalidAliasNameException{Message: "Names that begin with alias/aws/ are reserved."}
	}
	return nil
}

// DeleteAlias takes a name away; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, error) {
	if err := ownName(*in.AliasName); err != nil {
		return nil, err
	}
	if err := s.Allow(ctx, "kms:DeleteAlias", aliasARN(db.ScopeOf(ctx), *in.AliasName)); err != nil {
		return nil, err
	}
	k, err := s.may(ctx, "kms:DeleteAlias", *in.AliasName)
	if err != nil {
		return nil, err
	}
	out := &kms.DeleteAliasOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := removeAlias(tx, *in.AliasName); err != nil {
			return err
		}
		return s.record(tx, "key.alias.deleted", k, map[string]string{"Alias": *in.AliasName})
	})
}

// ListAliases lists the aliases, of one key or of all.
func (s *Service) ListAliases(ctx context.Context, in *kms.ListAliasesInput) (*kms.ListAliasesOutput, error) {
	var after string
	if page.Parse(ptr.Value(in.Marker), &after) != nil {
		return nil, &kms.InvalidMarkerException{Message: "The marker is not valid."}
	}
	keyID := ""
	if in.KeyId != nil {
		k, err := s.may(ctx, "kms:ListAliases", *in.KeyId)
		if err != nil {
			return nil, err
		}
		keyID = k.id
	} else if err := s.Allow(ctx, "kms:ListAliases"); err != nil {
		return nil, err
	}
	limit := page.Limit(in.Limit, mostAliases)
	var found []alias
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		found, err = listAliases(tx, keyID, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &kms.ListAliasesOutput{Aliases: []kms.AliasListEntry{}, Truncated: new(len(found) > limit)}
	for _, a := range found[:min(limit, len(found))] {
		out.Aliases = append(out.Aliases, kms.AliasListEntry{
			AliasName: new(a.name), AliasArn: new(aliasARN(db.ScopeOf(ctx), a.name)), TargetKeyId: new(a.keyID),
			CreationDate: new(a.created), LastUpdatedDate: new(a.updated),
		})
	}
	if *out.Truncated {
		out.NextMarker = new(page.Token(found[limit-1].name))
	}
	return out, nil
}
