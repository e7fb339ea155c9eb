package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/cli/plane"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

const (
	ownSessions   = 30 // a node has at most 32
	stockSessions = 20
)

// benchSessions measures the memory that open sessions of shells cost the hub, each
// kind at a hub of its own.
func benchSessions(ctx context.Context, dir string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	own, err := heldAt(ctx, filepath.Join(dir, "own"), ownSessions, (*world).openOwn)
	if err != nil {
		return nil, err
	}
	out := []result{{fmt.Sprintf("%d idle shells of our own data plane, resident memory of the hub", ownSessions), fmt.Sprintf("%.0f KB each", own), "-", "-", "-", true}}
	if stockPlugin() == "" {
		fmt.Fprintln(os.Stderr, "sessions: no session-manager-plugin, its row is missing")
		return out, nil
	}
	stock, err := heldAt(ctx, filepath.Join(dir, "stock"), stockSessions, (*world).openStock)
	if err != nil {
		return nil, err
	}
	return append(out, result{fmt.Sprintf("%d idle shells of the stock plugin, resident memory of the hub", stockSessions), fmt.Sprintf("%.0f KB each", stock), "-", "-", "-", true}), nil
}

func heldAt(ctx context.Context, dir string, n int, open func(*world, context.Context) (func(), error)) (float64, error) {
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(dir, 0o755)); err != nil {
		return 0, err
	}
	w, stop, err := newWorld(ctx, dir)
	defer stop()
	if err != nil {
		return 0, err
	}
	return w.held(ctx, n, func(ctx context.Context) (func(), error) { return open(w, ctx) })
}

// held opens sessions one after another and gives what each adds, in KB. One goes
// before, for what all share.
func (w *world) held(ctx context.Context, n int, open func(context.Context) (func(), error)) (float64, error) {
	var before float64
	for i := range n + 1 {
		end, err := open(ctx)
		if err != nil {
			return 0, err
		}
		defer end()
		if i > 0 {
			continue
		}
		<-time.After(settle)
		if before, err = w.rss(); err != nil {
			return 0, err
		}
	}
	<-time.After(settle)
	after, err := w.rss()
	return (after - before) * 1024 * 1.024 / float64(n), err
}

// openOwn opens a shell and takes its prompt.
func (w *world) openOwn(ctx context.Context) (func(), error) {
	s, err := plane.Open(ctx, w.client, plane.Request{Target: w.node})
	if err != nil {
		return nil, err
	}
	st, _, err := s.Open(ctx, wire.Open{Kind: wire.Shell, Cols: 80, Rows: 24})
	if err != nil {
		s.Close()
		return nil, err
	}
	f, err := st.Next()
	if err != nil {
		s.Close()
		return nil, err
	}
	f.Release()
	return s.Close, nil
}

func (w *world) openStock(ctx context.Context) (func(), error) {
	t, err := w.stock(ctx, &ssm.StartSessionInput{})
	if err != nil {
		return nil, err
	}
	return t.close, t.expect(ctx, "$ ")
}
