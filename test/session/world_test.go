package session

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/hubtest"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

var sessions = flag.Int("sessions", 3, "rounds of TestTypedAtOnce")

// binaries of the tests; empty when there is none.
var program, plugin string

func TestMain(m *testing.M) {
	path, err := filepath.Abs("../../.tools/session-manager-plugin")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Println("SKIP: no stock plugin, run make .tools/session-manager-plugin")
		os.Exit(0)
	}
	plugin = path
	if program, err = hubtest.Build(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(filepath.Dir(program))
	os.Exit(code)
}

// world is a hub and a node behind lines that can be cut.
type world struct {
	*hubtest.Hub
	node             string
	nodeLine, client *line
}

func newWorld(t *testing.T) *world {
	t.Helper()
	h := hubtest.Start(t, "", nil)
	w := &world{Hub: h, nodeLine: newLine(t, h.URL), client: newLine(t, h.URL)}
	w.startNode(t)
	return w
}

// startNode registers and runs a node; as nobody when the tests run as root, since
// sessions as root are not allowed.
func (w *world) startNode(t *testing.T) {
	t.Helper()
	dir := filepath.Join("/tmp", "watchbill-session-"+filepath.Base(t.TempDir())+fmt.Sprint(time.Now().UnixNano()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary, ca := filepath.Join(dir, "watchbill"), filepath.Join(dir, "ca.pem")
	copyFile(t, program, binary, 0o755)
	copyFile(t, filepath.Join(w.Data, "ca.pem"), ca, 0o644)
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	id, code := w.Activate(t, 1)
	out, err := asNobody(exec.Command(binary, "agent", "register", "--hub", w.nodeLine.url, "--ca", ca,
		"--activation-id", id, "--activation-code", code, "--state", filepath.Join(dir, "state"))).Output()
	if err != nil {
		t.Fatalf("register: %v\n%s", err, stderrOf(err))
	}
	w.node = strings.TrimSpace(string(out))
	run := asNobody(exec.Command(binary, "agent", "run", "--state", filepath.Join(dir, "state")))
	log := &hubtest.Log{}
	run.Stderr = log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		_ = run.Wait()
		if t.Failed() {
			t.Logf("node:\n%s\nhub:\n%s", log, w.Log)
		}
	})
	await(t, "the node", func() bool {
		var d ssm.DescribeInstanceInformationOutput
		w.Must(t, "ssm", "DescribeInstanceInformation", &ssm.DescribeInstanceInformationInput{}, &d)
		return len(d.InstanceInformationList) == 1 && d.InstanceInformationList[0].PingStatus == ssm.PingStatusOnline
	})
}

func asNobody(c *exec.Cmd) *exec.Cmd {
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/tmp"}
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return c
}

func stderrOf(err error) []byte {
	if e, ok := err.(*exec.ExitError); ok {
		return e.Stderr
	}
	return nil
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until ok says yes.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come", what)
		case <-tick.C:
		}
	}
}

// line forwards TCP connections to a hub and can cut them.
type line struct {
	url string

	mu     sync.Mutex
	to     string
	conns  map[net.Conn]struct{}
	opened int
}

func newLine(t *testing.T, hub string) *line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	l := &line{url: "https://" + ln.Addr().String(), to: strings.TrimPrefix(hub, "https://"), conns: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go l.carry(c)
		}
	}()
	return l
}

func (l *line) carry(c net.Conn) {
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	d, err := net.Dial("tcp", to)
	if err != nil {
		_ = c.Close()
		return
	}
	l.mu.Lock()
	l.conns[c], l.conns[d] = struct{}{}, struct{}{}
	l.opened++
	l.mu.Unlock()
	go func() {
		_, _ = io.Copy(d, c)
		_ = d.Close()
	}()
	_, _ = io.Copy(c, d)
	_ = c.Close()
	l.mu.Lock()
	delete(l.conns, c)
	delete(l.conns, d)
	l.mu.Unlock()
}

// lead leads new connections to a hub.
func (l *line) lead(hub string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = strings.TrimPrefix(hub, "https://")
}

// count is how many connections there have been.
func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// cut breaks all connections.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// run is a run of the plugin.
type run struct {
	t       *testing.T
	session string
	cmd     *exec.Cmd
	in      io.Writer
	ended   chan error

	mu   sync.Mutex
	text bytes.Buffer
}

// command is the plugin as the aws CLI starts it.
func (w *world) command(t *testing.T, in *ssm.StartSessionInput) (string, *exec.Cmd) {
	t.Helper()
	in.Target = &w.node
	var out ssm.StartSessionOutput
	w.Must(t, "ssm", "StartSession", in, &out)
	u, err := url.Parse(*out.StreamUrl)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = strings.TrimPrefix(w.client.url, "https://")
	response, err := json.Marshal(map[string]string{"SessionId": *out.SessionId, "TokenValue": *out.TokenValue, "StreamUrl": u.String()})
	if err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(map[string]any{"Target": w.node, "DocumentName": in.DocumentName, "Parameters": in.Parameters})
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(plugin, string(response), hubtest.Region, "StartSession", "", string(request), w.client.url)
	c.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "TERM=xterm", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=" + hubtest.Region,
		"AWS_ACCESS_KEY_ID=" + hubtest.Admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + hubtest.Admin.SecretAccessKey,
		"SSL_CERT_FILE=" + filepath.Join(w.Data, "ca.pem"), "AWS_ENDPOINT_URL=" + w.client.url,
	}
	return *out.SessionId, c
}

// start runs the plugin on a terminal of its own.
func (w *world) start(t *testing.T, in *ssm.StartSessionInput) *run {
	t.Helper()
	id, cmd := w.command(t, in)
	return show(t, id, cmd)
}

// show runs a command of the plugin on a terminal of its own.
func show(t *testing.T, id string, cmd *exec.Cmd) *run {
	t.Helper()
	r := &run{t: t, session: id, cmd: cmd, ended: make(chan error, 1)}
	terminal, err := pty.StartWithSize(r.cmd, &pty.Winsize{Rows: 31, Cols: 97})
	if err != nil {
		t.Fatal(err)
	}
	r.in = terminal
	go func() {
		_, _ = io.Copy(r, terminal)
		r.ended <- r.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		r.ended <- <-r.ended
		_ = terminal.Close()
		if t.Failed() {
			t.Logf("the plugin showed:\n%q", r.shown())
		}
	})
	return r
}

// Write keeps what the plugin shows.
func (r *run) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

// shown is what is on the terminal, which makes carriage returns of its own.
func (r *run) shown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ReplaceAll(strings.ReplaceAll(r.text.String(), "\r", ""), "\x00", "")
}

// shows waits for a text on the terminal, for a while.
func (r *run) shows(text string, patience time.Duration) bool {
	late := time.After(patience)
	for !strings.Contains(r.shown(), text) {
		select {
		case <-late:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// expect waits for a text on the terminal.
func (r *run) expect(text string) {
	r.t.Helper()
	await(r.t, fmt.Sprintf("%q", text), func() bool {
		if strings.Contains(r.shown(), text) {
			return true
		}
		select {
		case err := <-r.ended:
			r.ended <- err
			if !strings.Contains(r.shown(), text) {
				r.t.Fatalf("the plugin ended before it showed %q", text)
			}
			return true
		default:
			return false
		}
	})
}

func (r *run) typed(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.in, text); err != nil {
		r.t.Fatal(err)
	}
}

// over waits until the plugin ends by itself, and says how long that took.
func (r *run) over() time.Duration {
	r.t.Helper()
	began := time.Now()
	select {
	case err := <-r.ended:
		r.ended <- err
		if err != nil {
			r.t.Fatalf("the plugin ended with %v", err)
		}
	case <-time.After(patience):
		r.t.Fatal("the plugin does not end")
	}
	return time.Since(began)
}

// status waits until the session has a status.
func (w *world) status(t *testing.T, id string, want ssm.SessionStatus) {
	t.Helper()
	await(t, string(want), func() bool {
		for _, state := range []ssm.SessionState{ssm.SessionStateActive, ssm.SessionStateHistory} {
			var out ssm.DescribeSessionsOutput
			w.Must(t, "ssm", "DescribeSessions", &ssm.DescribeSessionsInput{State: state}, &out)
			for _, s := range out.Sessions {
				if *s.SessionId == id {
					return s.Status == want
				}
			}
		}
		return false
	})
}
