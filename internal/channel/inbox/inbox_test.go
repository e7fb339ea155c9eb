package inbox_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/channel/inbox"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t *testing.T, d *db.DB) *inbox.Inbox {
	t.Helper()
	b, err := inbox.New(d, []byte("a key of the tests, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var canary = engage.Page{
	ID: "p-1", Address: "ann@inbox.local", Sender: "tests", Subject: "It <b>burns</b>", Content: "Come", Code: "314159", Link: "https://hub/page/canary-token", At: time.UnixMicro(1).UTC(),
}

func TestDeliverOnceAndList(t *testing.T) {
	dbtest.Each(t, []db.Migrations{inbox.Migrations}, func(t *testing.T, d *db.DB) {
		b := open(t, d)
		for range 2 {
			if r, err := b.Deliver(t.Context(), canary); err != nil || !r.Delivered {
				t.Fatal(r, err)
			}
		}
		got, err := b.List(t.Context(), "ann@inbox.local", 10)
		want := []inbox.Message{{ID: "p-1", Address: "ann@inbox.local", Sender: "tests", Subject: "It <b>burns</b>", Content: "Come", Code: "314159", Link: canary.Link, At: canary.At}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		if got, err = b.List(t.Context(), "bob@inbox.local", 10); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
	})
}

func TestSecretsAreNotAtRest(t *testing.T) {
	dir := t.TempDir()
	d, err := db.Open(t.Context(), "sqlite:"+dir+"/x.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(t.Context(), []db.Migrations{inbox.Migrations}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, d).Deliver(t.Context(), canary); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(dir + "/x.db")
	if err != nil || strings.Contains(string(raw), "314159") || strings.Contains(string(raw), "canary-token") {
		t.Fatal("a secret is in the file", err)
	}
}

func TestListAnswersThisMachineOnly(t *testing.T) {
	b := open(t, dbtest.SQLite(t, inbox.Migrations))
	if _, err := b.Deliver(t.Context(), canary); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, host string
		want       int
		header     string
	}{
		{"127.0.0.1:1", "127.0.0.1:8443", 200, ""},
		{"[::1]:1", "localhost", 200, ""},
		{"192.0.2.1:1", "127.0.0.1", 403, ""},
		{"192.0.2.1:1", "127.0.0.1", 403, "X-Forwarded-For"},
		{"127.0.0.1:1", "attacker.example", 403, ""},
		{"127.0.0.1:1", "127.0.0.1", 403, "X-Forwarded-For"},
		{"127.0.0.1:1", "127.0.0.1", 403, "Forwarded"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/inbox/", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		if tt.header != "" {
			r.Header.Set(tt.header, "127.0.0.1")
		}
		w := httptest.NewRecorder()
		b.ListHandler(quiet).ServeHTTP(w, r)
		if w.Code != tt.want || w.Code == 200 && !strings.Contains(w.Body.String(), "It &lt;b&gt;burns") {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/inbox/", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	b.ListHandler(quiet).ServeHTTP(w, r)
	var got struct{ Messages []inbox.Message }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Messages) != 1 || got.Messages[0].Code != "314159" {
		t.Fatal(err, w.Body)
	}
}

// book is the far side of links: one page, acknowledged or not.
type book struct{ read time.Time }

func (b *book) OpenLink(_ context.Context, path string) (engage.Linked, error) {
	if path != "good" {
		return engage.Linked{}, engage.ErrLink
	}
	return engage.Linked{Subject: "<script>", Read: b.read}, nil
}

func (b *book) AcknowledgeLink(_ context.Context, path string) error {
	if path != "good" {
		return engage.ErrLink
	}
	b.read = time.UnixMicro(1)
	return nil
}

func TestLinkHandler(t *testing.T) {
	b := &book{}
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
		read         bool
	}{
		{"GET", "good", 200, "<button>", false},
		{"HEAD", "good", 200, "", false},
		{"GET", "bad", 404, "opens nothing", false},
		{"POST", "bad", 404, "opens nothing", false},
		{"DELETE", "good", 405, "", false},
		{"POST", "good", 200, "Acknowledged at", true},
		{"GET", "good", 200, "Acknowledged at", true},
	} {
		w := httptest.NewRecorder()
		inbox.LinkHandler(b, quiet).ServeHTTP(w, httptest.NewRequest(tt.method, engage.LinkPath+tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) || b.read.IsZero() == tt.read || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}
