// Command bench measures the hub beside peers or limits, each comparison in one run,
// and writes the results as Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
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
	if err := run(*only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only, out string) error {
	var all []result
	for _, b := range benches {
		if only != "" && !strings.Contains(","+only+",", ","+b.name+",") {
			continue
		}
		dir, err := os.MkdirTemp("", "watchbill-bench-")
		if err != nil {
			return err
		}
		rs, err := b.run(context.Background(), dir)
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
	if err := os.WriteFile(out, []byte(report(all)), 0o644); err != nil {
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

func report(all []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nMade by `make bench` on %s, %s/%s, %d cores, %s; generator, peers and hub share the machine.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	b.WriteString("| what | measured | beside | ratio | wanted | met |\n|---|---|---|---|---|---|\n")
	for _, r := range all {
		b.WriteString(r.row() + "\n")
	}
	b.WriteString("\nHow each is measured stands in `test/bench`.\n")
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
