package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const (
	pagedAlarms = 60
	alarmKeys   = 500
	alarmsFor   = 5 * time.Second
)

// delivery is what Alertmanager posts for one alert that fires.
func delivery(host, key string, page bool) ([]byte, error) {
	yes := "no"
	if page {
		yes = "yes"
	}
	labels := fmt.Sprintf(`{"alertname":"Bench","severity":"critical","instance":%q,"page":%q}`, key, yes)
	body := fmt.Sprintf(`{"version":"4","groupKey":"{}:{alertname=\"Bench\"}","truncatedAlerts":0,"status":"firing","receiver":"watchbill",
"groupLabels":{"alertname":"Bench"},"commonLabels":%[1]s,"commonAnnotations":{"summary":"bench %[2]s"},"externalURL":"http://alertmanager.example.org:9093",
"alerts":[{"status":"firing","labels":%[1]s,"annotations":{"summary":"bench %[2]s"},"startsAt":%[3]q,"endsAt":"0001-01-01T00:00:00Z",
"generatorURL":"http://prometheus.example.org:9090/graph","fingerprint":%[2]q}]}`, labels, key, time.Now().UTC().Format(time.RFC3339Nano))
	r, err := http.NewRequest(http.MethodPost, "http://"+host+"/intake/alertmanager/"+intakeKey, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	var b bytes.Buffer
	err = r.Write(&b)
	return b.Bytes(), err
}

// benchPage measures from the moment an alarm is sent to the moment its first page
// was handed to the channel, as the journal tells it: the fact page.sent is recorded
// after the channel took the page.
func benchPage(ctx context.Context, dir string) ([]result, error) {
	h, err := startIntake(ctx, dir)
	if err != nil {
		return nil, err
	}
	var sent []time.Time
	err = func() error {
		defer h.stop()
		c, err := net.Dial("tcp", h.http)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for i := range pagedAlarms {
			request, err := delivery(h.http, fmt.Sprintf("%016x", i+1), true)
			if err != nil {
				return err
			}
			sent = append(sent, time.Now())
			if err := once(c, in, request); err != nil {
				return err
			}
			<-time.After(100 * time.Millisecond)
		}
		return nil
	}()
	if err != nil {
		return nil, err
	}
	pages, err := facts(ctx, dir, "page.sent")
	if err != nil {
		return nil, err
	}
	if len(pages) != len(sent) {
		return nil, fmt.Errorf("%d alarms made %d pages", len(sent), len(pages))
	}
	took := make([]time.Duration, len(sent))
	for i := range sent {
		took[i] = pages[i].Sub(sent[i])
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	return []result{{
		"alarm sent to first page handed to the channel", fmt.Sprintf("p50 %v, p99 %v of %d", p50.Round(10*time.Microsecond), p99.Round(10*time.Microsecond), len(took)),
		"limit 50 ms", ratio(50, ms(p50)), "p50 under 50 ms", p50 > 0 && ms(p50) < 50,
	}}, nil
}

// openHubStore opens the store of a hub that has ended.
func openHubStore(ctx context.Context, dir string) (*db.DB, error) {
	return db.Open(ctx, "sqlite:"+filepath.Join(dir, "hub", "watchbill.db"))
}

// facts are the times of the facts of a kind, in the journal of a hub that has ended.
func facts(ctx context.Context, dir, kind string) (out []time.Time, err error) {
	d, err := openHubStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	err = d.View(ctx, func(tx *db.Tx) error {
		out, err = db.Rows(tx, "select at from journal_row where kind = $1 order by at", []any{kind}, func(r *sql.Rows) (time.Time, error) {
			var at int64
			err := r.Scan(&at)
			return db.FromMicros(at), err
		})
		return err
	})
	return out, err
}

// benchAlarms measures how many alarms a second are taken in, one in a request, kills
// the hub, and counts that each one that was answered is in the store.
func benchAlarms(ctx context.Context, dir string) ([]result, error) {
	h, err := startIntake(ctx, dir)
	if err != nil {
		return nil, err
	}
	requests := make([][]byte, alarmKeys)
	for i := range requests {
		if requests[i], err = delivery(h.http, fmt.Sprintf("%016x", i+1), i%50 == 0); err != nil {
			h.kill()
			return nil, err
		}
	}
	accepted, rate, p99, err := flood(h.http, requests)
	h.kill()
	if err != nil {
		return nil, err
	}
	kept, keys, err := countAlarms(ctx, dir)
	if err != nil {
		return nil, err
	}
	return []result{{
		fmt.Sprintf("alarms accepted, %d connections, one in a request, %d keys", connections, alarmKeys),
		fmt.Sprintf("%.0f/s, p99 %v; after kill -9 the store holds %d of %d in %d alarms", rate, p99.Round(10*time.Microsecond), kept, accepted, keys),
		"limit 2,000/s", ratio(rate, 2000), "2,000/s, none lost, folded", rate >= 2000 && kept == accepted && keys == alarmKeys,
	}}, nil
}

func flood(host string, requests [][]byte) (accepted int, rate float64, p99 time.Duration, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var lat []time.Duration
	began := time.Now()
	for k := range connections {
		wg.Go(func() {
			mine, e := one(host, requests, k*len(requests)/connections, began.Add(alarmsFor))
			mu.Lock()
			defer mu.Unlock()
			lat, err = append(lat, mine...), errors.Join(err, e)
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err != nil || len(lat) == 0 {
		return 0, 0, 0, err
	}
	slices.Sort(lat)
	return len(lat), float64(len(lat)) / took.Seconds(), lat[len(lat)*99/100], nil
}

func countAlarms(ctx context.Context, dir string) (deliveries, keys int, err error) {
	d, err := openHubStore(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = d.Close() }()
	err = d.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow("select coalesce(sum(deliveries), 0), count(*) from alarm_alarm").Scan(&deliveries, &keys)
	})
	return deliveries, keys, err
}
