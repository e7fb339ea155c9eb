package node

import (
	"errors"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

var errTags = errors.New("node: tags are not stored yet")

func setTags(_ *db.Tx, _ string, tags []ssm.Tag) error {
	if len(tags) == 0 {
		return nil
	}
	return errTags
}

func dropTags(*db.Tx, string) error { return nil }

func tagged(_ *db.Tx, _ *db.Filter, _ string, _ []string) error { return errTags }

func hasTag(_ *db.Tx, _ *db.Filter, _ []string) error { return errTags }
