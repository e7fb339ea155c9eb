package journal_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
)

// BenchmarkDispatch is what a fact costs after it was recorded: its position and its
// hashes. One iteration is one fact.
func BenchmarkDispatch(b *testing.B) {
	d := dbtest.SQLite(b, schema...)
	j := journaltest.New(b, d)
	const batch = 500
	for done := 0; done < b.N; done += batch {
		b.StopTimer()
		err := d.Update(b.Context(), func(tx *db.Tx) error {
			for range batch {
				if err := j.Record(tx, journal.Fact{Kind: "a.done", Subject: "s", Body: map[string]int{"n": 1}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := j.Dispatch(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
