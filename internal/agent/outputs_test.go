//go:build unix

package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// take keeps pieces of a stream as the hub does until it has size bytes.
func (l *link) take(command, stream string, have []byte, size int) []byte {
	l.t.Helper()
	for len(have) < size {
		var out mgs.JobOutput
		l.until(mgs.TypeJobOutput, &out)
		if out.JobID != mgs.JobID(command, testNode) || out.Step != "run" || out.Stream != stream {
			l.t.Fatalf("piece of %s %s %s", out.JobID, out.Step, out.Stream)
		}
		if out.Offset == int64(len(have)) {
			have = append(have, out.Data...)
		}
		l.send(mgs.TypeJobOutputAck, mgs.JobOutputAck{JobID: out.JobID, Step: out.Step, Stream: out.Stream, Length: int64(len(have))})
	}
	return have
}

// TestLongOutputArrivesWhole loses the channel in the middle of a long stream.
func TestLongOutputArrivesWhole(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	l.command("c1", "head -c 300000 /dev/zero | tr '\\0' '\\377'")
	got := l.take("c1", "stdout", nil, 100_000)
	l.conn.Close()
	l = h.link()
	got = l.take("c1", "stdout", got, 300_000)
	if want := bytes.Repeat([]byte{0xff}, 300_000); !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, or others than were written", len(got))
	}
}

// TestOutputArrivesWhileACommandRuns reads the first line before the script
// may go on.
func TestOutputArrivesWhileACommandRuns(t *testing.T) {
	h := newTestHub(t)
	run(t, h.register())
	l := h.link()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l.command("c1", "echo one", "cat "+pipe+" >/dev/null", "echo two")
	got := l.take("c1", "stdout", nil, 4)
	if err := os.WriteFile(pipe, nil, 0); err != nil {
		t.Fatal(err)
	}
	if got = l.take("c1", "stdout", got, 8); string(got) != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	if c := l.end("c1"); c.RuntimeStatus["run"].StandardOutput != "one\ntwo\n" {
		t.Errorf("%+v", c)
	}
}
