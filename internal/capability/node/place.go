package node

import (
	"database/sql"
	"errors"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// SetHub names the hub that this service belongs to by the address at which the
// others reach it.
func (s *Service) SetHub(address string) { s.hub.Store(&address) }

// Hub is the address of this hub, "" before it is known.
func (s *Service) Hub() string {
	if p := s.hub.Load(); p != nil {
		return *p
	}
	return ""
}

// HubOf is the address of the hub that has or last had the control channel of a
// node, in whatever scope that is; "" when it never had one.
func (s *Service) HubOf(tx *db.Tx, id string) (address string, err error) {
	err = tx.QueryRow("select hub from node_node where id = $1", id).Scan(&address)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return address, err
}
