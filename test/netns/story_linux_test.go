package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/watchbill/watchbill/test/hubtest"
)

// TestStory: three nodes, each in a network of its own. One loses its link in the
// middle of a command and of a shell, without a word to either side.
func TestStory(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes {
		w.comes(n, "Online", patience)
	}
	w.everywhere()
	w.lostLink(w.nodes[1])
	w.stockPlugin(w.nodes[0])
	w.stockPlugin(w.nodes[1]) // the one that was away
}

// everywhere runs a command on all three, and learns from the addresses that each
// is in its own namespace.
func (w *world) everywhere() {
	w.t.Helper()
	out, err := w.watchbill("exec", "-t", "all", "--json", "--script", "ip -o -4 addr show dev eth0")
	w.must(err)
	for n := range nodes {
		if want := fmt.Sprintf("10.213.%d.2/24", n+1); strings.Count(out, want) != 1 {
			w.t.Errorf("exec on all nodes gave %s %d times:\n%s", want, strings.Count(out, want), out)
		}
	}
}

// lostLink cuts the link of a node for longer than it takes to be noticed.
func (w *world) lostLink(n node) {
	w.t.Helper()
	mark := filepath.Join(w.dir, n.space, "mark")
	script := fmt.Sprintf("echo %%s >>%s; sleep 12; echo ended-%%[1]s", mark)
	command := w.spawn(w.mine("exec", "-t", n.id, "--script", fmt.Sprintf(script, "command")))
	shell := w.spawn(w.mine("shell", n.id, "--", fmt.Sprintf(script, "shell")+"; exit 7"))
	w.await("the start", func() (bool, error) {
		b, err := os.ReadFile(mark)
		return strings.Count(string(b), "\n") == 2, err
	})
	w.cut(n, "down")
	lost := w.comes(n, "ConnectionLost", 65*time.Second)
	w.t.Logf("the cut was shown after %v", lost.Round(time.Millisecond))
	for _, other := range w.nodes {
		if other.id != n.id {
			w.comes(other, "Online", patience)
		}
	}
	w.cut(n, "up")
	back := w.comes(n, "Online", 65*time.Second)
	w.t.Logf("the node was back after %v", back.Round(time.Millisecond))
	if code := w.over(command); code != 0 || strings.Count(command.shown(), "ended-command") != 1 {
		w.t.Errorf("the command ended with %d: %q", code, command.shown())
	}
	if code := w.over(shell); code != 7 || strings.Count(shell.shown(), "ended-shell\n") != 1 {
		w.t.Errorf("the shell ended with %d: %q", code, shell.shown())
	}
	if b, _ := os.ReadFile(mark); strings.Count(string(b), "command") != 1 || strings.Count(string(b), "shell") != 1 {
		w.t.Errorf("what started on the node: %q", b)
	}
}

// stockPlugin opens a shell as people do who have the aws CLI and its plugin.
func (w *world) stockPlugin(n node) {
	w.t.Helper()
	plugin, err := filepath.Abs("../../.tools/session-manager-plugin")
	w.must(err)
	if _, err := os.Stat(plugin); err != nil {
		w.t.Log("SKIP the stock plugin: there is none, run make .tools/session-manager-plugin")
		return
	}
	c := w.in(w.me, "aws", "--endpoint-url", hubURL, "ssm", "start-session", "--target", n.id)
	c.Env = append(c.Env, w.env...)
	c.Env = append(c.Env, "PATH="+filepath.Dir(plugin)+":"+os.Getenv("PATH"))
	terminal, err := pty.Start(c)
	w.must(err)
	defer func() { _ = terminal.Close() }()
	j := &job{cmd: c, end: make(chan error, 1)}
	go func() {
		b := make([]byte, 4096)
		for {
			k, err := terminal.Read(b)
			_, _ = j.Write(b[:k])
			if err != nil {
				j.end <- c.Wait()
				return
			}
		}
	}()
	w.t.Cleanup(func() { _ = c.Process.Kill() })
	w.sees(j, "$ ")
	_, err = terminal.WriteString("ip -o -4 addr show dev eth0; echo answer-$((6*7))\n")
	w.must(err)
	w.sees(j, "answer-42")
	_, err = terminal.WriteString("exit\n")
	w.must(err)
	if code := w.over(j); code != 0 || !strings.Contains(j.shown(), "10.213.") || !strings.Contains(j.shown(), "Exiting session") {
		w.t.Errorf("start-session ended with %d: %q", code, j.shown())
	}
}

func (w *world) sees(j *job, text string) {
	w.t.Helper()
	err := hubtest.Await(patience, text, func() (bool, error) { return strings.Contains(j.shown(), text), nil })
	if err != nil {
		w.t.Fatalf("%v; it showed %q", err, j.shown())
	}
}
