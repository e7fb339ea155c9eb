package alarm_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
)

var migrations = []db.Migrations{journal.Migrations, alarm.Migrations}

func scoped(t *testing.T) context.Context {
	return db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "us-east-1"})
}

func signal(state alarm.State, starts, ends time.Time) alarm.Signal {
	return alarm.Signal{
		Source: "alertmanager", Integration: "prod", Key: "k", State: state, Summary: "it burns", StartsAt: starts, EndsAt: ends,
		Labels: map[string]string{"alertname": "Burns", "severity": "page", "team": "fire"}, URL: "https://prometheus.example/graph",
	}
}

func update[T any](t *testing.T, d *db.DB, f func(tx *db.Tx) (T, error)) (out T) {
	t.Helper()
	err := d.Update(scoped(t), func(tx *db.Tx) (err error) {
		out, err = f(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func facts(t *testing.T, d *db.DB, j *journal.Journal) (out []string) {
	t.Helper()
	if err := j.Dispatch(scoped(t)); err != nil {
		t.Fatal(err)
	}
	rows := update(t, d, func(tx *db.Tx) ([]*journal.Row, error) { return j.About(tx, []string{"alarm/prod/k"}, 0, 100) })
	for _, r := range rows {
		var body struct{ Deliveries int64 }
		if err := r.Decode(&body); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(r.Kind, " ", body.Deliveries, " ", strings.Join(r.Related, ",")))
	}
	return out
}

func TestRegister(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		j := journaltest.New(t, d)
		s := alarm.New(alarm.Service{Journal: j})
		start := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
		observe := func(sig alarm.Signal) alarm.Transition {
			return update(t, d, func(tx *db.Tx) (alarm.Transition, error) { return s.Observe(tx, sig) })
		}
		if tr := observe(signal(alarm.Alarm, start, time.Time{})); tr.Change != alarm.Opened || !tr.Told {
			t.Fatalf("%+v", tr)
		}
		update(t, d, func(tx *db.Tx) (any, error) { return nil, s.Refer(tx, "prod", "k", "arn:x") })
		for range 5 {
			if tr := observe(signal(alarm.Alarm, start, time.Time{})); tr.Change != alarm.Folded || tr.Told || tr.Entry.Reference != "arn:x" {
				t.Fatalf("%+v", tr)
			}
		}
		if tr := observe(signal(alarm.OK, start, start.Add(time.Minute))); tr.Change != alarm.Resolved {
			t.Fatalf("%+v", tr)
		}
		want := []string{"alarm.opened 1 ", "alarm.resolved 6 arn:x"}
		if diff := cmp.Diff(want, facts(t, d, j)); diff != "" {
			t.Fatal(diff)
		}
		e := update(t, d, func(tx *db.Tx) (*alarm.Entry, error) { return s.Get(tx, "prod", "k") })
		if e.State != alarm.OK || e.Deliveries != 7 || !e.Since.Equal(start.Add(time.Minute)) || e.Owner != "fire" || e.Severity != "page" || e.Labels["alertname"] != "Burns" {
			t.Fatalf("%+v", e)
		}
		if n := len(update(t, d, func(tx *db.Tx) ([]*alarm.Entry, error) { return s.List(tx, alarm.Alarm, 10) })); n != 0 {
			t.Fatalf("%d alarms stand", n)
		}
	})
}

func TestRepeatsAreToldOncePerMinute(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		j := journaltest.New(t, d)
		s := alarm.New(alarm.Service{Journal: j})
		start := time.Now().Add(-time.Hour)
		now := time.Now().UTC().Truncate(time.Microsecond)
		for i := range 121 { // one each second
			update(t, d, func(tx *db.Tx) (any, error) {
				tx.Now = now.Add(time.Duration(i) * time.Second)
				return s.Observe(tx, signal(alarm.Alarm, start, time.Time{}))
			})
		}
		want := []string{"alarm.opened 1 ", "alarm.repeated 60 ", "alarm.repeated 60 "}
		if diff := cmp.Diff(want, facts(t, d, j)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestManyAtOnceOpenOnce(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := alarm.New(alarm.Service{Journal: journaltest.New(t, d)})
		changes := make(chan alarm.Change, 50)
		var wg sync.WaitGroup
		for range cap(changes) {
			wg.Go(func() {
				var change alarm.Change
				err := d.Update(scoped(t), func(tx *db.Tx) error {
					tr, err := s.Observe(tx, signal(alarm.Alarm, tx.Now.Add(-time.Hour), time.Time{}))
					change = tr.Change
					return err
				})
				if err != nil {
					t.Error(err)
				}
				changes <- change
			})
		}
		wg.Wait()
		close(changes)
		count := map[alarm.Change]int{}
		for c := range changes {
			count[c]++
		}
		if count[alarm.Opened] != 1 || count[alarm.Folded] != 49 {
			t.Fatal(count)
		}
		e := update(t, d, func(tx *db.Tx) (*alarm.Entry, error) { return s.Get(tx, "prod", "k") })
		if e.Deliveries != 50 {
			t.Fatalf("%d deliveries counted", e.Deliveries)
		}
	})
}

func TestHugeTextsAreCut(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := alarm.New(alarm.Service{Journal: journaltest.New(t, d)})
		sig := signal(alarm.Alarm, time.Now(), time.Time{})
		sig.Summary = strings.Repeat("é", 10_000)
		sig.Labels = map[string]string{}
		for i := range 1000 {
			sig.Labels[fmt.Sprintf("label%04d", i)] = strings.Repeat("x", 10_000)
		}
		tr := update(t, d, func(tx *db.Tx) (alarm.Transition, error) { return s.Observe(tx, sig) })
		if n := len(tr.Entry.Labels); n != 100 || len(tr.Entry.Summary) > 4096 || !strings.HasSuffix(tr.Entry.Summary, "é") {
			t.Fatalf("%d labels, %d bytes", n, len(tr.Entry.Summary))
		}
	})
}
