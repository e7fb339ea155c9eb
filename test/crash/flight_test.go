//go:build linux

package crash

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/hubtest"
	"github.com/watchbill/watchbill/test/sessiontest"
)

// What is under way when the hub is killed.
const (
	flightNodes    = 5
	flightCommands = 50
	flightShells   = 12 // watchbill shell NODE -- COMMAND
	flightStock    = 6  // clients of the stock protocol that resume
	flightLost     = 2  // clients that never come back

	// withinKill is how long after a kill every session goes on or has ended.
	withinKill = 30 * time.Second
)

// flight is a hub with nodes of its own and what is under way on them.
type flight struct {
	*lab
	world string // the nodes' own directory, which their scripts write to
	nodes []string
	roots []int // processes of the nodes
}

// newFlight starts the hub and the nodes, as nobody when the test is root's.
func newFlight(t *testing.T, seed uint64) *flight {
	l := &lab{t: t, dir: t.TempDir(), address: hubtest.FreePort(t), rand: rand.New(rand.NewPCG(seed, 1)), log: &hubtest.Log{}, nodeLog: &hubtest.Log{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log ends:\n%s\nthe nodes' log ends:\n%s", tail(l.log.String()), tail(l.nodeLog.String()))
		}
	})
	l.startHub()
	<-l.hub.Ready
	l.client = l.as(hubtest.Admin)
	f := &flight{lab: l}
	f.makeWorld()
	for n := range flightNodes {
		f.startNode(filepath.Join(f.world, fmt.Sprint("state-", n)))
	}
	for _, node := range f.nodes {
		l.must(hubtest.Await(time.Minute, "node "+node, func() (bool, error) {
			var out ssm.GetConnectionStatusOutput
			err := l.client.Call(t.Context(), "ssm", "GetConnectionStatus", &ssm.GetConnectionStatusInput{Target: &node}, &out)
			return out.Status == ssm.ConnectionStatusConnected, err
		}))
	}
	return f
}

// makeWorld makes a directory that the nodes' user may enter, with the program.
func (f *flight) makeWorld() {
	var err error
	f.world, err = os.MkdirTemp("", "watchbill-flight-")
	f.must(err)
	f.t.Cleanup(func() { _ = os.RemoveAll(f.world) })
	f.must(os.Chmod(f.world, 0o755))
	for to, from := range map[string]string{"watchbill": bin, "ca.pem": f.path("hub/ca.pem")} {
		b, err := os.ReadFile(from)
		f.must(err)
		f.must(os.WriteFile(filepath.Join(f.world, to), b, 0o755))
	}
	if os.Getuid() == 0 {
		f.must(os.Chown(f.world, nobody, nobody))
	}
}

const nobody = 65534

func (f *flight) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(f.world, "watchbill"), args...)
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + f.world}
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

func (f *flight) startNode(state string) {
	var a ssm.CreateActivationOutput
	f.must(f.client.Call(f.t.Context(), "ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("watchbill-node")}, &a))
	id, err := f.command("agent", "register", "--hub", "https://"+f.address, "--ca", filepath.Join(f.world, "ca.pem"),
		"--activation-id", *a.ActivationId, "--activation-code", *a.ActivationCode, "--state", state).Output()
	f.must(err)
	run := f.command("agent", "run", "--state", state)
	run.Stderr = f.nodeLog
	f.must(run.Start())
	f.t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		_ = run.Wait()
	})
	f.nodes, f.roots = append(f.nodes, strings.TrimSpace(string(id))), append(f.roots, run.Process.Pid)
}

// marks is the file that a thing of the round writes a line to when it starts.
func (f *flight) marks(name string) string { return filepath.Join(f.world, "mark-"+name) }

// started is how often a thing has started.
func (f *flight) started(name string) int {
	b, _ := os.ReadFile(f.marks(name))
	return strings.Count(string(b), "\n")
}

// script marks its start, rests and says that it is done.
func (f *flight) script(name string, least, most float64) string {
	rest := least + f.rand.Float64()*(most-least)
	return fmt.Sprintf("echo %s >>%s; sleep %.1f; echo done-%s", name, f.marks(name), rest, name)
}

// send sends the commands of a round, and gives their ids by name.
func (f *flight) send(round int) map[string][2]string {
	out := map[string][2]string{}
	for n := range flightCommands {
		name, node := fmt.Sprintf("r%d-c%d", round, n), f.nodes[n%len(f.nodes)]
		var sent ssm.SendCommandOutput
		f.must(f.client.Call(f.t.Context(), "ssm", "SendCommand", &ssm.SendCommandInput{
			DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{node}, Parameters: map[string][]string{"commands": {f.script(name, 1, 3)}},
		}, &sent))
		out[name] = [2]string{*sent.Command.CommandId, node}
	}
	return out
}

// finish waits for the commands: one start each, and the result of it.
func (f *flight) finish(commands map[string][2]string) {
	for name, c := range commands {
		var out ssm.GetCommandInvocationOutput
		err := hubtest.Await(2*time.Minute, "the end of "+name, func() (bool, error) {
			err := f.client.Call(f.t.Context(), "ssm", "GetCommandInvocation", &ssm.GetCommandInvocationInput{CommandId: &c[0], InstanceId: &c[1]}, &out)
			return err == nil && !openStatus[out.Status], err
		})
		if err != nil {
			f.t.Errorf("%v; it is %s", err, out.Status)
			continue
		}
		if n := f.started(name); n != 1 || out.Status != ssm.CommandInvocationStatusSuccess || strings.TrimSpace(*out.StandardOutputContent) != "done-"+name {
			f.t.Errorf("%s is %s, started %d times and printed %q", name, out.Status, n, *out.StandardOutputContent)
		}
	}
}

var openStatus = map[ssm.CommandInvocationStatus]bool{
	ssm.CommandInvocationStatusPending: true, ssm.CommandInvocationStatusInProgress: true, ssm.CommandInvocationStatusDelayed: true, ssm.CommandInvocationStatusCancelling: true,
}

// shell runs `watchbill shell` with a script that ends with 7 a few seconds
// after the hub is killed; its end comes on the channel.
func (f *flight) shell(name, node string) <-chan error {
	c := exec.Command(bin, "shell", node, "--", f.script(name, 4, 6)+"; exit 7")
	c.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + f.dir, "AWS_ENDPOINT_URL=https://" + f.address, "AWS_CA_BUNDLE=" + f.path("hub/ca.pem"), "AWS_REGION=" + hubtest.Region,
		"AWS_ACCESS_KEY_ID=" + hubtest.Admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + hubtest.Admin.SecretAccessKey,
	}
	ended := make(chan error, 1)
	go func() {
		out, err := c.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 7 && string(out) == "done-"+name+"\n" {
			ended <- nil
			return
		} else if ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		ended <- fmt.Errorf("%s: %w, output %q", name, err, out)
	}()
	return ended
}

// stock is a client of the stock protocol.
type stock struct {
	*sessiontest.Client
	name, id string
}

func (f *flight) socket(url string) (*websocket.Conn, error) {
	pem, err := os.ReadFile(f.path("hub/ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, _, err := (&websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}).DialContext(f.t.Context(), url, nil)
	return conn, err
}

func (f *flight) stock(name, node string) *stock {
	var out ssm.StartSessionOutput
	f.must(f.client.Call(f.t.Context(), "ssm", "StartSession", &ssm.StartSessionInput{Target: &node}, &out))
	s := &stock{sessiontest.New(sessiontest.Options{}), name, *out.SessionId}
	conn, err := f.socket(*out.StreamUrl)
	f.must(err)
	f.must(s.Use(conn, *out.TokenValue))
	f.t.Cleanup(s.Drop)
	s.Type(f.script(name, 4, 6) + "-$((40+2)); exit\r")
	return s
}

// resume brings a client back after the kill and sees its session to the end.
func (f *flight) resume(ctx context.Context, s *stock) error {
	var again ssm.ResumeSessionOutput
	if err := f.client.Call(ctx, "ssm", "ResumeSession", &ssm.ResumeSessionInput{SessionId: &s.id}, &again); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if again.TokenValue == nil {
		return fmt.Errorf("%s: %s is no more", s.name, s.id)
	}
	conn, err := f.socket(*again.StreamUrl)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if err := s.Use(conn, *again.TokenValue); err != nil {
		return err
	}
	if err := s.Wait(ctx, mgs.PayloadOutput, "done-"+s.name+"-42"); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if _, err := s.Closed(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return f.marked(ctx, s)
}

// marked waits for the recording, which has to say that a part may be missing.
func (f *flight) marked(ctx context.Context, s *stock) error {
	var out watchbill.GetSessionRecordingOutput
	for {
		err := f.client.Call(ctx, "watchbill", "GetSessionRecording", &watchbill.GetSessionRecordingInput{SessionId: &s.id, Offset: out.NextOffset}, &out)
		if err == nil && *out.Complete && *out.Recording.Status == string(ssm.SessionStatusTerminated) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: the recording is not closed: %+v, %w", s.name, out.Recording, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if out.Recording.Interrupted == nil || !*out.Recording.Interrupted {
		return fmt.Errorf("%s: the recording of %s does not say that it was interrupted", s.name, s.id)
	}
	return nil
}

// lose waits for the end of the session of a client that does not come back.
func (f *flight) lose(ctx context.Context, s *stock) error {
	s.Drop()
	return f.marked(ctx, s)
}

// sessions starts the sessions of a round; the returned function waits for what
// became of them after the kill.
func (f *flight) sessions(round int) (names []string, after func()) {
	var shells []<-chan error
	var back, lost []*stock
	for n := range flightShells + flightStock + flightLost {
		name, node := fmt.Sprintf("r%d-s%d", round, n), f.nodes[n%len(f.nodes)]
		names = append(names, name)
		switch {
		case n < flightShells:
			shells = append(shells, f.shell(name, node))
		case n < flightShells+flightStock:
			back = append(back, f.stock(name, node))
		default:
			lost = append(lost, f.stock(name, node))
		}
	}
	return names, func() { f.afterKill(shells, back, lost) }
}

func (f *flight) afterKill(shells []<-chan error, back, lost []*stock) {
	ctx, cancel := context.WithTimeout(f.t.Context(), withinKill)
	defer cancel()
	var all sync.WaitGroup
	for _, end := range shells {
		all.Go(func() {
			select {
			case err := <-end:
				f.check(err)
			case <-ctx.Done():
				f.t.Errorf("a shell is still there %v after the kill", withinKill)
			}
		})
	}
	for _, s := range back {
		all.Go(func() { f.check(f.resume(ctx, s)) })
	}
	for _, s := range lost {
		all.Go(func() { f.check(f.lose(ctx, s)) })
	}
	all.Wait()
}

func (f *flight) check(err error) {
	if err != nil {
		f.t.Error(err)
	}
}

// TestKillInFlight kills the hub with 50 commands and 20 sessions under way: each
// command starts once and succeeds, sessions go on or end, and what a recording
// may lack is marked.
func TestKillInFlight(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the hub is not killed")
	}
	seed := uint64(time.Now().UnixNano())
	f := newFlight(t, seed)
	n := rounds(t)
	if os.Getenv(roundsVariable) == "" {
		n = 1
	}
	for round := range n {
		names, after := f.sessions(round)
		commands := f.send(round)
		for _, name := range names {
			f.must(hubtest.Await(time.Minute, "the start of "+name, func() (bool, error) { return f.started(name) > 0, nil }))
		}
		<-time.After(time.Duration(f.rand.IntN(500)) * time.Millisecond)
		if len(leftovers(f.world, f.roots)) < len(names) {
			t.Errorf("the scripts under way are not seen among the processes")
		}
		f.hub.Kill()
		began := time.Now()
		f.startHub()
		<-f.hub.Ready
		after()
		sessions := time.Since(began)
		f.finish(commands)
		t.Logf("round %d: sessions were settled %v after the kill, commands %v", round, sessions.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		for _, name := range names {
			if n := f.started(name); n != 1 {
				t.Errorf("session %s started its script %d times", name, n)
			}
		}
		f.noOrphans()
		if t.Failed() {
			break
		}
	}
}

// noOrphans waits until the nodes have no processes below them, and nobody else
// has any of theirs.
func (f *flight) noOrphans() {
	var left []string
	err := hubtest.Await(withinKill, "the end of all processes", func() (bool, error) {
		left = leftovers(f.world, f.roots)
		return len(left) == 0, nil
	})
	if err != nil {
		f.t.Errorf("%v: %q", err, left)
	}
}

// leftovers are the processes below the roots, and those that name the directory
// in their arguments or their environment and are no root.
func leftovers(dir string, roots []int) (out []string) {
	isRoot := map[string]bool{}
	for _, pid := range roots {
		isRoot[fmt.Sprint(pid)] = true
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		at := filepath.Dir(stat)
		pid := filepath.Base(at)
		b, err := os.ReadFile(stat)
		if err != nil || isRoot[pid] {
			continue
		}
		rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		args, _ := os.ReadFile(filepath.Join(at, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(at, "environ"))
		if rest[0] != "Z" && (isRoot[rest[1]] || strings.Contains(string(args)+string(env), dir)) {
			out = append(out, pid+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return out
}
