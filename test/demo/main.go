// Command demo plays one alarm from signal to evidence on this machine: a hub, a
// node, a service that really breaks, two people and a runbook. Everything goes
// through the public API, as any client would.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options of a demonstration.
type options struct {
	binary string
	dir    string
	listen string
	fast   bool // short stages, and nobody is waited for
	exit   bool // stop everything at the end
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "orders" {
		serveOrders(os.Args[2:])
		return
	}
	var o options
	flag.StringVar(&o.binary, "bin", "bin/watchbill", "the hub's binary")
	flag.StringVar(&o.dir, "dir", ".demo", "directory, emptied at the start")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8443", "the hub's address")
	flag.BoolVar(&o.fast, "fast", false, "short stage timers, approve without waiting")
	flag.BoolVar(&o.exit, "exit", false, "stop everything at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := play(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo failed: "+err.Error())
		stop()
		os.Exit(1)
	}
}

// play runs the whole story.
func play(ctx context.Context, o options) (err error) {
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	s := &stage{options: o, began: time.Now()}
	defer func() {
		if err != nil || o.exit {
			s.stopAll()
		}
	}()
	for _, act := range []func(context.Context) error{s.setUp, s.defineWork, s.definePeople, s.breakService, s.alarm, s.people, s.runbook, s.resolve, s.evidence} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	if !o.exit {
		s.farewell()
	}
	return nil
}
