package alarm_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
)

func TestNote(t *testing.T) {
	dbtest.Each(t, []db.Migrations{journal.Migrations, alarm.Migrations}, func(t *testing.T, d *db.DB) {
		s := &alarm.Service{Journal: journaltest.New(t, d)}
		ctx := db.WithScope(t.Context(), db.Scope{Account: "1", Region: "r"})
		for i, step := range []struct {
			firing bool
			change alarm.Change
			count  int64
		}{
			{false, alarm.Nothing, 0}, {true, alarm.Fired, 1}, {true, alarm.Repeated, 2}, {false, alarm.Cleared, 2}, {false, alarm.Nothing, 2}, {true, alarm.Fired, 1},
		} {
			err := d.Update(ctx, func(tx *db.Tx) error {
				a, change, err := s.Note(tx, alarm.Signal{Key: "k", Name: "n", Source: "tests", Firing: step.firing, Payload: "{}"})
				if change != step.change || a.Count != step.count {
					t.Errorf("step %d: %s, %+v", i, change, a)
				}
				if err == nil && i == 1 {
					err = s.Attach(tx, "k", "incident", "item")
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := d.Update(ctx, func(tx *db.Tx) error {
			a, ok, err := alarm.Load(tx, "k")
			if !ok || a.Incident != "incident" || a.Item != "item" {
				t.Errorf("%+v", a)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
