package file_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/file"
)

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"a longer text", "short"} {
		if err := file.Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("%v are left, %v", names, err)
	}
	if err := file.Write(filepath.Join(path, "x"), nil, 0o600); err == nil {
		t.Error("a file was written below a file")
	}
}

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := file.Key(path)
	if err != nil || len(made) != file.KeyBytes {
		t.Fatalf("%d bytes, %v", len(made), err)
	}
	if read, err := file.Key(path); err != nil || !bytes.Equal(made, read) {
		t.Errorf("another key was read: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Key(path); err == nil {
		t.Error("a short key is taken")
	}
}

func TestKeysAreTheirOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if _, err := file.Key(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Key(path); err == nil {
		t.Error("a key that others can read was taken")
	}
}
