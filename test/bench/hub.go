package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	adminID     = "AKIABENCHBENCHBENCH0"
	adminSecret = "bench-secret-bench-secret-bench-secret-0"
	region      = "us-east-1"
)

// hubProcess is a hub under measurement.
type hubProcess struct {
	cmd    *exec.Cmd
	http   string // host:port of the plain listener
	https  string // address of the listener with TLS
	listen string // host:port of it
	took   time.Duration
}

func startHub(ctx context.Context, dir string) (*hubProcess, error) {
	return startHubAt(ctx, dir, "127.0.0.1:0")
}

// startHubAt starts a hub on an address, so that nodes find it again.
func startHubAt(ctx context.Context, dir, listen string) (*hubProcess, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &hubProcess{http: port}
	h.cmd = exec.CommandContext(ctx, *binary, "server", "--data", filepath.Join(dir, "hub"), "--listen", listen,
		"--dev-http", port, "--admin-key", adminID+":"+adminSecret, "--log-level", "error")
	h.cmd.Stderr = os.Stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		return nil, fmt.Errorf("the hub did not start: %q, %w", line, err)
	}
	h.took = time.Since(began)
	h.https = strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	h.listen = strings.TrimPrefix(h.https, "https://")
	return h, nil
}

// kill ends the hub as a power failure would.
func (h *hubProcess) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

func (h *hubProcess) stop() {
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	_ = h.cmd.Wait()
}

// cpu is the processor time that the hub has used.
func (h *hubProcess) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the fields after the name, from the third on
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is too short", h.cmd.Process.Pid)
	}
	var ticks int
	for _, s := range f[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// rss is the resident memory in MiB.
func (h *hubProcess) rss() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// benchStart measures a start on a store that exists, and memory at rest.
func benchStart(ctx context.Context, dir string) ([]result, error) {
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	h.stop()
	var took []time.Duration
	var rss float64
	for range 5 {
		if h, err = startHub(ctx, dir); err != nil {
			return nil, err
		}
		took = append(took, h.took)
		<-time.After(2 * time.Second)
		if rss, err = h.rss(); err != nil {
			return nil, err
		}
		h.stop()
	}
	worst := took[0]
	for _, t := range took {
		worst = max(worst, t)
	}
	return []result{
		{"start to ready, existing store, worst of 5", worst.Round(time.Millisecond).String(), "limit 500 ms", ratio(500, ms(worst)), "under 500 ms", ms(worst) < 500},
		{"resident memory at rest", fmt.Sprintf("%.0f MiB", rss), "limit 80 MB", ratio(80/1.048576, rss), "under 80 MB", rss < 80/1.048576},
	}, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b float64) string { return fmt.Sprintf("%.1fx", a/b) }

// waitPort waits up to ten seconds until something listens.
func waitPort(ctx context.Context, address string) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
