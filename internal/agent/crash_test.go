//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/google/go-cmp/cmp"
)

// The environment of a second process of this test binary, which takes a job
// and is killed at a point.
const (
	crashPoint = "WATCHBILL_TEST_CRASH"
	crashDir   = "WATCHBILL_TEST_CRASH_DIR"
	crashJob   = "WATCHBILL_TEST_CRASH_JOB"
	crashID    = "WATCHBILL_TEST_CRASH_ID"

	// crashRounds is how many rounds TestCrashRounds has; a few without it.
	crashRounds = "WATCHBILL_CRASH_ROUNDS"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashPoint) != "" {
		fmt.Fprintln(os.Stderr, crash())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crash does not return unless something is wrong.
func crash() error {
	dir := os.Getenv(crashDir)
	s, err := registered(dir)
	if err != nil {
		return err
	}
	n, err := newNode(dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	n.stop = context.Background()
	if err := n.recover(); err != nil {
		return err
	}
	got := n.receive(mgs.AgentJob{Content: os.Getenv(crashJob), JobID: mgs.JobID(os.Getenv(crashID), testNode), Topic: mgs.TopicSendCommand})
	if got.code != mgs.AckOK {
		return fmt.Errorf("ack %s %s", got.code, got.text)
	}
	switch os.Getenv(crashPoint) {
	case "start recorded":
		if err := n.ledger.Start(os.Getenv(crashID)); err != nil {
			return err
		}
		fallthrough
	case "accepted":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	got.then() // the script kills this process
	n.jobs.Wait()
	if os.Getenv(crashPoint) == "ended" {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}

// twoSteps writes a line to a file in each step; the lines behind it are of
// the second step.
func twoSteps(mark string, behind ...string) map[string]any {
	second, _ := json.Marshal(append([]string{"echo second >> " + mark, "echo text of second"}, behind...))
	c := command("c1")
	c["DocumentContent"] = json.RawMessage(`{"schemaVersion":"2.2","mainSteps":[
	 {"action":"aws:runShellScript","name":"first","inputs":{"runCommand":["echo first >> ` + mark + `"]}},
	 {"action":"aws:runShellScript","name":"second","inputs":{"runCommand":` + string(second) + `}},
	 {"action":"aws:runShellScript","name":"third","inputs":{"runCommand":["echo third >> ` + mark + `"]}}]}`)
	return c
}

// TestCrash kills the program with a job at each point and runs it again: no
// step starts twice, and the hub hears what is known.
func TestCrash(t *testing.T) {
	for _, tt := range []struct {
		point  string
		behind string
		status string
		ran    string
		steps  map[string]string
	}{
		{"accepted", "true", "Success", "first second third", map[string]string{"first": "Success", "second": "Success", "third": "Success"}},
		{"start recorded", "true", "Failed", "", map[string]string{"first": "Failed", "second": "Skipped", "third": "Skipped"}},
		{"step runs", "kill -9 $PPID", "Failed", "first second", map[string]string{"first": "Success", "second": "Failed", "third": "Skipped"}},
	} {
		t.Run(tt.point, func(t *testing.T) {
			h := newTestHub(t)
			dir := h.register()
			mark := filepath.Join(t.TempDir(), "mark")
			killed(t, dir, "c1", tt.point, twoSteps(mark, tt.behind))
			run(t, dir)
			l := h.link()
			steps := map[string]string{}
			status := mgs.StatusInProgress
			for status == mgs.StatusInProgress || len(steps) < len(tt.steps) { // replies come in any order
				c, m := l.reply("c1")
				l.ack("c1", m)
				if c.DocumentStatus != mgs.StatusInProgress {
					status = c.DocumentStatus
				}
				for name, s := range c.RuntimeStatus {
					steps[name] = s.Status
					if s.Code == -1 && !strings.Contains(s.StandardError, "the result is unknown") {
						t.Errorf("%s: %+v", name, s)
					}
					if tt.point == "step runs" && name == "second" && s.StandardOutput != "text of second\n" {
						t.Errorf("the output before the crash is lost: %+v", s)
					}
				}
			}
			if diff := cmp.Diff(tt.steps, steps); diff != "" || status != tt.status {
				t.Errorf("status %s, steps (-want +got):\n%s", status, diff)
			}
			b, _ := os.ReadFile(mark)
			if ran := strings.Join(strings.Fields(string(b)), " "); ran != tt.ran {
				t.Errorf("ran %q, want %q", ran, tt.ran)
			}
			if code := l.job("c1", mgs.TopicSendCommand, twoSteps(mark)); code != mgs.AckDuplicate {
				t.Errorf("sent again: ack %s", code)
			}
		})
	}
}

// killed runs this test binary as a node program that dies at a point.
func killed(t *testing.T, dir, id, point string, job any) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashPoint+"="+point, crashDir+"="+dir, crashID+"="+id, crashJob+"="+string(text))
	out, _ := cmd.CombinedOutput()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the program was not killed: %v, %s", cmd.ProcessState, out)
	}
}

// TestCrashRounds kills the program before, during and after a script, again
// and again on one state directory: no script starts twice, and each command
// has an end.
func TestCrashRounds(t *testing.T) {
	rounds := 8
	if text := os.Getenv(crashRounds); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	h := newTestHub(t)
	dir, marks := h.register(), t.TempDir()
	points := []string{"accepted", "start recorded", "step runs", "ended"}
	ran := map[string]int{}
	for i := range rounds {
		id, point := fmt.Sprintf("r%d", i), points[i%len(points)]
		mark := filepath.Join(marks, id)
		line := "echo run >> " + mark
		if point == "step runs" {
			line += "; kill -9 $PPID"
		}
		job := command(id, line)
		killed(t, dir, id, point, job)
		stop := run(t, dir)
		l := h.link()
		if c := l.end(id); c.DocumentStatus == mgs.StatusInProgress {
			t.Errorf("round %d, %s: %+v", i, point, c)
		}
		if code := l.job(id, mgs.TopicSendCommand, job); code != mgs.AckDuplicate {
			t.Errorf("round %d, %s, sent again: ack %s", i, point, code)
		}
		stop()
		b, _ := os.ReadFile(mark)
		count := strings.Count(string(b), "run")
		if count > 1 {
			t.Errorf("round %d, %s: started %d times", i, point, count)
		}
		ran[point] += count
	}
	t.Logf("%d rounds, scripts that ran: %v", rounds, ran)
}
