package hubtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/channel/inbox"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/server"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// What every hub of a test has.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

// Admin is the first administrator's key.
var Admin = sigv4.Credentials{AccessKeyID: "AKIAADMINADMINADMIN1", SecretAccessKey: "admin-secret-admin-secret-admin-secret-1"}

// Models are the services of a hub.
var Models = []*shape.Model{ssm.Model, incidents.Model, contacts.Model, sts.Model, watchbill.Model, kms.Model, logs.Model}

// Hub is a hub under test.
type Hub struct {
	Data  string // its directory
	Store string // address of its store
	URL   string
	Log   *Log

	http  *http.Client
	stop  context.CancelFunc
	ended chan error
}

// Log keeps what a hub wrote.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Each runs f on a hub over SQLite and on one over PostgreSQL. Files are put into
// the data directory before the start, by name.
func Each(t *testing.T, files map[string]string, f func(t *testing.T, h *Hub)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Start(t, "", files)) })
	t.Run("postgres", func(t *testing.T) {
		if os.Getenv(dbtest.PostgresVariable) == "" {
			t.Skipf("%s is not set: this test ran on SQLite only", dbtest.PostgresVariable)
		}
		f(t, Start(t, dbtest.PostgresURL(t), files))
	})
}

// Start starts a hub in this process, on the store at the address, "" for a SQLite
// file in its directory. It ends with the test.
func Start(t testing.TB, store string, files map[string]string) *Hub {
	t.Helper()
	h := &Hub{Data: t.TempDir(), Store: store, Log: &Log{}}
	if store == "" {
		h.Store = "sqlite:" + filepath.Join(h.Data, "watchbill.db")
	}
	WriteFiles(t, h.Data, files)
	h.Begin(t, store)
	t.Cleanup(func() { h.End(t) })
	return h
}

// Attach is a hub that runs in another process, on a data directory.
func Attach(t testing.TB, data, store, url string) *Hub {
	t.Helper()
	return &Hub{Data: data, Store: store, URL: url, http: HTTP(t, filepath.Join(data, "ca.pem"))}
}

// WriteFiles puts files into a directory, readable by their owner alone.
func WriteFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Begin starts the hub, for the first time or again.
func (h *Hub) Begin(t testing.TB, store string) {
	t.Helper()
	cfg := server.Config{
		Data: h.Data, Listen: "127.0.0.1:0", DB: store, Account: Account, Regions: []string{Region, "eu-west-1"}, Version: "test",
		AdminKey: Admin.AccessKeyID + ":" + Admin.SecretAccessKey, StageUnit: 100 * time.Millisecond,
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	log := slog.New(slog.NewJSONHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() { ended <- server.Run(ctx, cfg, log, func(url string) { ready <- url }) }()
	h.stop, h.ended = stop, ended
	select {
	case h.URL = <-ready:
	case err := <-ended:
		t.Fatalf("the hub did not start: %v\n%s", err, h.Log)
	}
	h.http = HTTP(t, filepath.Join(h.Data, "ca.pem"))
}

// End drains the hub; once is enough.
func (h *Hub) End(t testing.TB) {
	t.Helper()
	if h.stop == nil {
		return
	}
	h.http.CloseIdleConnections()
	h.stop()
	h.stop = nil
	if err := <-h.ended; err != nil {
		t.Errorf("the hub ended with %v", err)
	}
}

// HTTP is a client that trusts a hub's authority and no other.
func HTTP(t testing.TB, caFile string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64, DisableCompression: true}
	return &http.Client{Transport: transport, Timeout: 60 * time.Second}
}

// Client calls the hub as the holder of the credentials. It does not repeat calls.
func (h *Hub) Client(t testing.TB, c sigv4.Credentials) *client.Client {
	t.Helper()
	out, err := client.New(client.Config{
		Endpoint: h.URL, Region: Region, HTTP: h.http, Models: Models, Attempts: 1, Timeout: time.Minute,
		Credentials: func(context.Context) (sigv4.Credentials, error) { return c, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Must calls an operation as the administrator; it has to succeed.
func (h *Hub) Must(t testing.TB, service, operation string, in, out any) {
	t.Helper()
	if err := h.Client(t, Admin).Call(t.Context(), service, operation, in, out); err != nil {
		t.Fatalf("%s:%s: %v", service, operation, err)
	}
}

// Call calls an operation as the administrator.
func (h *Hub) Call(t testing.TB) Call {
	c := h.Client(t, Admin)
	return func(service, operation string, in, out any) error {
		return c.Call(t.Context(), service, operation, in, out)
	}
}

// Get gets a page of the hub that is not the API's.
func (h *Hub) Get(t testing.TB, path string) (int, string) {
	t.Helper()
	res, err := h.http.Get(h.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// Inbox reads the inbox of an address.
func (h *Hub) Inbox(t testing.TB) func(address string) ([]inbox.Message, error) {
	return func(address string) ([]inbox.Message, error) {
		return ReadInbox(t.Context(), h.http, h.URL, address)
	}
}

// Post posts nothing to a page of the hub that is not the API's.
func (h *Hub) Post(t testing.TB, path string) (int, string) {
	t.Helper()
	res, err := h.http.Post(h.URL+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
