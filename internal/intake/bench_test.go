package intake_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
)

// BenchmarkIntake delivers alarms over loopback HTTP to a store on disk: 64
// senders, 200 alarms that stand. One iteration is one alarm, durable.
func BenchmarkIntake(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprintf("alarms=%d", size), func(b *testing.B) { benchmark(b, size) })
	}
}

func benchmark(b *testing.B, size int) {
	const keys = 200
	d := dbtest.SQLite(b, migrations...)
	j := journaltest.New(b, d)
	journaltest.Start(b, j)
	s := newService(b, d, j, alarm.New(alarm.Service{Journal: j}), &incidents{open: map[string]string{}}, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(s)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	bodies := make([]string, keys)
	for i := range bodies {
		var alerts []string
		for k := range size {
			alerts = append(alerts, alert("firing", "page", fmt.Sprint("key", (i+k)%keys)))
		}
		bodies[i] = delivery(alerts...)
	}
	var next atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			if n%int64(size) != 0 {
				continue
			}
			resp, err := client.Post(server.URL+"/intake/alertmanager/"+amKey, "application/json", strings.NewReader(bodies[n/int64(size)%keys]))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Errorf("status %d", resp.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alarms/s")
}
