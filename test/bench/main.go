// Command bench measures the hub beside peers or limits, each comparison in one run,
// and writes the results as Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// result is one line of docs/benchmarks.md.
type result struct {
	what, figure, beside, ratio, wanted string
	ok                                  bool
}

// bench is one comparison.
type bench struct {
	name string
	run  func(ctx context.Context, dir string) ([]result, error)
}

var benches = []bench{
	{"start", benchStart},
	{"get-parameter", benchGetParameter},
	{"page", benchPage},
	{"alarms", benchAlarms},
	{"timers", benchTimers},
	{"restart", benchRestart},
	{"workers", benchWorkers},
	{"exec", benchExec},
	{"fan-out", benchFanOut},
	{"crowd", benchCrowd},
	{"tunnel", benchTunnel},
	{"echo", benchEcho},
	{"copy", benchCopy},
	{"stock", benchStock},
	{"sessions", benchSessions},
}

var binary = flag.String("bin", "bin/watchbill", "the hub to measure")

func main() {
	only := flag.String("only", "", "comma-separated names of benches")
	out := flag.String("out", "", "file for the results (default: stdout only)")
	worker := flag.String("worker", "", "internal: run as a worker on this store")
	hold := flag.Bool("hold", false, "internal: never end a task")
	flag.Parse()
	if *worker != "" {
		work(*worker, *hold)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := run(ctx, *only, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, out string) error {
	var all []result
	before := loadAverage()
	for _, b := range benches {
		if only != "" && !strings.Contains(","+only+",", ","+b.name+",") {
			continue
		}
		dir, err := os.MkdirTemp("", "watchbill-bench-")
		if err != nil {
			return err
		}
		rs, err := b.run(ctx, dir)
		_ = os.RemoveAll(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		for _, r := range rs {
			fmt.Println(r.row())
		}
		all = append(all, rs...)
	}
	if out == "" {
		return verdict(all)
	}
	if err := os.WriteFile(out, []byte(report(all, before)), 0o644); err != nil {
		return err
	}
	return verdict(all)
}

func (r result) row() string {
	mark := "yes"
	if !r.ok {
		mark = "**no**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", r.what, r.figure, r.beside, r.ratio, r.wanted, mark)
}

// loadAverage is how many processes wanted a core during the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(text)); err == nil && len(f) > 0 {
		return f[0]
	}
	return "unknown"
}

const notes = `
- How each is measured stands in ` + "`test/bench`" + `. Generators and peers share the cores with the hub; what else runs on the machine shows in
  the load average, and in p99 most of all: with more processes than cores, waiting for a core counts.
- SQLite commits with synchronous=FULL: what was answered is on disk. Only claims and leases of tasks do not wait for the disk.
- The PostgreSQL that ` + "`make bench`" + ` starts for itself runs with fsync=off, so its rows say nothing about disks.
- Sessions go through the hub with TLS on both links, and what is typed and shown is recorded; OpenSSH goes straight to its server, with its
  default ciphers. Both take turns in one run, and a copy counts from the start of the program to its end.
- moto_server closes the connection after each answer, so its load opens one for each request; it checks no signature, no policy and
  keeps no journal.
- An alarm counts as accepted when it was answered. The count afterwards is of a store whose hub was killed (SIGKILL), not of a machine
  that lost its power.
`

func report(all []result, before string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nMade by `make bench` on %s, %s/%s, %d cores, %s. Load average %s at the beginning, %s at the end.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), before, loadAverage())
	b.WriteString("| what | measured | beside | ratio | wanted | met |\n|---|---|---|---|---|---|\n")
	for _, r := range all {
		b.WriteString(r.row() + "\n")
	}
	b.WriteString(notes)
	return b.String()
}

func verdict(all []result) error {
	for _, r := range all {
		if !r.ok {
			return fmt.Errorf("missed: %s", r.what)
		}
	}
	return nil
}
