package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const (
	benchID     = "AKIABENCHBENCHBENCH0"
	benchSecret = "bench-secret-bench-secret-bench-secret-0"
	benchConns  = 16
)

// openBench composes a hub whose background work runs.
func openBench(b *testing.B) *hub {
	cfg := Config{Data: b.TempDir(), Account: DefaultAccount, Regions: []string{DefaultRegion}, AdminKey: benchID + ":" + benchSecret}
	if err := cfg.check(); err != nil {
		b.Fatal(err)
	}
	d, err := db.Open(b.Context(), cfg.dbURL())
	if err != nil {
		b.Fatal(err)
	}
	h, err := compose(b.Context(), cfg, d, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	var work sync.WaitGroup
	h.startBackground(ctx, &work, make(chan error, len(h.background)))
	b.Cleanup(func() {
		stop()
		work.Wait()
		_ = d.Close()
	})
	return h
}

func benchRequest(b *testing.B, host, operation, body string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "http://"+host+"/", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
	if err := sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: benchID, SecretAccessKey: benchSecret}, "ssm", DefaultRegion, time.Now()); err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkGetParameter is the whole path of a read, without the network and with it.
func BenchmarkGetParameter(b *testing.B) {
	h := openBench(b)
	handler := h.handler()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	host := srv.Listener.Addr().String()
	put := httptest.NewRecorder()
	handler.ServeHTTP(put, benchRequest(b, host, "PutParameter", `{"Name":"/bench/p","Value":"a value","Type":"String"}`))
	if put.Code != http.StatusOK {
		b.Fatal(put.Body)
	}
	const body = `{"Name":"/bench/p"}`
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		r := benchRequest(b, host, "GetParameter", body)
		for b.Loop() {
			w := httptest.NewRecorder()
			r.Body = io.NopCloser(strings.NewReader(body))
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
		}
	})
	b.Run("http", func(b *testing.B) {
		var text strings.Builder
		if err := benchRequest(b, host, "GetParameter", body).Write(&text); err != nil {
			b.Fatal(err)
		}
		b.SetParallelism(benchConns / 2)
		b.RunParallel(func(pb *testing.PB) {
			if err := benchLoop(pb, host, text.String()); err != nil {
				b.Error(err)
			}
		})
	})
}

func benchLoop(pb *testing.PB, host, request string) error {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for pb.Next() {
		if _, err := io.WriteString(c, request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
	}
	return nil
}
