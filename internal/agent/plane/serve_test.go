//go:build unix

package plane_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	agent "github.com/watchbill/watchbill/internal/agent/plane"
	hub "github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// open lets every stream pass.
type open struct{}

func (open) Opening(uint32, plane.Open, bool) error { return nil }
func (open) Closed(uint32, plane.Open, hub.Tally)   {}
func (open) Output([]byte) error                    { return nil }
func (open) Input([]byte)                           {}
func (open) Resize(uint16, uint16)                  {}
func (open) Active(int, int)                        {}
func (open) InputClosed() string                    { return "" }
func (open) Left()                                  {}

// serve gives the client's end of a session of a document.
func serve(t *testing.T, document string, parameters map[string]string) *plane.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	relay := hub.NewRelay(open{})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				link := plane.NewLink(c, false)
				if h, err := plane.ReadHello(link); err == nil && h.TokenValue == "node" {
					relay.ServeNode(link)
				} else if err == nil {
					relay.ServeClient(link)
				}
			}()
		}
	}()
	dial := func(token string) (*plane.Link, plane.Welcome, error) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, plane.Welcome{}, err
		}
		link := plane.NewLink(c, true)
		w, err := plane.Greet(link, token)
		return link, w, err
	}
	start := mgs.StartSession{SessionID: "s", DocumentContent: json.RawMessage(document), Parameters: map[string]json.RawMessage{}, Plane: plane.Version}
	for k, v := range parameters {
		start.Parameters[k], _ = json.Marshal(v)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() {
		cfg := agent.Config{Log: slog.New(slog.DiscardHandler), Dial: func(context.Context, string) (*plane.Link, plane.Welcome, error) { return dial("node") }}
		if err := agent.Serve(ctx, cfg, start); err != nil {
			t.Error(err)
		}
	})
	client := plane.NewEndpoint(plane.Config{Client: true, Dial: func(context.Context) (*plane.Link, plane.Welcome, error) { return dial("client") }})
	ends.Go(func() { _ = client.Run(ctx) })
	t.Cleanup(func() { cancel(); _ = l.Close(); ends.Wait() })
	return client
}

const (
	command = `{"schemaVersion":"1.0","sessionType":"NonInteractiveCommands","parameters":{"command":{"type":"String"}},
		"properties":{"linux":{"commands":"{{ command }}","runAsElevated":true},"macos":{"commands":"{{ command }}","runAsElevated":true}}}`
	files = `{"schemaVersion":"1.0","sessionType":"NonInteractiveCommands",
		"properties":{"linux":{"commands":"watchbill:files","runAsElevated":true},"macos":{"commands":"watchbill:files","runAsElevated":true}}}`
	terminal = `{"schemaVersion":"1.0","sessionType":"InteractiveCommands","parameters":{"command":{"type":"String"}},
		"properties":{"linux":{"commands":"{{ command }}","runAsElevated":true},"macos":{"commands":"{{ command }}","runAsElevated":true}}}`
)

// run runs a command with some input.
func run(t *testing.T, line, input string) (plane.Result, string, string) {
	t.Helper()
	st, _, err := serve(t, command, map[string]string{"command": line}).Open(t.Context(), plane.Open{Kind: plane.Exec})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Write([]byte(input)); err != nil {
		t.Fatal(err)
	}
	_ = st.CloseWrite()
	var out, errs bytes.Buffer
	r, err := st.Receive(&out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	return r, out.String(), errs.String()
}

func TestExec(t *testing.T) {
	t.Parallel()
	cases := []struct {
		line, input, out, errs string
		code                   int
		signal                 string
	}{
		{line: "echo out; echo err >&2; exit 7", out: "out\n", errs: "err\n", code: 7},
		{line: "cat", input: "some input", out: "some input"},
		{line: "kill -TERM $$", code: 143, signal: "TERM"},
		{line: "kill -KILL $$", code: 137, signal: "KILL"},
		{line: "no-such-program-here 2>/dev/null", code: 127},
		{line: "sleep 60 & echo started", out: "started\n"}, // a child keeps the pipe
		{line: "echo '{{ command }}'", out: "{{ command }}\n"},
		{line: "head -c 300000 /dev/zero | tr '\\0' x; exit 3", out: strings.Repeat("x", 300000), code: 3},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			r, out, errs := run(t, c.line, c.input)
			if out != c.out || errs != c.errs || r.Code != c.code || r.Signal != c.signal {
				t.Errorf("%d bytes %.80q, %q, code %d, signal %q", len(out), out, errs, r.Code, r.Signal)
			}
		})
	}
}

// A stream that is given up takes its process with it, also when the input has
// ended, or nobody takes it, and when the output waits for a reader.
func TestResetEndsTheProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		act  func(st *plane.Stream) error
	}{
		"at once":         {"exec sleep 600", func(*plane.Stream) error { return nil }},
		"no more input":   {"exec sleep 600", func(st *plane.Stream) error { return st.CloseWrite() }},
		"input not taken": {"exec sleep 600", func(st *plane.Stream) error { _, err := st.Write(make([]byte, 200<<10)); return err }},
		"output not read": {"exec yes", func(st *plane.Stream) error { return st.CloseWrite() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "pid")
			st, _, err := serve(t, command, map[string]string{"command": "echo $$ >" + mark + "; " + c.line}).Open(t.Context(), plane.Open{Kind: plane.Exec})
			if err == nil {
				err = c.act(st)
			}
			if err != nil {
				t.Fatal(err)
			}
			pid := 0
			until(t, func() bool {
				b, _ := os.ReadFile(mark)
				pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
				return err == nil
			})
			st.Reset("given up")
			until(t, func() bool { return !alive(pid) })
		})
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// until waits for a condition.
func until(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come")
		}
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	c := serve(t, terminal, map[string]string{"command": "stty size; read x; stty size; echo got $x; exit 4"})
	st, _, err := c.Open(t.Context(), plane.Open{Kind: plane.Shell, Cols: 91, Rows: 33})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.WriteKind(plane.KindResize, []byte{0, 50, 0, 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte("me\r")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := st.Receive(&out, io.Discard)
	if err != nil || r.Code != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, want := range []string{"20 50", "got me"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

// put sends a file and gives the node's last word.
func put(t *testing.T, c *plane.Endpoint, o plane.Open, data []byte, sum string) (plane.Opened, plane.Result) {
	t.Helper()
	o.Kind = plane.Put
	st, opened, err := c.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if opened.Dir {
		return opened, plane.Result{}
	}
	_, _ = st.Write(data[opened.Offset:])
	_, _ = st.WriteKind(plane.KindSum, []byte(sum))
	_ = st.CloseWrite()
	r, err := st.Receive(io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return opened, r
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestPut(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), serve(t, files, nil)
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	when := time.Unix(1_700_000_000, 0).UTC()
	o := plane.Open{Path: filepath.Join(dir, "f"), Mode: 0o640, Time: when, Size: int64(len(data))}
	if _, r := put(t, c, o, data, sumOf([]byte("else"))); r.Error == "" {
		t.Error("another sum was taken")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v was left", left)
	}
	// Half of it is lost on the way, and is not sent again.
	st, _, err := c.Open(t.Context(), plane.Open{Kind: plane.Put, Path: o.Path, Mode: o.Mode, Time: when, Size: o.Size})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = st.Write(data[:100_000])
	if err := st.Drained(); err != nil {
		t.Fatal(err)
	}
	st.Reset("lost")
	opened, r := put(t, c, o, data, sumOf(data))
	if opened.Offset != 100_000 || r.Error != "" || r.SHA256 != sumOf(data) {
		t.Errorf("%+v, %+v", opened, r)
	}
	got, err := os.ReadFile(o.Path)
	info, _ := os.Stat(o.Path)
	if err != nil || !bytes.Equal(got, data) || info.Mode().Perm() != 0o640 || !info.ModTime().Equal(when) {
		t.Errorf("%d bytes, %v, %v", len(got), info, err)
	}
	if opened, _ := put(t, c, plane.Open{Path: dir}, nil, ""); !opened.Dir {
		t.Error("a directory was overwritten")
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), serve(t, files, nil)
	data := bytes.Repeat([]byte("abcdef"), 50_000)
	name := filepath.Join(dir, "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, have := range [][]byte{nil, data[:1000], data, []byte("other")} {
		st, opened, err := c.Open(t.Context(), plane.Open{Kind: plane.Get, Path: name, Offset: int64(len(have)), SHA256: sumOf(have)})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r, err := st.Receive(&out, io.Discard)
		st.Close()
		all := append(bytes.Clone(data[:opened.Offset]), out.Bytes()...)
		if err != nil || !bytes.Equal(all, data) || r.SHA256 != sumOf(data) || bytes.HasPrefix(data, have) != (opened.Offset == int64(len(have))) {
			t.Errorf("with %d bytes: from %d, %d bytes, %+v, %v", len(have), opened.Offset, out.Len(), r.Exit, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "none"), "/dev/zero"} {
		if _, _, err := c.Open(t.Context(), plane.Open{Kind: plane.Get, Path: path}); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
	if _, opened, err := c.Open(t.Context(), plane.Open{Kind: plane.Get, Path: dir}); err != nil || !opened.Dir {
		t.Errorf("a directory: %+v, %v", opened, err)
	}
}

func TestDocumentDecides(t *testing.T) {
	t.Parallel()
	c := serve(t, `{"sessionType":"Port","properties":{"portNumber":"1","host":"169.254.169.254"}}`, nil)
	for _, o := range []plane.Open{{Kind: plane.Shell}, {Kind: plane.Exec}, {Kind: plane.Get, Path: "/etc/passwd"}, {Kind: plane.TCP}, {Kind: "x"}} {
		_, _, err := c.Open(t.Context(), o)
		if _, reset := errors.AsType[*plane.ResetError](err); err == nil || reset {
			t.Errorf("%s: %v", o.Kind, err)
		}
	}
}
