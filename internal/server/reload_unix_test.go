//go:build unix

package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/platform/file"
)

// At SIGHUP the hub takes the authority that is in its directory then, and stays with
// the one it has when that cannot be read.
func TestReloadAtHangup(t *testing.T) {
	cfg := Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Account: DefaultAccount, Regions: []string{DefaultRegion}}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, cfg, slog.New(slog.DiscardHandler), func(url string) { ready <- url })
	}()
	var address string
	select {
	case url := <-ready:
		address = strings.TrimPrefix(url, "https://")
	case err := <-ended:
		t.Fatal(err)
	}
	trusted := func() bool {
		pem, err := os.ReadFile(filepath.Join(cfg.Data, caFile))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	hangup := func(done func() bool) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.After(30 * time.Second); !done(); {
			select {
			case <-end:
				t.Fatal("the hub did not read its files")
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if !trusted() {
		t.Fatal("the hub is not what its directory says")
	}
	if _, err := makeAuthority(cfg.Data); err != nil {
		t.Fatal(err)
	}
	if trusted() {
		t.Error("the new authority was taken without a signal")
	}
	hangup(trusted)
	good, err := os.ReadFile(filepath.Join(cfg.Data, caFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Write(filepath.Join(cfg.Data, caFile), []byte("rubbish"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := file.Write(filepath.Join(cfg.Data, caFile), good, 0o644); err != nil {
		t.Fatal(err)
	}
	hangup(trusted)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
