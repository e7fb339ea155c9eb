package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ids(replies []Reply) []string {
	var out []string
	for _, r := range replies {
		out = append(out, r.ID)
	}
	return out
}

// TestLife walks one job through its states and opens the ledger anew behind
// each: what it says then is what a restart finds.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	type found struct {
		Started, Finished, Payload bool
		Reported                   int
		Replies                    []string
	}
	see := func() *found {
		rec, ok := open(t, dir).Get("c1")
		if !ok {
			return nil
		}
		return &found{!rec.Started.IsZero(), !rec.Finished.IsZero(), rec.Payload != "", rec.Reported, ids(rec.Replies)}
	}
	for _, step := range []struct {
		name string
		do   func(*Ledger) error
		want *found
	}{
		{"accept", func(l *Ledger) error { _, err := l.Accept("c1", "job", "{}"); return err }, &found{Payload: true}},
		{"start", func(l *Ledger) error { return l.Start("c1") }, &found{Started: true, Payload: true}},
		{"step", func(l *Ledger) error { return l.Step("c1", Reply{ID: "r1"}) }, &found{Started: true, Payload: true, Reported: 1, Replies: []string{"r1"}}},
		{"unknown ack", func(l *Ledger) error { return l.Acknowledge("c1", "r9") }, &found{Started: true, Payload: true, Reported: 1, Replies: []string{"r1"}}},
		{"finish", func(l *Ledger) error { return l.Finish("c1", Reply{ID: "r2"}) }, &found{Started: true, Finished: true, Reported: 1, Replies: []string{"r1", "r2"}}},
		{"ack", func(l *Ledger) error { return l.Acknowledge("c1", "r1") }, &found{Started: true, Finished: true, Reported: 1, Replies: []string{"r2"}}},
		{"last ack", func(l *Ledger) error { return l.Acknowledge("c1", "r2") }, nil},
		{"ack again", func(l *Ledger) error { return l.Acknowledge("c1", "r2") }, nil},
	} {
		if err := step.do(open(t, dir)); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, see()); diff != "" {
			t.Fatalf("after %s (-want +got):\n%s", step.name, diff)
		}
	}
	if fresh, err := open(t, dir).Accept("c1", "job", "{}"); fresh || err != nil {
		t.Errorf("a done job was accepted again: %v, %v", fresh, err)
	}
}

func TestRefusals(t *testing.T) {
	l := open(t, t.TempDir())
	for _, id := range []string{"", ".", "..", "a/b", "a b", "../../x", "é", string(make([]byte, 129))} {
		if _, err := l.Accept(id, "job", ""); !errors.Is(err, ErrBadID) {
			t.Errorf("Accept(%q): %v", id, err)
		}
	}
	fresh, err := l.Accept("c", "job", "{}")
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if fresh, err := l.Accept("c", "job", "other"); fresh || err != nil {
		t.Errorf("second Accept: %v, %v", fresh, err)
	}
	must(t, l.Start("c"))
	if err := l.Start("c"); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	must(t, l.Finish("c", Reply{ID: "r"}))
	if err := l.Start("c"); !errors.Is(err, ErrFinished) {
		t.Errorf("Start of a finished job: %v", err)
	}
	if err := l.Finish("c", Reply{ID: "r2"}); !errors.Is(err, ErrFinished) {
		t.Errorf("second Finish: %v", err)
	}
	if err := l.Start("other"); !errors.Is(err, ErrNoJob) {
		t.Errorf("Start of no job: %v", err)
	}
}

func TestOpenAfterCrash(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for _, id := range []string{"kept", "damaged"} {
		if _, err := l.Accept(id, "job", "{}"); err != nil {
			t.Fatal(err)
		}
	}
	must(t, os.Mkdir(filepath.Join(dir, "open", "empty"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "open", "damaged", "record.json"), []byte("{"), 0o600))
	l = open(t, dir)
	if recs := l.Open(); len(recs) != 1 || recs[0].CommandID != "kept" {
		t.Errorf("open jobs: %+v", recs)
	}
	if diff := cmp.Diff([]string{"damaged"}, l.Damaged()); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[string]bool{"damaged": false, "empty": true} {
		if fresh, err := l.Accept(id, "job", "{}"); fresh != want || err != nil {
			t.Errorf("Accept(%s) = %v, %v; want %v", id, fresh, err, want)
		}
	}
}

func TestPrune(t *testing.T) {
	l := open(t, t.TempDir())
	now := time.Now()
	for id, age := range map[string]time.Duration{"old": 31 * 24 * time.Hour, "new": time.Hour} {
		_, err := l.Accept(id, "job", "{}")
		must(t, err)
		must(t, l.Finish(id, Reply{ID: "r"}))
		must(t, l.Acknowledge(id, "r"))
		when := now.Add(-age)
		must(t, os.Chtimes(filepath.Join(l.done(id), "record.json"), when, when))
	}
	n, err := l.Prune(now.Add(-30 * 24 * time.Hour))
	if n != 1 || err != nil {
		t.Fatalf("Prune = %d, %v", n, err)
	}
	for id, want := range map[string]bool{"old": true, "new": false} {
		if fresh, _ := l.Accept(id, "job", "{}"); fresh != want {
			t.Errorf("Accept(%s) = %v, want %v", id, fresh, want)
		}
	}
}
