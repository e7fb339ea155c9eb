package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTrim(t *testing.T) {
	l, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, id := range []string{"old", "older", "new"} {
		done := l.done(id)
		if err := os.MkdirAll(filepath.Join(done, "step-1"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"record.json", "step-1/stdout"} {
			if err := os.WriteFile(filepath.Join(done, name), make([]byte, 100), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		at := now.Add([]time.Duration{-2 * time.Hour, -30 * time.Hour, -time.Hour}[i])
		if err := os.Chtimes(filepath.Join(done, "record.json"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name    string
		limit   int64
		trimmed int
		left    []string
	}{
		{"by age", 1000, 1, []string{"old", "new"}},
		{"by size", 150, 1, []string{"new"}},
		{"nothing", 150, 0, []string{"new"}},
	} {
		n, err := l.Trim(now.Add(-24*time.Hour), step.limit)
		if err != nil || n != step.trimmed {
			t.Errorf("%s: %d, %v", step.name, n, err)
		}
		left, _ := filepath.Glob(filepath.Join(l.dir, "done", "*", "step-1", "stdout"))
		if len(left) != len(step.left) {
			t.Errorf("%s: left %v", step.name, left)
		}
		records, _ := filepath.Glob(filepath.Join(l.dir, "done", "*", "record.json"))
		if len(records) != 3 {
			t.Errorf("%s: records %v", step.name, records)
		}
	}
}
