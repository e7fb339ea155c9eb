package intake_test

import (
	stdcmp "cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/intake"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	account = "123456789012"
	amKey   = "alertmanager-key-0123456789"
	cwKey   = "cloudwatch-key-0123456789"
	plan    = "arn:aws:ssm-incidents::123456789012:response-plan/web"
)

const config = `
integrations:
  - name: prod
    kind: alertmanager
    key: ` + amKey + `
    rules:
      - match: {severity: page}
        response_plan: ` + plan + `
      - match: {severity: gone}
        response_plan: arn:aws:ssm-incidents::123456789012:response-plan/gone
      - match: {severity: info}
        silence: true
  - name: aws
    kind: cloudwatch
    key: ` + cwKey + `
    default: {response_plan: ` + plan + `}
`

var migrations = []db.Migrations{journal.Migrations, tagging.Migrations, opsitem.Migrations, alarm.Migrations}

// incidents keeps one open incident for each key.
type incidents struct {
	mu     sync.Mutex
	open   map[string]string
	starts []intake.IncidentSignal
	notes  []intake.Note
	broken error
}

func (i *incidents) StartFromAlarm(_ context.Context, tx *db.Tx, in intake.IncidentSignal) (string, bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.broken != nil {
		return "", false, i.broken
	}
	if in.ResponsePlanARN != plan {
		_, err := tx.Exec("update alarm_alarm set owner = 'half done'")
		return "", false, stdcmp.Or(err, error(fault.NotFound("ResourceNotFoundException", "there is no such plan")))
	}
	i.starts = append(i.starts, in)
	if arn, ok := i.open[in.DedupeKey]; ok {
		return arn, false, nil
	}
	arn := fmt.Sprintf("arn:aws:ssm-incidents::123456789012:incident-record/web/%d", len(i.open)+1)
	i.open[in.DedupeKey] = arn
	return arn, true, nil
}

func (i *incidents) NoteAlarm(_ context.Context, _ *db.Tx, _ string, n intake.Note) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.notes = append(i.notes, n)
	return true, nil
}

type world struct {
	*testing.T
	db        *db.DB
	journal   *journal.Journal
	alarms    *alarm.Service
	incidents *incidents
	service   *intake.Service
	log       *strings.Builder
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{T: t, db: d, journal: journaltest.New(t, d), incidents: &incidents{open: map[string]string{}}, log: &strings.Builder{}}
	w.alarms = alarm.New(alarm.Service{Journal: w.journal})
	w.service = newService(t, d, w.journal, w.alarms, w.incidents, slog.New(slog.NewTextHandler(w.log, nil)))
	return w
}

func newService(t testing.TB, d *db.DB, j *journal.Journal, alarms *alarm.Service, i intake.Incidents, log *slog.Logger) *intake.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "intake.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := intake.OpenFile(path, intake.Scopes{Account: account, Regions: []string{"us-east-1"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	return intake.New(intake.Service{
		DB: d, Journal: j, Alarms: alarms, Incidents: i, OpsItems: intake.OpsCenter{Items: opsitem.New(opsitem.Service{DB: d, Journal: j})},
		Config: f.Config, Account: account, Egress: http.DefaultClient, Log: log,
	})
}

// post delivers and returns the status and the body of the answer.
func (w *world) post(path, body string, header ...string) (int, string) {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.service.ServeHTTP(rec, r)
	answer, _ := io.ReadAll(rec.Body)
	return rec.Code, strings.TrimSpace(string(answer))
}

func (w *world) deliver(body, want string) {
	w.Helper()
	if code, answer := w.post("/intake/alertmanager/"+amKey, body); code != 200 || answer != want {
		w.Fatalf("%d %s, want %s", code, answer, want)
	}
}

func (w *world) entry(integration, key string) *alarm.Entry {
	w.Helper()
	var e *alarm.Entry
	ctx := db.WithScope(w.Context(), db.Scope{Account: account, Region: "us-east-1"})
	err := w.db.View(ctx, func(tx *db.Tx) (err error) {
		e, err = w.alarms.Get(tx, integration, key)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// facts are the kinds that were recorded.
func (w *world) facts() string {
	w.Helper()
	var kinds []string
	err := w.db.View(w.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query("select kind from journal_row order by id")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var k string
			if err := rows.Scan(&k); err != nil {
				return err
			}
			kinds = append(kinds, k)
		}
		return rows.Err()
	})
	if err != nil {
		w.Fatal(err)
	}
	return strings.Join(kinds, " ")
}

func each(t *testing.T, f func(w *world)) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) { f(newWorld(t, d)) })
}

func alert(status, severity, key string) string {
	return fmt.Sprintf(`{"status":%q,"labels":{"alertname":"Burns","severity":%q},"annotations":{"summary":"it burns"},"startsAt":"2026-07-01T12:00:00Z","endsAt":"2026-07-01T12:05:00Z","fingerprint":%q}`, status, severity, key)
}

func delivery(alerts ...string) string {
	return `{"version":"4","status":"firing","alerts":[` + strings.Join(alerts, ",") + `]}`
}

func TestAlarmBecomesAnIncident(t *testing.T) {
	each(t, func(w *world) {
		w.deliver(delivery(alert("firing", "page", "a")), `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
		w.deliver(delivery(alert("firing", "page", "a")), `{"accepted":1,"opened":0,"folded":1,"resolved":0}`)
		w.deliver(delivery(alert("resolved", "page", "a"), alert("firing", "page", "b")), `{"accepted":2,"opened":1,"folded":0,"resolved":1}`)
		if n := len(w.incidents.starts); n != 2 {
			w.Fatalf("%d starts", n)
		}
		in := w.incidents.starts[0]
		if in.DedupeKey != "alarm/prod/a" || in.Title != "it burns" || in.TriggerSource != "alertmanager" || !json.Valid([]byte(in.RawData)) {
			w.Errorf("%+v", in)
		}
		e := w.entry("prod", "a")
		if e.State != alarm.OK || e.Deliveries != 3 || e.Reference != w.incidents.open["alarm/prod/a"] {
			w.Errorf("%+v", e)
		}
		if len(w.incidents.notes) != 1 || w.incidents.notes[0].Alarm != "alarm/prod/a" || w.incidents.notes[0].State != alarm.OK {
			w.Errorf("%+v", w.incidents.notes)
		}
		if got := w.facts(); got != "alarm.opened alarm.resolved alarm.opened" {
			w.Error(got)
		}
	})
}

func TestAlarmWithoutARuleOpensAnOpsItem(t *testing.T) {
	each(t, func(w *world) {
		w.deliver(delivery(alert("firing", "odd", "a"), alert("firing", "odd", "b"), alert("firing", "info", "c")), `{"accepted":3,"opened":3,"folded":0,"resolved":0}`)
		if a, b, c := w.entry("prod", "a"), w.entry("prod", "b"), w.entry("prod", "c"); !strings.HasPrefix(a.Reference, "oi-") || b.Reference == a.Reference || c.Reference != "" {
			w.Errorf("%q %q %q", a.Reference, b.Reference, c.Reference)
		}
		if len(w.incidents.starts) != 0 {
			w.Error("an incident was started")
		}
	})
}

func TestUnusablePlanOpensAnOpsItem(t *testing.T) {
	each(t, func(w *world) {
		w.deliver(delivery(alert("firing", "gone", "a")), `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
		if e := w.entry("prod", "a"); !strings.HasPrefix(e.Reference, "oi-") || e.Owner != "" {
			w.Fatalf("%+v", e)
		}
	})
}

func TestStoreRefuses(t *testing.T) {
	each(t, func(w *world) {
		w.incidents.broken = io.ErrUnexpectedEOF
		rec := httptest.NewRecorder()
		w.service.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/intake/alertmanager/"+amKey, strings.NewReader(delivery(alert("firing", "odd", "a"), alert("firing", "page", "b")))))
		if rec.Code != 503 || rec.Header().Get("Retry-After") == "" || strings.Contains(rec.Body.String(), "EOF") {
			w.Fatal(rec.Code, rec.Body)
		}
		if w.entry("prod", "a") != nil || w.facts() != "" {
			w.Fatal("half of a delivery was taken")
		}
		w.incidents.broken = nil
		w.db.Freeze(db.ErrFull)
		if code, _ := w.post("/intake/alertmanager/"+amKey, delivery(alert("firing", "odd", "a"))); code != 503 {
			w.Fatal(code)
		}
		w.db.Freeze(nil)
		w.deliver(delivery(alert("firing", "odd", "a")), `{"accepted":1,"opened":1,"folded":0,"resolved":0}`)
	})
}

func TestKeys(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, migrations...))
	_, want := w.post("/intake/alertmanager/wrong", "{")
	for _, c := range [][]string{
		{"/intake/alertmanager/"},
		{"/intake/alertmanager"},
		{"/intake/"},
		{"/intake/cloudwatch/" + amKey},
		{"/intake/other/" + amKey},
		{"/intake/alertmanager/" + amKey + "/"},
		{"/intake/alertmanager", "Authorization", "Bearer wrong"},
		{"/intake/alertmanager", "Authorization", "Basic " + amKey},
		{"/intake/alertmanager", "Authorization", "Bearer"},
		{"/intake/alertmanager/wrong", "Authorization", "Bearer " + amKey},
		{"/intake/alertmanager/" + strings.ToUpper(amKey)},
	} {
		if code, got := w.post(c[0], "{", c[1:]...); code != 401 || got != want {
			t.Errorf("%v: %d %s", c, code, got)
		}
	}
	if code, _ := w.post("/intake/alertmanager", delivery(), "Authorization", "bearer "+amKey); code != 200 {
		t.Errorf("a bearer token: %d", code)
	}
	if strings.Contains(w.log.String(), amKey) {
		t.Error("a key is in the log")
	}
}

func TestBadDeliveriesChangeNothing(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, migrations...))
	for name, c := range map[string]struct {
		path, body string
		header     []string
		code       int
		want       string
	}{
		"not JSON":    {"alertmanager/" + amKey, "status=firing", nil, 400, `{"error":"BadDelivery","message":"not well-formed JSON at byte`},
		"wrong type":  {"alertmanager/" + amKey, delivery(alert("firing", "page", "a"), `{"labels":3}`), nil, 400, `{"error":"BadDelivery","message":"alerts[1].labels must be an object"}`},
		"too large":   {"alertmanager/" + amKey, strings.Repeat(" ", intake.MaxBody+1), nil, 413, `{"error":"TooLarge"`},
		"compressed":  {"alertmanager/" + amKey, "{}", []string{"Content-Encoding", "gzip"}, 415, `{"error":"UnsupportedEncoding"`},
		"cloudwatch":  {"cloudwatch/" + cwKey, "{}", nil, 400, `{"error":"BadDelivery","message":"this is neither`},
		"bad message": {"cloudwatch/" + cwKey, `{"Type":"Notification","Message":"{\"AlarmName\":\"a\"}"}`, nil, 400, `{"error":"BadDelivery","message":"in Message: NewStateValue is missing"}`},
	} {
		code, got := w.post("/intake/"+c.path, c.body, c.header...)
		if code != c.code || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %d %s, want %d %s", name, code, got, c.code, c.want)
		}
	}
	rec := httptest.NewRecorder()
	w.service.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/intake/alertmanager/"+amKey, nil))
	if rec.Code != 405 || rec.Header().Get("Allow") != "POST" {
		t.Error(rec.Code, rec.Header())
	}
	if w.entry("prod", "a") != nil || w.facts() != "" {
		t.Error("a bad delivery changed the store")
	}
}

func TestHostileTexts(t *testing.T) {
	each(t, func(w *world) {
		long := strings.Repeat("x", 5000)
		w.deliver(delivery(`{"labels":{"a":"\u0000\ud800","b\u0000":"\"<script>"},"fingerprint":"`+long+`"}`, `{"labels":{"severity":"page","l":"`+strings.Repeat("é", 20_000)+`"}}`),
			`{"accepted":2,"opened":2,"folded":0,"resolved":0}`)
		if raw := w.incidents.starts[0].RawData; len([]rune(raw)) > 10_000 || !json.Valid([]byte(raw)) || !strings.Contains(raw, `"cut":true`) {
			w.Errorf("%d characters: %.200s", len([]rune(raw)), raw)
		}
	})
}

func TestCloudWatch(t *testing.T) {
	each(t, func(w *world) {
		const key = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:web-5xx"
		for _, step := range [][2]string{{"sns.json", `"opened":1`}, {"sns.json", `"folded":1`}, {"eventbridge.json", `"resolved":1`}} {
			body, err := os.ReadFile("cloudwatch/testdata/" + step[0])
			if err != nil {
				w.Fatal(err)
			}
			if code, got := w.post("/intake/cloudwatch/"+cwKey, string(body)); code != 200 || !strings.Contains(got, step[1]) {
				w.Fatal(code, got)
			}
		}
		if in := w.incidents.starts[0]; in.TriggerSource != "aws.cloudwatch" || in.TriggerARN != key || in.DedupeKey != "alarm/aws/"+key {
			w.Errorf("%+v", in)
		}
		if len(w.incidents.notes) != 1 {
			w.Errorf("%+v", w.incidents.notes)
		}
	})
}

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSubscription(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, migrations...))
	var fetched []string
	status := 200
	w.service.Egress = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		fetched = append(fetched, r.URL.Host)
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	})}
	confirm := func(host string) (int, string) {
		return w.post("/intake/cloudwatch/"+cwKey, `{"Type":"SubscriptionConfirmation","TopicArn":"arn:t","SubscribeURL":"https://`+host+`/?Action=ConfirmSubscription&Token=tokentoken"}`)
	}
	if code, got := confirm("sns.us-east-1.amazonaws.com"); code != 200 || got != `{"subscription":"confirmed"}` {
		t.Error(code, got)
	}
	if code, got := confirm("sns.us-east-1.amazonaws.com.example.com"); code != 200 || got != `{"subscription":"refused"}` {
		t.Error(code, got)
	}
	status = 500
	if code, _ := confirm("sns.eu-west-1.amazonaws.com"); code != 503 {
		t.Error(code)
	}
	if code, got := w.post("/intake/cloudwatch/"+cwKey, `{"Type":"UnsubscribeConfirmation","TopicArn":"arn:t"}`); code != 200 || got != `{"subscription":"ended"}` {
		t.Error(code, got)
	}
	if got := strings.Join(fetched, " "); got != "sns.us-east-1.amazonaws.com sns.eu-west-1.amazonaws.com" {
		t.Error("fetched", got)
	}
	if got := strings.Count(w.facts(), "intake.subscription"); got != 5 {
		t.Errorf("%d facts", got)
	}
	if strings.Contains(w.log.String(), "tokentoken") {
		t.Error("the token is in the log")
	}
}

func TestStormKeepsExactCounts(t *testing.T) {
	each(t, func(w *world) {
		const deliveries, keys = 60, 5
		var wg sync.WaitGroup
		for i := range deliveries {
			wg.Go(func() {
				var alerts []string
				for k := range keys {
					alerts = append(alerts, alert("firing", "page", fmt.Sprint("k", (k+i)%keys)))
				}
				r := httptest.NewRequest(http.MethodPost, "/intake/alertmanager/"+amKey, strings.NewReader(delivery(alerts...)))
				rec := httptest.NewRecorder()
				if w.service.ServeHTTP(rec, r); rec.Code != 200 {
					t.Error(rec.Code, rec.Body)
				}
			})
		}
		wg.Wait()
		if n := len(w.incidents.open); n != keys {
			w.Errorf("%d incidents, want %d", n, keys)
		}
		for k := range keys {
			if e := w.entry("prod", fmt.Sprint("k", k)); e.Deliveries != deliveries || e.Opened != 1 {
				w.Errorf("%+v", e)
			}
		}
	})
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, migrations...))
	w.deliver(delivery(alert("firing", "page", "a"), alert("firing", "page", "b")), `{"accepted":2,"opened":2,"folded":0,"resolved":0}`)
	w.post("/intake/alertmanager/"+amKey, "{")
	w.post("/intake/alertmanager/wrong", "{")
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.service.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()] += m.GetCounter().GetValue()
		}
	}
	if want := map[string]float64{"opened": 2, "folded": 0, "resolved": 0, "200": 1, "400": 1, "401": 1}; !cmp.Equal(want, got) {
		t.Error(cmp.Diff(want, got))
	}
}
