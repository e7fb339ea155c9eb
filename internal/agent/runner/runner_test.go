//go:build unix

package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func parse(t *testing.T, document string, parameters map[string]any) Job {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"DocumentName": "Test", "DocumentContent": json.RawMessage(document), "Parameters": parameters,
	})
	if err != nil {
		t.Fatal(err)
	}
	job, err := ParseJob(payload)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func shell(lines ...string) string {
	b, _ := json.Marshal(map[string]any{"schemaVersion": "2.2", "mainSteps": []any{
		map[string]any{"action": "aws:runShellScript", "name": "run", "inputs": map[string]any{"runCommand": lines}},
	}})
	return string(b)
}

func run(t *testing.T, ctx context.Context, job Job) (Status, []Result) {
	t.Helper()
	var results []Result
	r := &Runner{InstanceID: "mi-1", Region: "us-east-1"}
	status, _ := r.Run(ctx, t.TempDir(), job, Progress{}, func(res Result) { results = append(results, res) })
	return status, results
}

var noTimes = cmpopts.IgnoreFields(Result{}, "Start", "End")

func TestShellScript(t *testing.T) {
	tests := []struct {
		name   string
		lines  []string
		status Status
		want   Result
	}{
		{"output", []string{"echo out", "echo err >&2"}, Success, Result{Status: Success, Stdout: "out\n", Stderr: "err\n"}},
		{"exit code", []string{"echo a", "exit 3"}, Failed, Result{Status: Failed, Code: 3, Stdout: "a\n", Stderr: "failed to run commands: exit status 3"}},
		{"exit code behind open line", []string{"printf x >&2; exit 4"}, Failed, Result{Status: Failed, Code: 4, Stderr: "x\nfailed to run commands: exit status 4"}},
		{"command not found", []string{"no-such-program-here 2>/dev/null"}, Failed, Result{Status: Failed, Code: 127, Stderr: "failed to run commands: exit status 127"}},
		{"killed by signal", []string{"kill -TERM $$"}, Failed, Result{Status: Failed, Code: 143, Signal: "SIGTERM", Stderr: "failed to run commands: signal: terminated"}},
		{"success code", []string{"exit 168"}, Success, Result{Status: Success, Stderr: "failed to run commands: exit status 168"}},
		{"fail-fast code", []string{"exit 169"}, Failed, Result{Status: Failed, Code: 169, Stderr: "failed to run commands: exit status 169"}},
		{"environment", []string{"echo $AWS_SSM_INSTANCE_ID $AWS_SSM_REGION_NAME"}, Success, Result{Status: Success, Stdout: "mi-1 us-east-1\n"}},
		{"first line names the shell", []string{"#!/bin/sh -e", "false", "echo not reached"}, Failed, Result{Status: Failed, Code: 1, Stderr: "failed to run commands: exit status 1"}},
		{"no input", []string{"cat; echo end"}, Success, Result{Status: Success, Stdout: "end\n"}},
		{"binary", []string{`printf 'a\000\377\376b'`}, Success, Result{Status: Success, Stdout: "a\uFFFD\uFFFD\uFFFDb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, results := run(t, t.Context(), parse(t, shell(tt.lines...), nil))
			tt.want.Name, tt.want.Action = "run", "aws:runShellScript"
			if diff := cmp.Diff([]Result{tt.want}, results, noTimes); diff != "" || status != tt.status {
				t.Errorf("status %s, results (-want +got):\n%s", status, diff)
			}
		})
	}
}

func TestBackgroundProcessDoesNotHoldTheStep(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	status, results := run(t, t.Context(), parse(t, shell("sleep 600 & echo $! > "+pid, "echo started"), nil))
	n := readPID(t, pid)
	defer syscall.Kill(n, syscall.SIGKILL)
	if status != Success || results[0].Stdout != "started\n" {
		t.Errorf("%s %+v", status, results)
	}
	if err := syscall.Kill(n, 0); err != nil {
		t.Errorf("the process in the background is gone: %v", err)
	}
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fifo makes a named pipe and waits for the first line that a script writes.
func fifo(t *testing.T) (path string, line func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r := bufio.NewReader(f)
	return path, func() string {
		s, err := r.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(s)
	}
}

// gone waits until a process has ended: the last writer of a pipe it holds
// open has left.
func gone(t *testing.T, r *os.File) {
	t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a process of the script is still alive")
	}
}

func TestEndKillsGrandchildren(t *testing.T) {
	tests := []struct {
		name    string
		cause   error
		timeout time.Duration
		status  Status
		code    int
	}{
		{"cancel", ErrCancelled, time.Hour, Cancelled, 137},
		{"stop", ErrStopped, time.Hour, Failed, 137},
		{"time", nil, 300 * time.Millisecond, TimedOut, 137},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			ready, line := fifo(t)
			alive := filepath.Join(t.TempDir(), "alive")
			if err := syscall.Mkfifo(alive, 0o600); err != nil {
				t.Fatal(err)
			}
			held, err := os.OpenFile(alive, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			text := "exec 3>" + alive + "\n(sh -c 'sleep 600; :' & wait) &\necho up > " + ready + "\nwait\n"
			go func() {
				line()
				if tt.cause != nil {
					cancel(tt.cause)
				}
			}()
			res := runScript(t, ctx, script{text: text, timeout: tt.timeout})
			if res.Status != tt.status || res.Code != tt.code {
				t.Errorf("%+v", res)
			}
			gone(t, held)
		})
	}
}

func runScript(t *testing.T, ctx context.Context, s script) Result {
	t.Helper()
	dir := t.TempDir()
	out, err := openStreams(dir, defaultMaxStream)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	if s.timeout < minTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
		defer cancel()
	}
	c := &Call{Dir: dir, ID: "c/s", index: 1, out: out, Inputs: map[string]any{
		"runCommand": s.text, "timeoutSeconds": s.timeout.Seconds(),
	}}
	res := new(Runner).shell(ctx, c)
	res.Stdout, res.Stderr = out.text()
	return res
}

func TestLargeOutputIsCut(t *testing.T) {
	dir := t.TempDir()
	var res Result
	r := &Runner{MaxStream: 100_000}
	job := parse(t, shell("head -c 5000000 /dev/zero | tr '\\0' é | head -c 5000000", "head -c 50000 /dev/zero | tr '\\0' e >&2", "exit 5"), nil)
	status, _ := r.Run(t.Context(), dir, job, Progress{}, func(one Result) { res = one })
	if status != Failed || res.Code != 5 {
		t.Errorf("status %s code %d", status, res.Code)
	}
	if n := utf8.RuneCountInString(res.Stdout); n != MaxStdout || !strings.HasSuffix(res.Stdout, truncated) {
		t.Errorf("stdout has %d characters and ends with %q", n, res.Stdout[len(res.Stdout)-30:])
	}
	wantEnd := truncated + "\nfailed to run commands: exit status 5"
	if n := utf8.RuneCountInString(res.Stderr); n != MaxStderr || !strings.HasSuffix(res.Stderr, wantEnd) {
		t.Errorf("stderr has %d characters and ends with %q", n, res.Stderr[len(res.Stderr)-80:])
	}
	for name, want := range map[string]int64{"stdout": 100_000, "stderr": 50_000} {
		st, err := os.Stat(filepath.Join(dir, "step-1", name))
		if err != nil || st.Size() != want {
			t.Errorf("%s: %v, %d bytes, want %d", name, err, st.Size(), want)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	var res Result
	new(Runner).Run(t.Context(), dir, parse(t, shell(`stat -c %a "$0" 2>/dev/null || stat -f %Lp "$0"`), nil), Progress{}, func(r Result) { res = r })
	if res.Stdout != "700\n" {
		t.Errorf("the script has mode %s", res.Stdout)
	}
	if _, err := os.Stat(filepath.Join(dir, "step-1", "1-script.sh")); err == nil {
		t.Error("the script is still there")
	}
	want := map[string]os.FileMode{"": 0o700, "stdout": 0o600, "stderr": 0o600}
	for name, mode := range want {
		st, err := os.Stat(filepath.Join(dir, "step-1", name))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%q: %v, mode %v, want %v", name, err, st.Mode(), mode)
		}
	}
}

func TestWorkingDirectory(t *testing.T) {
	doc := `{"schemaVersion":"2.2","parameters":{"dir":{"type":"String"}},"mainSteps":[
	 {"action":"aws:runShellScript","name":"run","inputs":{"runCommand":["pwd"],"workingDirectory":"{{ dir }}"}}]}`
	here := t.TempDir()
	for _, tt := range []struct{ dir, stdout, stderr string }{
		{here, here + "\n", ""},
		{here + "/missing", "", "workingDirectory " + here + "/missing is not a directory on this node"},
	} {
		_, results := run(t, t.Context(), parse(t, doc, map[string]any{"dir": tt.dir}))
		if results[0].Stdout != tt.stdout || results[0].Stderr != tt.stderr {
			t.Errorf("%s: %+v", tt.dir, results[0])
		}
	}
}

func TestCancelledBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrCancelled)
	mark := filepath.Join(t.TempDir(), "mark")
	status, results := run(t, ctx, parse(t, shell("touch "+mark), nil))
	if status != Cancelled || results[0].Status != Cancelled || results[0].Code != 1 {
		t.Errorf("%s %+v", status, results)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the script ran")
	}
}
