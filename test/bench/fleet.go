package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/fleet"
)

const (
	fanOut       = 1000  // nodes that get each command
	fanOutRounds = 20    // commands
	crowd        = 10000 // nodes connected at once
	settle       = 3 * time.Second
)

var natsPeer = flagNATS()

// newFleet registers and connects n nodes.
func newFleet(ctx context.Context, h *hubProcess, dir string, n int) (*fleet.Fleet, error) {
	f, err := fleet.New(ctx, fleet.Config{
		URL: h.https, CAFile: filepath.Join(dir, "hub", "ca.pem"), Region: region,
		Admin: sigv4.Credentials{AccessKeyID: adminID, SecretAccessKey: adminSecret},
	}, n, [2]string{"Fleet", "bench"})
	if err != nil {
		return nil, err
	}
	return f, f.Connect(ctx)
}

// commandAll sends a command to every node and gives its id.
func commandAll(ctx context.Context, f *fleet.Fleet) (string, error) {
	var out struct {
		Command struct {
			ID string `json:"CommandId"`
		}
	}
	err := f.Call(ctx, "SendCommand", map[string]any{
		"DocumentName": "AWS-RunShellScript", "MaxConcurrency": "100%", "MaxErrors": "100%",
		"Targets":    []map[string]any{{"Key": "tag:Fleet", "Values": []string{"bench"}}},
		"Parameters": map[string][]string{"commands": {"true"}},
	}, &out)
	return out.Command.ID, err
}

// completed waits until all results of a command are in, and tells how many were a success.
func completed(ctx context.Context, f *fleet.Fleet, id string) (int, error) {
	for {
		var out struct {
			Commands []struct {
				Status                                  string
				TargetCount, CompletedCount, ErrorCount int
			}
		}
		if err := f.Call(ctx, "ListCommands", map[string]string{"CommandId": id}, &out); err != nil {
			return 0, err
		}
		c := out.Commands[0]
		if c.TargetCount > 0 && c.CompletedCount == c.TargetCount {
			return c.CompletedCount - c.ErrorCount, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return c.CompletedCount, ctx.Err()
		}
	}
}

// benchFanOut measures one command to 1,000 nodes until its last result is kept.
func benchFanOut(ctx context.Context, dir string) ([]result, error) {
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer h.kill()
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	f, err := newFleet(ctx, h, dir, fanOut)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for range fanOutRounds {
		began := time.Now()
		id, err := commandAll(ctx, f)
		if err != nil {
			return nil, err
		}
		if n, err := completed(ctx, f, id); err != nil || n != fanOut {
			return nil, fmt.Errorf("%d of %d results, %w", n, fanOut, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100]
	beside, peer, err := nats(ctx)
	if err != nil {
		return nil, err
	}
	r := result{
		fmt.Sprintf("one command to %d nodes, all results in the store, p95 of %d", fanOut, fanOutRounds),
		fmt.Sprintf("p50 %s, p95 %s", took[len(took)/2].Round(time.Millisecond), p95.Round(time.Millisecond)),
		beside, "-", "p95 under 1 s, within 20x of NATS", ms(p95) < 1000,
	}
	if peer > 0 {
		r.ratio = fmt.Sprintf("%.1fx the time of NATS", ms(p95)/peer)
		r.ok = r.ok && ms(p95) <= 20*peer
	}
	return []result{r}, nil
}

// nats runs a request to 1,000 subscribers of a NATS server until all have answered.
func nats(ctx context.Context) (beside string, p95 float64, err error) {
	if natsPeer == "" {
		return "NATS is not here", 0, nil
	}
	out, err := exec.CommandContext(ctx, natsPeer, strconv.Itoa(fanOut), strconv.Itoa(fanOutRounds)).Output()
	if err != nil {
		return "", 0, fmt.Errorf("NATS: %w", err)
	}
	p95, err = strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return fmt.Sprintf("NATS request to %d subscribers, p95 %.1f ms", fanOut, p95), p95, err
}

// benchCrowd measures 10,000 connected nodes: memory, and how they come back after the
// hub was killed while a command was under way.
func benchCrowd(ctx context.Context, dir string) ([]result, error) {
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { h.kill() }()
	ctx, stop := context.WithTimeout(ctx, 10*time.Minute)
	defer stop()
	<-time.After(settle)
	empty, err := h.rss()
	if err != nil {
		return nil, err
	}
	f, err := newFleet(ctx, h, dir, crowd)
	if err != nil {
		return nil, err
	}
	<-time.After(settle)
	full, err := h.rss()
	if err != nil {
		return nil, err
	}
	each := (full - empty) * 1024 / crowd
	back, lost, err := cut(ctx, &h, f, dir)
	if err != nil {
		return nil, err
	}
	return []result{
		{fmt.Sprintf("%d nodes connected over TLS, resident memory of the hub", crowd), fmt.Sprintf("%.0f MiB, %.1f KB each", full, each*1.024), "limit 50 KB", ratio(50/1.024, each), "at most 50 KB each", each*1.024 <= 50},
		{fmt.Sprintf("hub killed with a command to %d nodes under way, all connected again", crowd), fmt.Sprintf("%.1f s, %d results lost", back.Seconds(), lost), "limit 30 s", ratio(30, back.Seconds()), "within 30 s, none lost", back < 30*time.Second && lost == 0},
	}, nil
}

// cut kills the hub in the middle of a command and starts it again.
func cut(ctx context.Context, h **hubProcess, f *fleet.Fleet, dir string) (back time.Duration, lost int, err error) {
	id, err := commandAll(ctx, f)
	if err != nil {
		return 0, 0, err
	}
	address := (*h).listen
	(*h).kill()
	began := time.Now()
	if *h, err = startHubAt(ctx, dir, address); err != nil {
		return 0, 0, err
	}
	for f.Open() < crowd {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("%d of %d came back: %w", f.Open(), crowd, ctx.Err())
		}
	}
	back = time.Since(began)
	n, err := completed(ctx, f, id)
	return back, crowd - n, err
}

// flagNATS is the program that plays NATS, when scripts/bench has built it.
func flagNATS() string { return os.Getenv("WATCHBILL_BENCH_NATS") }
