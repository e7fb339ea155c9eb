//go:build unix

package fault_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/fault"
	"github.com/watchbill/watchbill/test/hubtest"
)

// longVariable makes the test try every share of failing connections.
const longVariable = "WATCHBILL_FAULT_LONG"

const (
	size     = 64 << 20
	bound    = 2 * time.Minute // of one transfer
	patience = 60 * time.Second
	nobody   = 65534
)

// world is a hub, a node and a person, with a faulty network on both sides of the
// hub.
type world struct {
	*hubtest.Hub
	t                *testing.T
	dir, bin         string // everybody's directory, and the program in it
	node             string
	pid              int // of the hub
	toNode, toPerson *fault.Proxy
}

func newWorld(t *testing.T, plan fault.Plan) *world {
	address := hubtest.FreePort(t)
	w := &world{t: t, toNode: fault.NewProxy(t, address, plan)}
	plan.Seed++
	w.toPerson = fault.NewProxy(t, address, plan)
	program, err := hubtest.Build()
	w.must(err)
	w.bin, w.dir = program, filepath.Dir(program)
	t.Cleanup(func() { _ = os.RemoveAll(w.dir) })
	data, log := t.TempDir(), &hubtest.Log{}
	hub := hubtest.StartProcess(t, log, program, "server", "--data", data, "--listen", address, "--public-url", "https://"+w.toPerson.Address,
		"--admin-key", hubtest.Admin.AccessKeyID+":"+hubtest.Admin.SecretAccessKey)
	if _, ok := <-hub.Ready; !ok {
		t.Fatalf("the hub did not start: %s", log)
	}
	w.pid = hub.Pid()
	w.Hub = hubtest.Attach(t, data, "", "https://"+address)
	w.files()
	w.startNode()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// files makes a directory that the node's user may enter.
func (w *world) files() {
	w.must(os.Chmod(w.dir, 0o755))
	ca, err := os.ReadFile(filepath.Join(w.Data, "ca.pem"))
	w.must(err)
	w.must(os.WriteFile(filepath.Join(w.dir, "ca.pem"), ca, 0o644))
	w.must(os.Mkdir(w.dir+"/node", 0o755))
	if os.Getuid() == 0 {
		w.must(os.Chown(w.dir+"/node", nobody, nobody))
	}
}

func (w *world) agent(args ...string) *exec.Cmd {
	c := exec.Command(w.bin, append([]string{"agent"}, args...)...)
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + w.dir + "/node"}
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

// startNode registers the node, which may take some attempts, and runs it.
func (w *world) startNode() {
	state := w.dir + "/node/state"
	w.must(hubtest.Await(patience, "the registration", func() (bool, error) {
		id, code := w.Activate(w.t, 1)
		out, err := w.agent("register", "--hub", "https://"+w.toNode.Address, "--ca", w.dir+"/ca.pem", "--activation-id", id, "--activation-code", code, "--state", state).Output()
		w.node = strings.TrimSpace(string(out))
		return err == nil, told(err)
	}))
	run, log := w.agent("run", "--state", state), &hubtest.Log{}
	run.Stderr = log
	w.must(run.Start())
	w.t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(20*time.Second, func() {
			w.t.Error("the node does not stop")
			_ = run.Process.Signal(syscall.SIGQUIT) // and says where it is
		})
		_ = run.Wait()
		stop.Stop()
		if w.t.Failed() {
			w.t.Logf("node:\n%s", log)
		}
	})
	w.must(hubtest.Await(patience, "the node", func() (bool, error) {
		var out ssm.GetConnectionStatusOutput
		w.Must(w.t, "ssm", "GetConnectionStatus", &ssm.GetConnectionStatusInput{Target: &w.node}, &out)
		return out.Status == ssm.ConnectionStatusConnected, nil
	}))
}

// told is an error with what the program said.
func told(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

func (w *world) person(args ...string) *exec.Cmd {
	c := exec.Command(w.bin, args...)
	c.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + w.dir, "AWS_ENDPOINT_URL=https://" + w.toPerson.Address, "AWS_CA_BUNDLE=" + w.dir + "/ca.pem", "AWS_REGION=" + hubtest.Region,
		"AWS_ACCESS_KEY_ID=" + hubtest.Admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + hubtest.Admin.SecretAccessKey,
	}
	return c
}

// copy is `watchbill cp` once, in bounded time.
func (w *world) copy(from, to string) {
	w.t.Helper()
	c := w.person("cp", "-q", from, to)
	c.Stderr = &bytes.Buffer{}
	began := time.Now()
	w.must(c.Start())
	stop := time.AfterFunc(bound, func() { _ = c.Process.Kill() })
	defer stop.Stop()
	if err := c.Wait(); err != nil {
		w.t.Fatalf("cp %s %s ended after %v: %v: %s", from, to, time.Since(began), err, c.Stderr)
	}
	w.t.Logf("cp %s %s: %v", filepath.Base(from), filepath.Base(to), time.Since(began).Round(time.Millisecond))
}

func sum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// fileBothWays carries a file to the node and back.
func (w *world) fileBothWays(data []byte) {
	w.t.Helper()
	from, there, back := w.dir+"/from", w.dir+"/node/there", w.dir+"/back"
	w.must(os.WriteFile(from, data, 0o600))
	w.copy(from, w.node+":"+there)
	w.copy(w.node+":"+there, back)
	if a, b, c := sum(w.t, from), sum(w.t, there), sum(w.t, back); a != b || a != c {
		w.t.Errorf("sums: %s here, %s there, %s back", a, b, c)
	}
	w.must(os.Remove(there))
	w.must(os.Remove(back))
}

// through carries bytes to an echo behind the node and back, through a tunnel.
func (w *world) through(data []byte) {
	w.t.Helper()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer func() { _ = echo.Close() }()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
		}
	}()
	port := hubtest.FreePort(w.t)
	tunnel := w.person("tunnel", "-L", port+":"+echo.Addr().String(), w.node)
	said := &hubtest.Log{}
	tunnel.Stdout, tunnel.Stderr = said, said
	w.must(tunnel.Start())
	defer func() {
		_ = tunnel.Process.Signal(syscall.SIGTERM)
		_ = tunnel.Wait()
	}()
	conn := w.dial(port, said)
	defer func() { _ = conn.Close() }()
	began := time.Now()
	w.must(conn.SetDeadline(began.Add(bound)))
	go func() {
		if _, err := conn.Write(data); err != nil {
			w.t.Errorf("tunnel: %v: %s", err, said)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, want := sha256.New(), sha256.Sum256(data)
	n, err := io.Copy(got, conn)
	if err != nil || !bytes.Equal(got.Sum(nil), want[:]) {
		w.t.Errorf("%d of %d bytes came back through the tunnel after %v: %v: %s", n, len(data), time.Since(began), err, said)
	}
	w.t.Logf("tunnel there and back: %v", time.Since(began).Round(time.Millisecond))
}

// dial connects to the tunnel once it listens.
func (w *world) dial(port string, said *hubtest.Log) (conn net.Conn) {
	w.t.Helper()
	err := hubtest.Await(patience, "the tunnel", func() (bool, error) {
		var err error
		conn, err = net.Dial("tcp", port)
		return err == nil, err
	})
	if err != nil {
		w.t.Fatalf("%v: %s", err, said)
	}
	return conn
}

// TestTransfers: files and tunnels are byte-exact and end in bounded time, however
// many connections are reset or stall, and through resets in their middle.
func TestTransfers(t *testing.T) {
	shares := []int{30}
	if os.Getenv(longVariable) != "" {
		shares = []int{1, 5, 10, 20, 30}
	} else {
		t.Logf("30%% of connections fail; %s=1 tries more shares", longVariable)
	}
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	for _, share := range shares {
		t.Run(fmt.Sprint(share, "%"), func(t *testing.T) {
			w := newWorld(t, fault.Plan{Seed: uint64(share), Percent: share, ResetEvery: 24 << 20, StallEvery: 16 << 20, Stall: 300 * time.Millisecond})
			w.fileBothWays(data)
			w.through(data)
			t.Logf("resets: %d towards the node, %d towards the person", w.toNode.Resets(), w.toPerson.Resets())
			if w.toNode.Resets() == 0 || w.toPerson.Resets() == 0 {
				t.Error("nothing was reset")
			}
		})
	}
}
