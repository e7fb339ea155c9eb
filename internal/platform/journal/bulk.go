package journal

import (
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// atOnce is how many pairs one statement takes.
const atOnce = 50

// bulk is a statement over pairs of values: many at a time, and the rest one by one,
// so that there are two texts to prepare.
type bulk struct{ one, many string }

var (
	storeHashes = newBulk("insert into journal_hash(number, hash) values %s", "($%d, $%d)")
	placeRows   = newBulk("update journal_row set position = v.column1 from (values %s) as v where id = v.column2", "(cast($%d as bigint), $%d)")
)

func newBulk(query, pair string) bulk {
	var many []string
	for i := range atOnce {
		many = append(many, fmt.Sprintf(pair, 2*i+1, 2*i+2))
	}
	return bulk{one: fmt.Sprintf(query, many[0]), many: fmt.Sprintf(query, strings.Join(many, ", "))}
}

// run takes the pairs one behind the other.
func (b bulk) run(tx *db.Tx, args []any) error {
	for len(args) > 0 {
		query, n := b.many, 2*atOnce
		if len(args) < n {
			query, n = b.one, 2
		}
		if _, err := tx.Exec(query, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}
