//go:build unix

package session

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/sessiontest"
)

func TestShell(t *testing.T) {
	h := newTestHub(t)
	h.start("ann-1", request{kind: standardStream, runAs: runAs(), inputs: map[string]any{"shellProfile": map[string]any{"linux": "PS1='ready> '; MARK=profile"}}})
	c := h.client("ann-1", sessiontest.Options{})
	c.Resize(97, 31)
	wants(t, c, mgs.PayloadOutput, "ready> ")
	c.Type("stty size; echo $MARK-$((6*7))\r")
	wants(t, c, mgs.PayloadOutput, "31 97")
	wants(t, c, mgs.PayloadOutput, "profile-42")
	c.Type("sh -c 'echo sle''eps; exec sleep 1000'\r")
	wants(t, c, mgs.PayloadOutput, "sleeps")
	c.Type("\x03") // Ctrl-C
	wants(t, c, mgs.PayloadOutput, "^C\r\nready> ")
	c.Type("echo after-$?\r")
	wants(t, c, mgs.PayloadOutput, "after-130")
	if got := h.svc.Open(); len(got) != 1 || got[0].ID != "ann-1" || got[0].Type != standardStream {
		t.Errorf("Open = %+v", got)
	}
	c.Type("exit\r")
	if text := closes(t, c); text != "" {
		t.Errorf("closed with %q", text)
	}
	if end := h.ended("ann-1"); end.FinalTaskStatus != mgs.TaskSuccess || end.Output != "" {
		t.Errorf("%+v", end)
	}
}

// Everything a command says comes, whole and once, while both sockets break.
func TestShellSurvivesSockets(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{
		"linux": map[string]any{"commands": "stty raw -echo; echo ready; read go; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done; read end"},
	}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "ready\n")
	c.Type("go\n")
	for _, line := range []string{"line 500\n", "line 5000\n", "line 12000\n"} {
		wants(t, c, mgs.PayloadOutput, line)
		h.mu.Lock()
		room := h.rooms["s"]
		h.mu.Unlock()
		room.Cut() // both sockets
		c.Drop()
		h.connect(c, "s")
	}
	wants(t, c, mgs.PayloadOutput, "line 20000\n")
	var want strings.Builder
	want.WriteString("ready\n")
	for i := range 20000 {
		want.WriteString("line " + itoa(i+1) + "\n")
	}
	if got := c.Got(mgs.PayloadOutput); got != want.String() {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
	c.Type("end\n")
	if end := h.ended("s"); end.FinalTaskStatus != mgs.TaskSuccess {
		t.Errorf("%+v", end)
	}
}

func itoa(i int) string {
	var b [8]byte
	n := len(b)
	for ; i > 0; i /= 10 {
		n--
		b[n] = byte('0' + i%10)
	}
	return string(b[n:])
}

func TestNonInteractive(t *testing.T) {
	h := newTestHub(t)
	for _, tt := range []struct {
		id, commands string
		parameters   map[string]any
		version      string
		out, err     string
		exit         string
	}{
		{"no-shell", "echo a; b", nil, "", "a; b\n", "", "EXIT_CODE: 0"},
		{"parameter", "echo {{ x }}", map[string]any{"x": "$(id) `id` {{ y }} ; b"}, "", "$(id) `id` {{ y }} ; b\n", "", "EXIT_CODE: 0"},
		{"command", "{{ command }}", map[string]any{"command": []string{"echo 'one two' three"}}, "", "one two three\n", "", "EXIT_CODE: 0"},
		{"stored", "echo {{ssm:/app/word}}", map[string]any{"word": "no"}, "", "stored {{ word }}\n", "", "EXIT_CODE: 0"},
		{"separate", `sh -c "echo out; echo err >&2; exit 7"`, nil, "1.2.707.0", "out\n", "err\n", "EXIT_CODE: 7"},
		{"old client", `sh -c "echo err >&2; kill -9 $$"`, nil, "1.2.0.0", "err\n", "", "EXIT_CODE: 137"},
	} {
		id := strings.ReplaceAll(tt.id, " ", "-")
		if tt.parameters == nil {
			tt.parameters = map[string]any{}
		}
		tt.parameters["separate"] = []string{"true"}
		h.start(id, request{kind: nonInteractiveCommands, runAs: runAs(), parameters: tt.parameters, properties: map[string]any{
			"linux": map[string]any{"commands": tt.commands, "separateOutputStream": "{{ separate }}", "runAsElevated": false},
		}})
		c := h.client(id, sessiontest.Options{Version: tt.version})
		wants(t, c, mgs.PayloadExitCode, tt.exit)
		closes(t, c)
		if got := c.Got(mgs.PayloadOutput); got != tt.out {
			t.Errorf("%s: output %q, want %q", tt.id, got, tt.out)
		}
		if got := c.Got(mgs.PayloadStdErr); got != tt.err {
			t.Errorf("%s: error output %q, want %q", tt.id, got, tt.err)
		}
	}
}

// A parameter of an interactive command may come as a variable.
func TestInteractiveEnvironment(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), env: true, parameters: map[string]any{"x": "a'; id"}, properties: map[string]any{
		"linux": map[string]any{"commands": `printf '%s\n' "$SSM_x" "{{ x }}" "$HOME-$USER"; exit 3`},
	}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "a'; id\r\n{{ x }}\r\n")
	closes(t, c)
}

func TestFailuresAreTold(t *testing.T) {
	h := newTestHub(t)
	for id, tt := range map[string]struct {
		r    request
		want string
	}{
		"type":     {request{kind: "Telepathy"}, "not supported"},
		"command":  {request{kind: nonInteractiveCommands, properties: map[string]any{"linux": map[string]any{"commands": ""}}}, "no commands"},
		"missing":  {request{kind: nonInteractiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "/does/not/exist"}}}, "unable to start"},
		"user":     {request{kind: standardStream, runAs: "no-such-user"}, "no-such-user"},
		"run as":   {request{kind: standardStream, inputs: map[string]any{"runAsEnabled": true}}, "run-as user"},
		"stored":   {request{kind: nonInteractiveCommands, properties: map[string]any{"linux": map[string]any{"commands": "echo {{ssm:none}}"}}}, "parameter none does not exist"},
		"metadata": {request{kind: portSession, properties: map[string]any{"portNumber": "80", "host": "169.254.169.254"}}, "not allowed"},
		"mapped":   {request{kind: portSession, properties: map[string]any{"portNumber": "80", "host": "::ffff:a9fe:a9fe"}}, "not allowed"},
		"port":     {request{kind: portSession, properties: map[string]any{"portNumber": "0"}}, "port number"},
	} {
		id = "fail-" + strings.ReplaceAll(id, " ", "-")
		h.start(id, tt.r)
		h.client(id, sessiontest.Options{})
		if end := h.ended(id); end.FinalTaskStatus != mgs.TaskFailed || !strings.Contains(end.Output, tt.want) {
			t.Errorf("%s: %+v, want %q", id, end, tt.want)
		}
	}
}

func TestEncrypted(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), inputs: map[string]any{"kmsKeyId": "key-1"}, properties: map[string]any{
		"linux": map[string]any{"commands": "echo secret-$((40+2)); read x; echo got $x"},
	}})
	c := h.client("s", sessiontest.Options{DataKey: func(string) ([]byte, []byte, error) {
		plain := make([]byte, 64)
		_, _ = rand.Read(plain)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.keys["sealed"] = plain
		return plain, []byte("sealed"), nil
	}})
	wants(t, c, mgs.PayloadOutput, "secret-42")
	c.Type("answer\r")
	wants(t, c, mgs.PayloadOutput, "got answer")
	if !strings.Contains(c.Got(mgs.PayloadHandshakeComplete), "encrypted") {
		t.Errorf("handshake ended with %s", c.Got(mgs.PayloadHandshakeComplete))
	}
	closes(t, c)
}

func TestEncryptionRefused(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: standardStream, runAs: runAs(), inputs: map[string]any{"kmsKeyId": "key-1"}})
	c := h.client("s", sessiontest.Options{})
	if text := closes(t, c); !strings.Contains(text, "KMSEncryption") {
		t.Errorf("closed with %q", text)
	}
}

// The hub ends a session: everything it started is gone, and what left the
// terminal's session is named.
func TestTerminate(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{
		"linux": map[string]any{"commands": "trap '' HUP; sleep 1001 & setsid sleep 2 & echo started; while :; do sleep 1; done"},
	}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "started")
	h.mu.Lock()
	h.deaf = true // control and data channel are down
	room := h.rooms["s"]
	h.mu.Unlock()
	room.Cut()
	h.svc.Close("s")
	h.mu.Lock()
	h.deaf = false
	h.mu.Unlock()
	end := h.ended("s")
	if end.FinalTaskStatus != mgs.TaskSuccess || !strings.Contains(end.Output, "sleep (") {
		t.Errorf("%+v", end)
	}
	for _, p := range remaining(-1, "s") {
		if !strings.HasPrefix(p, "sleep (") {
			t.Errorf("left: %s", p)
		}
	}
}

// Nothing starts twice: neither on a repeated request nor after a restart of
// the node program.
func TestStartsOnce(t *testing.T) {
	h := newTestHub(t)
	shell := shellFor(t, "s", request{kind: nonInteractiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "echo once"}}})
	h.svc.Start(shell)
	h.svc.Start(shell)
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadExitCode, "EXIT_CODE: 0")
	closes(t, c)
	h.until("its end", func() bool { return len(h.reports) > 0 })
	h.svc.Shutdown()
	if got := c.Got(mgs.PayloadOutput); got != "once\n" {
		t.Errorf("output %q", got)
	}
	h.dead = map[string]bool{}
	h.svc = h.service()
	if err := h.svc.marks.set("lost"); err != nil { // as a program leaves it that was killed
		t.Fatal(err)
	}
	h.svc.Shutdown()
	h.svc = h.service()
	if end := h.ended("lost"); end.FinalTaskStatus != mgs.TaskFailed || !strings.Contains(end.Output, "while the session ran") {
		t.Errorf("%+v", end)
	}
}

// A session that the hub does not know any more ends at once.
func TestUnknownToTheHub(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "echo up; sleep 1000"}}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "up")
	h.mu.Lock()
	h.dead["s"] = true
	room := h.rooms["s"]
	h.mu.Unlock()
	room.Cut()
	h.ended("s")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dials > 2 {
		t.Errorf("the hub was asked %d times", h.dials)
	}
}

// A client that does not read stops the program, not the node.
func TestSlowReader(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "yes | head -c 4000000; echo; echo done"}}})
	h.until("a data channel", func() bool { return h.rooms["s"] != nil })
	one := func() *session {
		h.svc.mu.Lock()
		defer h.svc.mu.Unlock()
		return h.svc.open["s"]
	}()
	deadline := time.Now().Add(patience)
	for full := false; !full; {
		one.link.mu.Lock()
		full = one.link.stream.Room() == 0
		one.link.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the stream did not fill up")
		}
		<-time.After(10 * time.Millisecond)
	}
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "done")
	closes(t, c)
}

func TestBounded(t *testing.T) {
	h := newTestHub(t)
	for i := range MaxOpen + 1 {
		h.start("s"+itoa(i+1), request{kind: interactiveCommands, runAs: runAs(), properties: map[string]any{"linux": map[string]any{"commands": "sleep 1000"}}})
	}
	if end := h.ended("s" + itoa(MaxOpen+1)); !strings.Contains(end.Output, "too many sessions") {
		t.Errorf("%+v", end)
	}
	for i := range MaxOpen {
		h.svc.Close("s" + itoa(i+1))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(h.svc.Open()) > 0 && ctx.Err() == nil {
		<-time.After(10 * time.Millisecond)
	}
	if n := len(h.svc.Open()); n > 0 {
		t.Errorf("%d sessions are open", n)
	}
}
