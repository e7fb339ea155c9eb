package session

import (
	"context"
	"database/sql"
	"errors"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// Meeting is the address of the hub where both ends of a session meet: the one
// that has its node's control channel, or last had. "" when it does not matter:
// there is no such session, or only one hub.
func (s *Service) Meeting(ctx context.Context, id string) (address string, err error) {
	if !s.DB.Postgres() {
		return "", nil
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		r, err := findRow(tx, id, false)
		if err != nil || r == nil {
			return err
		}
		address, err = s.Nodes.HubOf(tx, r.Node)
		return err
	})
	return address, err
}

// Here says whether the ends of a session meet at this hub. A hub that has their
// sockets when they do not closes them, and they come back to the right one.
func (s *Service) Here(ctx context.Context, id string) (bool, error) {
	address, err := s.Meeting(ctx, id)
	return address == "" || address == s.Nodes.Hub(), err
}

// putPlace keeps that this hub has the socket of a side.
func (s *Service) putPlace(tx *db.Tx, id, side string) error {
	_, err := tx.Exec(`insert into session_place(account, region, session_id, side, hub) values($1, $2, $3, $4, $5)
		on conflict(account, region, session_id, side) do update set hub = $5`, tx.Scope.Account, tx.Scope.Region, id, side, s.Nodes.Hub())
	return err
}

// elsewhere says that another hub has the socket of a side by now: that a socket
// here is over says nothing.
func (s *Service) elsewhere(tx *db.Tx, id, side string) (bool, error) {
	var hub string
	err := tx.QueryRow("select hub from session_place where account = $1 and region = $2 and session_id = $3 and side = $4",
		tx.Scope.Account, tx.Scope.Region, id, side).Scan(&hub)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return hub != s.Nodes.Hub(), err
}

func dropPlaces(tx *db.Tx, id string) error {
	_, err := tx.Exec("delete from session_place where account = $1 and region = $2 and session_id = $3", tx.Scope.Account, tx.Scope.Region, id)
	return err
}
