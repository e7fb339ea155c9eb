package document

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// public is the account id that stands for every account.
const public = "all"

// How many accounts a document may be shared with, and how many public
// documents an account may have.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-ssm-sharing.html
const (
	maxShares = 1000
	maxPublic = 5
)

type share struct {
	With    string
	Version string // $DEFAULT, $LATEST or $ALL
}

const selectShares = `select shared_with, version from document_share
	where account = $1 and region = $2 and name = $3 and shared_with > $4 order by shared_with limit $5`

func listShares(tx *db.Tx, h *head, after string, limit int) ([]share, error) {
	return db.Rows(tx, selectShares, []any{h.Account, h.Region, h.Name, after, limit}, func(r *sql.Rows) (s share, err error) {
		err = r.Scan(&s.With, &s.Version)
		return s, err
	})
}

const selectSharedWith = `select shared_with, version from document_share
	where account = $1 and region = $2 and name = $3 and shared_with in ($4, $5) order by shared_with`

// sharedWith is what an account may see of another's document, "" for nothing.
// What is granted to the account itself comes before what is public.
func sharedWith(tx *db.Tx, h *head, account string) (string, error) {
	found, err := db.Rows(tx, selectSharedWith, []any{h.Account, h.Region, h.Name, account, public}, func(r *sql.Rows) (s share, err error) {
		err = r.Scan(&s.With, &s.Version)
		return s, err
	})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].Version, nil
}

// ModifyDocumentPermission shares a document and stops sharing it; an account
// in both lists is removed.
func (s *Service) ModifyDocumentPermission(ctx context.Context, in *ssm.ModifyDocumentPermissionInput) (*ssm.ModifyDocumentPermissionOutput, error) {
	remove := lower(in.AccountIdsToRemove)
	add := slices.DeleteFunc(lower(in.AccountIdsToAdd), func(id string) bool { return slices.Contains(remove, id) })
	seen := cmp.Or(ptr.Value(in.SharedDocumentVersion), "$DEFAULT")
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		h, err := s.changeable(tx, *in.Name)
		if err != nil {
			return asInvalidDocument(err)
		}
		for _, id := range remove {
			if err := unshare(tx, h, id); err != nil {
				return err
			}
		}
		for _, id := range add {
			if err := addShare(tx, h, share{id, seen}); err != nil {
				return err
			}
		}
		if err := checkShares(tx, h, slices.Contains(add, public)); err != nil {
			return err
		}
		return s.record(tx, "document.shared", h, nil, map[string]any{"added": add, "removed": remove, "sharedVersion": seen})
	})
	if err != nil {
		return nil, err
	}
	return &ssm.ModifyDocumentPermissionOutput{}, nil
}

func lower(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strings.ToLower(id)
	}
	return out
}

const (
	deleteShare = `delete from document_share where account = $1 and region = $2 and name = $3 and shared_with = $4`
	upsertShare = `insert into document_share(account, region, name, shared_with, version) values($1, $2, $3, $4, $5)
	on conflict(account, region, name, shared_with) do update set version = excluded.version`
	countShares = `select count(*) from document_share where account = $1 and region = $2 and name = $3`
	countPublic = `select count(*) from document_share where account = $1 and region = $2 and shared_with = 'all'`
)

func unshare(tx *db.Tx, h *head, with string) error {
	if _, err := tx.Exec(deleteShare, h.Account, h.Region, h.Name, with); err != nil {
		return fmt.Errorf("document %s: stop sharing: %w", h.Name, err)
	}
	return nil
}

func addShare(tx *db.Tx, h *head, s share) error {
	if _, err := tx.Exec(upsertShare, h.Account, h.Region, h.Name, s.With, s.Version); err != nil {
		return fmt.Errorf("document %s: share: %w", h.Name, err)
	}
	return nil
}

// checkShares holds the limits after the change.
func checkShares(tx *db.Tx, h *head, madePublic bool) error {
	var n int
	if err := tx.QueryRow(countShares, h.Account, h.Region, h.Name).Scan(&n); err != nil {
		return fmt.Errorf("document %s: count shares: %w", h.Name, err)
	}
	if n > maxShares {
		return &ssm.DocumentPermissionLimit{Message: fmt.Sprintf("A document can be shared with at most %d accounts.", maxShares)}
	}
	if !madePublic {
		return nil
	}
	if err := tx.QueryRow(countPublic, h.Account, h.Region).Scan(&n); err != nil {
		return fmt.Errorf("document %s: count public documents: %w", h.Name, err)
	}
	if n > maxPublic {
		return &ssm.DocumentPermissionLimit{Message: fmt.Sprintf("An account can have at most %d public documents.", maxPublic)}
	}
	return nil
}

// DescribeDocumentPermission lists the accounts that a document is shared with.
func (s *Service) DescribeDocumentPermission(ctx context.Context, in *ssm.DescribeDocumentPermissionInput) (*ssm.DescribeDocumentPermissionOutput, error) {
	var after string
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, badToken()
	}
	size := sizeOf(in.MaxResults, 200)
	out := &ssm.DescribeDocumentPermissionOutput{AccountIds: []string{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		*out = ssm.DescribeDocumentPermissionOutput{AccountIds: []string{}}
		h, err := s.readable(tx, *in.Name)
		if err != nil {
			return err
		}
		found, err := listShares(tx, h, after, size+1)
		if err != nil {
			return err
		}
		if len(found) > size {
			found = found[:size]
			out.NextToken = new(page.Token(found[size-1].With))
		}
		for _, f := range found {
			out.AccountIds = append(out.AccountIds, f.With)
			out.AccountSharingInfoList = append(out.AccountSharingInfoList, ssm.AccountSharingInfo{AccountId: new(f.With), SharedDocumentVersion: new(f.Version)})
		}
		return nil
	})
	return out, err
}

// readable is a document of the caller's account, for operations that only its
// owner may use.
func (s *Service) readable(tx *db.Tx, name string) (*head, error) {
	h, err := ownHead(tx, selectHead, name)
	if err != nil && name != preferences && ownedHead(name) != nil {
		return nil, &ssm.InvalidDocumentOperation{Message: fmt.Sprintf("Document %s belongs to Amazon.", name)}
	}
	return h, err
}

func badToken() error {
	return &ssm.InvalidNextToken{Message: "The specified token is not valid."}
}

func sizeOf(given *int32, most int) int {
	if given == nil || *given < 1 || int(*given) > most {
		return most
	}
	return int(*given)
}
