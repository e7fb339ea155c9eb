package db_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// The store holds what is not sealed, too: nobody else reads it, wherever it lies.
func TestStoreIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	d, err := db.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(name), info.Mode(), err)
		}
	}
}
