package node

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// tokenTTL is how long a node has from asking for a channel to opening it.
const tokenTTL = time.Minute

// ChannelToken makes the token with which the node opens its control channel;
// an earlier one is worth nothing any more.
func (s *Service) ChannelToken(ctx context.Context, id string) (token string, err error) {
	token = rand.Text()
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := s.Get(tx, id); err != nil {
			return err
		}
		_, err := tx.Exec(`insert into node_token(account, region, node_id, hash, expires) values($1, $2, $3, $4, $5)
			on conflict(account, region, node_id) do update set hash = excluded.hash, expires = excluded.expires`,
			tx.Scope.Account, tx.Scope.Region, id, hashCode(token), db.Micros(tx.Now.Add(tokenTTL)))
		return err
	})
	return token, err
}

// UseChannelToken takes a token, once. Error: AccessDeniedException.
func (s *Service) UseChannelToken(ctx context.Context, id, token string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`delete from node_token where account = $1 and region = $2 and node_id = $3 and hash = $4 and expires > $5`,
			tx.Scope.Account, tx.Scope.Region, id, hashCode(token), db.Micros(tx.Now))
		if err == nil && n == 0 {
			return fault.AccessDenied("The token of the channel is not valid.")
		}
		return err
	})
}
