package db

import (
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// ErrFull is what an Update returns when the disk has no room left. Nothing was
// changed; reads go on.
var ErrFull = fault.New(http.StatusServiceUnavailable, "ServiceUnavailableException",
	"The hub's disk is full: nothing was changed. Reads go on; changes are taken again once there is room.")

// Freeze makes every further Update fail with err; View goes on. Nil thaws.
func (d *DB) Freeze(err error) {
	if err == nil {
		d.frozen.Store(nil)
		return
	}
	d.frozen.Store(&err)
}

// explain gives a full disk its own error.
func explain(err error) error {
	var se *sqlitedriver.Error
	if errors.As(err, &se) && se.Code()&0xff == sqlitelib.SQLITE_FULL {
		return ErrFull
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "53100" { // disk_full
		return ErrFull
	}
	return err
}
