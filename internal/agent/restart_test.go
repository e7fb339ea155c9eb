//go:build unix

package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// boot runs a node as on one start of a machine, until the machine restarts
// or the test ends.
func boot(t *testing.T, dir, id string, reboot func() error) (rebooted <-chan error) {
	t.Helper()
	s, err := registered(dir)
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(dir, s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	n.equip(Settings{AllowReboot: true})
	n.boot = id
	n.reboot = func() error {
		if err := reboot(); err != nil {
			return err
		}
		n.leaveWith(errRebooted)
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		done <- n.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
	})
	return done
}

var errRebooted = errors.New("the machine restarted")

// TestReboot restarts the machine in the middle of a document, twice before it
// really happened: the step that asked runs again after it, once.
func TestReboot(t *testing.T) {
	h := newTestHub(t)
	dir := h.register()
	mark := filepath.Join(t.TempDir(), "mark")
	works := func() error { return nil }
	ended := boot(t, dir, "boot-1", works)
	l := h.link()
	l.command("c1", "echo run >> "+mark, "[ $(wc -l < "+mark+") -ge 2 ] || exit 194", "echo done")
	if err := next(t, "restart", ended); !errors.Is(err, errRebooted) {
		t.Fatal(err)
	}
	linked := make(chan struct{})
	ended = boot(t, dir, "boot-1", func() error { <-linked; return nil })
	h.link()
	close(linked)
	if err := next(t, "second try", ended); !errors.Is(err, errRebooted) {
		t.Fatal(err)
	}
	boot(t, dir, "boot-2", works)
	if c := h.link().end("c1"); c.DocumentStatus != mgs.StatusSuccess || c.RuntimeStatus["run"].StandardOutput != "done\n" {
		t.Errorf("%+v", c)
	}
	if b, _ := os.ReadFile(mark); string(b) != "run\nrun\n" {
		t.Errorf("ran %q", b)
	}
}

func TestRebootThatFails(t *testing.T) {
	h := newTestHub(t)
	boot(t, h.register(), "boot-1", func() error { return errors.New("not allowed") })
	l := h.link()
	l.command("c1", "exit 194")
	if c := l.end("c1"); c.DocumentStatus != mgs.StatusFailed || !strings.Contains(c.DocumentTraceOutput, "could not be restarted: not allowed") {
		t.Errorf("%+v", c)
	}
	l.command("c2", "echo on")
	if c := l.end("c2"); c.DocumentStatus != mgs.StatusSuccess {
		t.Errorf("%+v", c)
	}
}
