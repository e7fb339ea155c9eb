package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/file"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	answerTimeout = 2 * time.Minute // from the end of the header to the end of the answer
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 20 * time.Second
	maxHeader     = 64 << 10
)

// Run serves the hub until ctx ends, then drains. It calls ready with the address
// once requests are answered.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(url string)) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	d, err := db.Open(ctx, cfg.dbURL())
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	h, err := compose(ctx, cfg, d, log)
	if err != nil {
		return err
	}
	return h.serve(ctx, ready)
}

// listeners are the ports of the hub.
type listeners struct {
	tls   net.Listener
	plain net.Listener // nil without --dev-http
	certs *certificates
}

func (h *hub) listen() (l listeners, err error) {
	ca, err := openAuthority(h.cfg.Data)
	if err != nil {
		return l, err
	}
	l.certs, err = newCertificates(ca, serverNames(h.cfg.Listen, append(h.cfg.domainNames(), h.cfg.names()...)))
	if err != nil {
		return l, err
	}
	tcp, err := net.Listen("tcp", h.cfg.Listen)
	if err != nil {
		return l, fmt.Errorf("--listen: %w", err)
	}
	l.tls = tls.NewListener(plane.BulkListener{Listener: limited{tcp, h.limits}}, l.certs.config())
	if h.cfg.DevHTTP == "" {
		return l, nil
	}
	plain, err := net.Listen("tcp", h.cfg.DevHTTP)
	if err != nil {
		return l, errors.Join(fmt.Errorf("--dev-http: %w", err), tcp.Close())
	}
	l.plain = limited{plain, h.limits}
	return l, nil
}

// serve runs the ports and the background work until ctx ends.
func (h *hub) serve(ctx context.Context, ready func(url string)) error {
	l, err := h.listen()
	if err != nil {
		return err
	}
	url := "https://" + reachable(l.tls.Addr())
	if err := file.Write(filepath.Join(h.cfg.Data, endpointFile), []byte(url+"\n"), 0o644); err != nil {
		return err
	}
	h.setURL(url)
	srv := &http.Server{
		Handler: h.handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug), // clients that break off handshakes
	}
	srv.RegisterOnShutdown(h.all.gateway.Drain)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	var work sync.WaitGroup
	failed := make(chan error, 2+len(h.background))
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	work.Go(func() { h.reloadOn(background, hangup, l.certs) })
	h.startBackground(background, &work, failed)
	for _, listener := range []net.Listener{l.tls, l.plain} {
		if listener != nil {
			go func() { failed <- srv.Serve(listener) }()
		}
	}
	h.ready.Store(true)
	ready(url)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, h.drain(srv, stopBackground, &work))
}

func (h *hub) startBackground(ctx context.Context, work *sync.WaitGroup, failed chan<- error) {
	for name, run := range h.background {
		work.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
}

// drain stops taking requests, lets those under way end, then stops the background.
func (h *hub) drain(srv *http.Server, stop func(), work *sync.WaitGroup) error {
	h.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	stop()
	work.Wait()
	return err
}

// Env gives the exports that point AWS clients at the hub of a data directory.
func Env(data string) ([]string, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	url, err := os.ReadFile(filepath.Join(data, endpointFile))
	if err != nil {
		return nil, fmt.Errorf("no hub has run on %s: %w", data, err)
	}
	region, err := os.ReadFile(filepath.Join(data, regionFile))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", strings.TrimSpace(string(url))},
		{"AWS_CA_BUNDLE", filepath.Join(data, caFile)},
		{"AWS_SHARED_CREDENTIALS_FILE", filepath.Join(data, credentialsFile)},
		{"AWS_REGION", strings.TrimSpace(string(region))},
		{"AWS_DEFAULT_REGION", strings.TrimSpace(string(region))},
	} {
		out = append(out, "export "+v[0]+"='"+strings.ReplaceAll(v[1], "'", `'\''`)+"'")
	}
	return out, nil
}

// VerifyAudit checks the journal of a data directory and writes what it found. A
// problem is an error.
func VerifyAudit(ctx context.Context, data, url string, w io.Writer) error {
	cfg := Config{Data: data, DB: url, Account: DefaultAccount, Regions: []string{DefaultRegion}}
	if err := cfg.check(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, caFile)); err != nil {
		return fmt.Errorf("no hub has run on %s: %w", cfg.Data, err)
	}
	d, err := db.Open(ctx, cfg.dbURL())
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	signer, err := journal.OpenSigner(cfg.Data)
	if err != nil {
		return err
	}
	rep, err := journal.New(d, signer, slog.Default()).Verify(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "%d facts, %d signed checkpoints, root %s\n", rep.Facts, rep.Checkpoints, rep.Root)
	for _, p := range rep.Problems {
		_, _ = fmt.Fprintln(w, "PROBLEM: "+p)
	}
	if len(rep.Problems) > 0 {
		return fmt.Errorf("the journal has %d problems", len(rep.Problems))
	}
	return nil
}
