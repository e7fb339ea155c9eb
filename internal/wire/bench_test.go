package wire_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/wire"
)

func benchRouter() *wire.Router {
	cfg := config()
	cfg.Authenticate = func(r *http.Request, _ []byte) (context.Context, string, error) { return r.Context(), "ssm", nil }
	return wire.NewRouter(cfg)
}

// The router alone: no network, no signature, no storage.
func BenchmarkServeGetParameter(b *testing.B) {
	rt := benchRouter()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"Name":"/prod/db/password","WithDecryption":true}`))
		r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
		w := httptest.NewRecorder()
		if rt.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body.String())
		}
	}
}

func BenchmarkCallGetParameter(b *testing.B) {
	rt := benchRouter()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.Call(b.Context(), "ssm", "GetParameter", []byte(`{"Name":"/prod/db/password"}`)); err != nil {
			b.Fatal(err)
		}
	}
}
