package fault_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/fault"
	"github.com/watchbill/watchbill/test/sessiontest"
)

const (
	readers  = 4        // of each kind that do not read
	mostMore = 64 << 10 // KiB of memory that the hub may take for all of them
	notRead  = 6 * time.Second
)

// gate is a connection whose reader can rest.
type gate struct {
	net.Conn

	mu   sync.Mutex
	shut bool
	open *sync.Cond
}

func (g *gate) Read(b []byte) (int, error) {
	g.mu.Lock()
	for g.shut {
		g.open.Wait()
	}
	g.mu.Unlock()
	return g.Conn.Read(b[:min(len(b), 4096)])
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.open.Broadcast()
}

// slowStock is a shell of the stock protocol and the gate before its reader.
func (w *world) slowStock() (*sessiontest.Client, *gate) {
	w.t.Helper()
	var out ssm.StartSessionOutput
	w.Must(w.t, "ssm", "StartSession", &ssm.StartSessionInput{Target: &w.node}, &out)
	pem, err := os.ReadFile(filepath.Join(w.Data, "ca.pem"))
	w.must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	g := &gate{}
	g.open = sync.NewCond(&g.mu)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		g.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return g, err
	}}
	conn, _, err := d.DialContext(w.t.Context(), *out.StreamUrl, nil)
	w.must(err)
	c := sessiontest.New(sessiontest.Options{})
	w.must(c.Use(conn, *out.TokenValue))
	w.t.Cleanup(c.Drop)
	w.t.Cleanup(func() { g.set(false) })
	return c, g
}

// slowOwn is `watchbill shell NODE -- yes` with a pipe that nobody reads yet.
func (w *world) slowOwn() io.Reader {
	w.t.Helper()
	c := w.person("shell", w.node, "--", "yes")
	out, err := c.StdoutPipe()
	w.must(err)
	w.must(c.Start())
	w.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return out
}

// memory is the resident memory of the hub in KiB.
func (w *world) memory() (kib int) {
	w.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	w.must(err)
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	w.t.Fatalf("no VmRSS in %s", b)
	return 0
}

// TestSlowReaders: people do not read what shells write without end. The hub holds
// the nodes' programs up and takes little memory; the sessions go on once they are
// read.
func TestSlowReaders(t *testing.T) {
	w := newWorld(t, fault.Plan{})
	var clients []*sessiontest.Client
	var gates []*gate
	for range readers {
		c, g := w.slowStock()
		clients, gates = append(clients, c), append(gates, g)
		c.Type("echo ready-$((40+2))\r")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, c := range clients {
		w.must(c.Wait(ctx, mgs.PayloadOutput, "ready-42"))
	}
	before := w.memory()
	for n, c := range clients {
		gates[n].set(true)
		c.Type("yes\r")
	}
	var own []io.Reader
	for range readers {
		own = append(own, w.slowOwn())
	}
	most, over, tick := before, time.After(notRead), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			most = max(most, w.memory())
		case <-over:
			waiting = false
		}
	}
	t.Logf("the hub had %d KiB before and at most %d KiB", before, most)
	if most-before > mostMore {
		t.Errorf("%d readers that do not read took %d KiB", 2*readers, most-before)
	}
	for _, r := range own {
		read(t, r)
	}
	for n, c := range clients {
		gates[n].set(false)
		c.Type("\x03")
		c.Type("echo still-$((40+3))\r")
	}
	for _, c := range clients {
		w.must(c.Wait(ctx, mgs.PayloadOutput, "still-43"))
	}
}

// read reads more than any window holds, and that it is right.
func read(t *testing.T, r io.Reader) {
	t.Helper()
	lines := bufio.NewReader(r)
	for n := range 4 << 20 {
		line, err := lines.ReadString('\n')
		if err != nil || line != "y\n" {
			t.Fatalf("line %d is %q, %v", n, line, err)
		}
	}
}
