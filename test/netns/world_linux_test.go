package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/test/hubtest"
)

// hubAddress is on the loopback interface of the hub's namespace; everybody else
// has a link of its own to it.
const hubAddress = "10.213.255.1"

const hubURL = "https://" + hubAddress + ":8443"

const (
	nodes    = 3
	patience = 60 * time.Second
)

var bin string

func TestMain(m *testing.M) {
	if why := cannot(); why != "" {
		fmt.Println("SKIP: no network namespaces:", why)
		os.Exit(0)
	}
	var err error
	if bin, err = hubtest.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Chmod(filepath.Dir(bin), 0o755) // nodes are another user's
	code := m.Run()
	_ = os.RemoveAll(filepath.Dir(bin))
	os.Exit(code)
}

// cannot says why there are no namespaces, "" when there are.
func cannot() string {
	if os.Getuid() != 0 {
		return "only root makes them"
	}
	for _, tool := range []string{"ip", "setpriv", "aws"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err.Error()
		}
	}
	name := fmt.Sprintf("wbtry%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Sprintf("%v %s", err, out)
	}
	out, err := exec.Command("ip", "link", "add", name[:min(len(name), 14)], "type", "veth", "peer", "name", "x", "netns", name).CombinedOutput()
	_ = exec.Command("ip", "netns", "del", name).Run() // and with it the link
	if err != nil {
		return fmt.Sprintf("%v %s", err, out)
	}
	return ""
}

// world is the namespaces and what runs in them.
type world struct {
	t     *testing.T
	dir   string // of everybody, readable by the nodes' user
	space string // prefix of the namespaces
	hub   string // namespace of the hub
	me    string // namespace of a person's machine
	env   []string
	log   hubtest.Log
	nodes []node
}

type node struct{ id, space, link string }

func newWorld(t *testing.T) *world {
	w := &world{t: t, space: fmt.Sprintf("wb%d", os.Getpid())}
	w.hub, w.me = w.space+"-hub", w.space+"-me"
	var err error
	w.dir, err = os.MkdirTemp("", "watchbill-netns-")
	w.must(err)
	t.Cleanup(func() {
		_ = os.RemoveAll(w.dir)
		if t.Failed() {
			t.Logf("logs end:\n%s", tail(w.log.String()))
		}
	})
	w.must(os.Chmod(w.dir, 0o755))
	w.makeSpace(w.hub)
	w.ip("-n", w.hub, "addr", "add", hubAddress+"/32", "dev", "lo")
	w.connect(w.me, 0)
	w.startHub()
	for n := range nodes {
		space := fmt.Sprintf("%s-n%d", w.space, n)
		w.nodes = append(w.nodes, w.startNode(space, w.connect(space, n+1)))
	}
	return w
}

func tail(s string) string { return s[max(0, len(s)-6000):] }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (w *world) makeSpace(name string) {
	w.ip("netns", "add", name)
	w.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	w.ip("-n", name, "link", "set", "lo", "up")
}

// connect makes a namespace with a link to the hub's, and gives the name that the
// link has there.
func (w *world) connect(name string, n int) string {
	w.makeSpace(name)
	link := fmt.Sprint("v", n)
	w.ip("-n", w.hub, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
	w.ip("-n", w.hub, "addr", "add", fmt.Sprintf("10.213.%d.1/24", n), "dev", link)
	w.ip("-n", w.hub, "link", "set", link, "up")
	w.ip("-n", name, "addr", "add", fmt.Sprintf("10.213.%d.2/24", n), "dev", "eth0")
	w.ip("-n", name, "link", "set", "eth0", "up")
	w.ip("-n", name, "route", "add", "default", "via", fmt.Sprintf("10.213.%d.1", n))
	return link
}

// in is a program in a namespace.
func (w *world) in(space string, words ...string) *exec.Cmd {
	c := exec.Command("ip", append([]string{"netns", "exec", space}, words...)...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TERM=xterm"}
	return c
}

// begin starts a program until the end of the test.
func (w *world) begin(c *exec.Cmd) {
	w.t.Helper()
	c.Stderr = &w.log
	w.must(c.Start())
	w.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
}

func (w *world) startHub() {
	data := filepath.Join(w.dir, "hub")
	w.begin(w.in(w.hub, bin, "server", "--data", data, "--listen", hubAddress+":8443",
		"--admin-key", hubtest.Admin.AccessKeyID+":"+hubtest.Admin.SecretAccessKey))
	w.env = []string{
		"AWS_ENDPOINT_URL=" + hubURL, "AWS_CA_BUNDLE=" + w.dir + "/ca.pem", "AWS_REGION=" + hubtest.Region, "AWS_DEFAULT_REGION=" + hubtest.Region,
		"AWS_ACCESS_KEY_ID=" + hubtest.Admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + hubtest.Admin.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true", "SSL_CERT_FILE=" + w.dir + "/ca.pem",
	}
	w.await("the hub", func() (bool, error) {
		b, err := os.ReadFile(filepath.Join(data, "ca.pem"))
		if err == nil {
			err = os.WriteFile(w.dir+"/ca.pem", b, 0o644)
		}
		if err == nil {
			_, err = w.watchbill("nodes")
		}
		return err == nil, err
	})
}

// await waits until done says yes.
func (w *world) await(what string, done func() (bool, error)) {
	w.t.Helper()
	w.must(hubtest.Await(patience, what, done))
}

// mine is the program on the person's machine.
func (w *world) mine(args ...string) *exec.Cmd {
	c := w.in(w.me, append([]string{bin}, args...)...)
	c.Env = append(c.Env, w.env...)
	return c
}

func (w *world) watchbill(args ...string) (string, error) {
	out, err := w.mine(args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("watchbill %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// startNode registers and runs a node as nobody, who may be a user of sessions.
func (w *world) startNode(space, link string) node {
	w.t.Helper()
	home := filepath.Join(w.dir, space)
	w.must(os.Mkdir(home, 0o755))
	w.must(os.Chown(home, 65534, 65534))
	as := func(words ...string) *exec.Cmd {
		c := w.in(space, append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", bin, "agent"}, words...)...)
		c.Env = append(c.Env, "HOME="+home)
		return c
	}
	id, code := w.activation()
	out, err := as("register", "--hub", hubURL, "--ca", w.dir+"/ca.pem", "--activation-id", id, "--activation-code", code, "--state", home+"/state").CombinedOutput()
	if err != nil {
		w.t.Fatalf("register: %v\n%s", err, out)
	}
	w.begin(as("run", "--state", home+"/state"))
	return node{id: strings.TrimSpace(string(out)), space: space, link: link}
}

// activation is made with the stock CLI.
func (w *world) activation() (id, code string) {
	w.t.Helper()
	var out struct{ ActivationId, ActivationCode string }
	w.aws(&out, "ssm", "create-activation", "--iam-role", "watchbill-node")
	return out.ActivationId, out.ActivationCode
}

func (w *world) aws(out any, args ...string) {
	w.t.Helper()
	c := w.in(w.me, append([]string{"aws", "--endpoint-url", hubURL, "--output", "json"}, args...)...)
	c.Env = append(c.Env, w.env...)
	text, err := c.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		w.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	w.must(err)
	w.must(json.Unmarshal(text, out))
}

// presence is the PingStatus of a node, as `watchbill nodes` has it.
func (w *world) presence(id string) (string, error) {
	text, err := w.watchbill("nodes", "--json", "--filter", "InstanceIds="+id)
	if err != nil {
		return "", err
	}
	for _, status := range []string{"ConnectionLost", "Online", "Inactive"} {
		if strings.Contains(text, `"`+status+`"`) {
			return status, nil
		}
	}
	return "", fmt.Errorf("no status in %q", text)
}

// comes waits for a presence and says how long that took.
func (w *world) comes(n node, status string, most time.Duration) time.Duration {
	w.t.Helper()
	began, last := time.Now(), ""
	err := hubtest.Await(most, n.id+" "+status, func() (bool, error) {
		var err error
		last, err = w.presence(n.id)
		return last == status, err
	})
	if err != nil {
		w.t.Fatalf("%v; it is %s", err, last)
	}
	return time.Since(began)
}

// cut takes the hub's end of a node's link down or up: nobody is told with so much
// as a FIN.
func (w *world) cut(n node, state string) {
	w.t.Helper()
	w.ip("-n", w.hub, "link", "set", n.link, state)
}

// job is a program that runs beside the test.
type job struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	text strings.Builder
	end  chan error
}

// Write keeps what the program writes.
func (j *job) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *job) shown() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (w *world) spawn(c *exec.Cmd) *job {
	w.t.Helper()
	j := &job{cmd: c, end: make(chan error, 1)}
	c.Stdout, c.Stderr = j, j
	w.must(c.Start())
	go func() { j.end <- c.Wait() }()
	w.t.Cleanup(func() { _ = c.Process.Kill() })
	return j
}

// over waits for the end of a program and gives its exit code.
func (w *world) over(j *job) int {
	w.t.Helper()
	select {
	case <-j.end:
		return j.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		w.t.Fatalf("%q does not end; it showed %q", j.cmd.Args, j.shown())
		return -1
	}
}
