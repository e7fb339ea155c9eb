package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

const (
	stockBytes = 8 << 20
	stockExits = 5
	stockLimit = 0.84 // MiB/s. Source: agent-protocol.md, what the stock plugin manages
)

// stockPlugin is the stock session-manager-plugin, "" when it is not built.
func stockPlugin() string {
	path := os.Getenv("WATCHBILL_BENCH_PLUGIN")
	if path == "" {
		path, _ = filepath.Abs(".tools/session-manager-plugin")
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// benchStock measures the stock plugin: a tunnel, and how soon it ends after exit.
func benchStock(ctx context.Context, dir string) ([]result, error) {
	if stockPlugin() == "" {
		fmt.Fprintln(os.Stderr, "stock: no session-manager-plugin, run make .tools/session-manager-plugin; its rows are missing")
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	w, stop, err := newWorld(ctx, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	exit, err := w.stockExit(ctx)
	if err != nil {
		return nil, err
	}
	rate, err := w.stockTunnel(ctx)
	if err != nil {
		return nil, err
	}
	return []result{
		{
			"exit typed in a shell of the stock plugin, to the plugin's end, worst of " + fmt.Sprint(stockExits),
			fmt.Sprintf("%.0f ms", ms(exit)), "limit 100 ms", ratio(100, ms(exit)), "under 100 ms", ms(exit) < 100,
		},
		{
			fmt.Sprintf("tunnel of the stock plugin, one stream from the node, %d MiB", stockBytes>>20),
			fmt.Sprintf("%.2f MiB/s", rate), fmt.Sprintf("limit %.2f MiB/s", stockLimit), ratio(rate, stockLimit), "no slower", rate >= stockLimit,
		},
	}, nil
}

// stock opens a session with the plugin as the aws CLI starts it.
func (w *world) stock(ctx context.Context, in *ssm.StartSessionInput) (*terminal, error) {
	in.Target = &w.node
	var out ssm.StartSessionOutput
	if err := w.client.Call(ctx, "ssm", "StartSession", in, &out); err != nil {
		return nil, err
	}
	response, err := json.Marshal(map[string]string{"SessionId": *out.SessionId, "TokenValue": *out.TokenValue, "StreamUrl": *out.StreamUrl})
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(map[string]any{"Target": w.node, "DocumentName": in.DocumentName, "Parameters": in.Parameters})
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, stockPlugin(), string(response), region, "StartSession", "", string(request), w.https)
	c.Dir = w.dir
	c.Env = append(w.environment(), "PATH=/usr/bin:/bin", "HOME="+w.dir, "TERM=xterm", "AWS_EC2_METADATA_DISABLED=true",
		"SSL_CERT_FILE="+filepath.Join(w.dir, "hub", "ca.pem"))
	return openTerminal(c)
}

// stockExit is the longest time from exit to the end of the plugin.
func (w *world) stockExit(ctx context.Context) (worst time.Duration, err error) {
	for range stockExits {
		t, err := w.stock(ctx, &ssm.StartSessionInput{})
		if err != nil {
			return 0, err
		}
		took, err := exitOf(ctx, t)
		t.close()
		if err != nil {
			return 0, err
		}
		worst = max(worst, took)
	}
	return worst, nil
}

func exitOf(ctx context.Context, t *terminal) (time.Duration, error) {
	if err := t.expect(ctx, "$ "); err != nil {
		return 0, err
	}
	if err := t.typed("echo rea''dy\n"); err != nil {
		return 0, err
	}
	if err := t.expect(ctx, "ready"); err != nil {
		return 0, err
	}
	if err := t.expect(ctx, "$ "); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := t.typed("exit\n"); err != nil {
		return 0, err
	}
	err := t.over(ctx)
	return time.Since(began), err
}

// stockTunnel is the rate of a tunnel of the plugin in MiB/s.
func (w *world) stockTunnel(ctx context.Context) (float64, error) {
	port, stop, err := startSource()
	if err != nil {
		return 0, err
	}
	defer stop()
	address, err := freePort()
	if err != nil {
		return 0, err
	}
	t, err := w.stock(ctx, &ssm.StartSessionInput{
		DocumentName: new("AWS-StartPortForwardingSession"),
		Parameters:   map[string][]string{"portNumber": {port}, "localPortNumber": {address[len("127.0.0.1:"):]}},
	})
	if err != nil {
		return 0, err
	}
	defer t.close()
	if err := t.expect(ctx, "Waiting for connections..."); err != nil {
		return 0, err
	}
	return transfer(address, fromNode, stockBytes)
}
