package session

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/hubtest"
)

// sshServer runs a private sshd for the user of the tests and gives its port and
// the options of a client.
func sshServer(t *testing.T) (port string, options []string) {
	t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	for _, p := range []string{sshd, "/usr/bin/ssh", "/usr/bin/scp", "/usr/bin/ssh-keygen"} {
		if _, err := os.Stat(p); err != nil {
			t.Skipf("SKIP: %s is not installed", p)
		}
	}
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if os.Getuid() == 0 {
		_ = os.MkdirAll("/run/sshd", 0o755)
	}
	_, port, err = net.SplitHostPort(hubtest.FreePort(t))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\n", port, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	log := &hubtest.Log{}
	c.Stderr = log
	c.WaitDelay = time.Second // its children hold the pipe
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Log(log)
		}
	})
	await(t, "sshd", func() bool { return strings.Contains(log.String(), "listening on") })
	return port, []string{"-F", "none", "-i", filepath.Join(dir, "user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"}
}

// proxy writes a program that carries an SSH connection, as the ProxyCommand of the
// user guide does.
func (w *world) proxy(t *testing.T, port string) string {
	t.Helper()
	_, c := w.command(t, &ssm.StartSessionInput{DocumentName: new("AWS-StartSSHSession"), Parameters: map[string][]string{"portNumber": {port}}})
	var text strings.Builder
	text.WriteString("#!/bin/sh\nexec env -i")
	for _, word := range append(c.Env, c.Args...) {
		text.WriteString(" '" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte(text.String()+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSSHAndSCP(t *testing.T) {
	w := newWorld(t)
	port, options := sshServer(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	with := func(program string, args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), program, append(append(append([]string{}, options...), "-o", "ProxyCommand="+w.proxy(t, port)), args...)...)
	}
	out, err := with("ssh", me.Username+"@node", "echo over-$((6*7)); exit 3").Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 3 || !strings.Contains(string(out), "over-42") {
		t.Fatalf("ssh: %v %s%s", err, out, stderrOf(err))
	}
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	data := make([]byte, 300_000)
	_, _ = rand.Read(data)
	if err := os.WriteFile(from, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := with("scp", from, me.Username+"@node:"+to).CombinedOutput(); err != nil {
		t.Fatalf("scp: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("scp: other bytes came: %v", err)
	}
}
