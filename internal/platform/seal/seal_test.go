package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/seal"
)

func open(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	s, err := seal.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoundTripAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	sealed, err := open(t, path).Seal(t.Context(), []byte("hush"), "row 1")
	if err != nil || bytes.Contains(sealed, []byte("hush")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	plain, err := open(t, path).Open(t.Context(), sealed, "row 1")
	if err != nil || string(plain) != "hush" {
		t.Fatalf("%q, %v", plain, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
}

func TestOpensOnlyUnchangedInItsPlace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a"))
	sealed, err := s.Seal(t.Context(), []byte("hush"), "row 1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), sealed, "row 2"); !errors.Is(err, seal.ErrOpen) {
		t.Error("opened in another place")
	}
	if _, err := open(t, filepath.Join(dir, "b")).Open(t.Context(), sealed, "row 1"); !errors.Is(err, seal.ErrOpen) {
		t.Error("opened with another key")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open(t.Context(), changed, "row 1"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("opened with byte %d changed: %v", i, err)
		}
		if _, err := s.Open(t.Context(), sealed[:i], "row 1"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("opened when cut at %d", i)
		}
	}
}

func TestKeyFileOfTheWrongLength(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenFile(path); err == nil {
		t.Fatal("accepted")
	}
}
