package db

import (
	"fmt"
	"strings"
)

// bulkRows is how many rows one statement of a Bulk takes.
const bulkRows = 50

// Bulk inserts many rows with few statements. There are two texts to prepare:
// one for many rows, one for each of the rest.
type Bulk struct {
	width     int
	one, many string
}

// NewBulk makes an insert of rows of width values: head is the statement up to
// "values", tail what follows the rows.
func NewBulk(head string, width int, tail string) Bulk {
	text := func(rows int) string {
		all := make([]string, rows)
		for r := range rows {
			marks := make([]string, width)
			for i := range width {
				marks[i] = fmt.Sprintf("$%d", r*width+i+1)
			}
			all[r] = "(" + strings.Join(marks, ", ") + ")"
		}
		return head + " values" + strings.Join(all, ", ") + " " + tail
	}
	return Bulk{width: width, one: text(1), many: text(bulkRows)}
}

// Run inserts rows, whose values stand one behind the other in args.
func (b Bulk) Run(tx *Tx, args []any) error {
	for len(args) > 0 {
		query, n := b.many, bulkRows*b.width
		if len(args) < n {
			query, n = b.one, b.width
		}
		if _, err := tx.Exec(query, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}
