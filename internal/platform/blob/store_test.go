package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/platform/blob"
)

func each(t *testing.T, f func(t *testing.T, s *blob.Store)) {
	for _, url := range []string{"mem://", "file://" + filepath.ToSlash(t.TempDir()) + "/made"} {
		name, _, _ := strings.Cut(url, ":")
		t.Run(name, func(t *testing.T) {
			s, err := blob.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			f(t, s)
		})
	}
}

func put(t *testing.T, s *blob.Store, key, text string) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t *testing.T, s *blob.Store, key string, offset, length int64) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPutAndGet(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store) {
		sum := sha256.Sum256([]byte("hello world"))
		want := blob.Info{Size: 11, SHA256: hex.EncodeToString(sum[:])}
		if d := cmp.Diff(want, put(t, s, "a/b/c-1.txt", "hello world")); d != "" {
			t.Error(d)
		}
		for _, tt := range []struct {
			offset, length int64
			want           string
		}{{0, -1, "hello world"}, {6, -1, "world"}, {0, 5, "hello"}, {6, 100, "world"}, {11, -1, ""}, {3, 0, ""}} {
			if got := read(t, s, "a/b/c-1.txt", tt.offset, tt.length); got != tt.want {
				t.Errorf("Get(%d, %d) = %q, want %q", tt.offset, tt.length, got, tt.want)
			}
		}
		put(t, s, "a/b/c-1.txt", "")
		e, err := s.Stat(t.Context(), "a/b/c-1.txt")
		if err != nil || e.Size != 0 || e.Modified.IsZero() {
			t.Errorf("Stat = %+v, %v", e, err)
		}
	})
}

func TestMissing(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store) {
		if _, err := s.Get(t.Context(), "none", 0, -1); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.Stat(t.Context(), "none"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Stat: %v", err)
		}
		if err := s.Delete(t.Context(), "none"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		put(t, s, "x", "1")
		if err := s.Delete(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		if _, err := s.Stat(t.Context(), "x"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Stat after Delete: %v", err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store) {
		for _, k := range []string{"a/1", "a/2", "a/3/x", "ab", "b/1"} {
			put(t, s, k, k)
		}
		for _, tt := range []struct {
			prefix, after string
			limit         int
			want          string
		}{
			{"a/", "", 10, "a/1 a/2 a/3/x"},
			{"a", "", 10, "a/1 a/2 a/3/x ab"},
			{"a/", "a/1", 10, "a/2 a/3/x"},
			{"", "a/2", 2, "a/3/x ab"},
			{"none/", "", 10, ""},
		} {
			got, err := s.List(t.Context(), tt.prefix, tt.after, tt.limit)
			var keys []string
			for _, e := range got {
				keys = append(keys, e.Key)
			}
			if err != nil || strings.Join(keys, " ") != tt.want {
				t.Errorf("List(%q, %q, %d) = %v, %v, want %s", tt.prefix, tt.after, tt.limit, keys, err, tt.want)
			}
		}
	})
}

// A source that breaks off leaves what was there before, and no rubbish.
func TestPutBrokenOff(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store) {
		put(t, s, "d/k", "old")
		broken := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(errors.New("cut")))
		if _, err := s.Put(t.Context(), "d/k", broken); err == nil || !strings.Contains(err.Error(), "cut") {
			t.Errorf("error = %v", err)
		}
		if got := read(t, s, "d/k", 0, -1); got != "old" {
			t.Errorf("kept %q", got)
		}
		if got, err := s.List(t.Context(), "", "", 10); err != nil || len(got) != 1 {
			t.Errorf("left %v, %v", got, err)
		}
	})
}

func TestKeys(t *testing.T) {
	bad := []string{"", "/", "/a", "a/", "a//b", "..", "a/../b", "../a", "a/./b", "a/.hidden", "a\\b", "a\x00b", "ä", "a b", "a%2f", "a.attrs", "a.tmp", "a.tmp/b", strings.Repeat("a", 201), strings.Repeat("a/", 600) + "a"}
	each(t, func(t *testing.T, s *blob.Store) {
		for _, k := range bad {
			if _, err := s.Put(t.Context(), k, strings.NewReader("x")); err == nil {
				t.Errorf("Put took %q", k)
			}
			if _, err := s.Get(t.Context(), k, 0, -1); err == nil || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("Get took %q: %v", k, err)
			}
			if err := s.Delete(t.Context(), k); err == nil {
				t.Errorf("Delete took %q", k)
			}
		}
		put(t, s, "a/B-1_x=y+z@1.log", "x")
	})
}

// What the store makes is for its own user only.
func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s, err := blob.Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b/c", "x")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Only what a crash left long ago goes: another hub may be writing the rest.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s, err := blob.Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "d/kept", "x")
	old := time.Now().Add(-48 * time.Hour)
	for name, at := range map[string]time.Time{"d/kept": old, "d/a.1.tmp": old, "d/b.2.tmp": time.Now()} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "d"))
	if err != nil || len(left) != 2 || left[0].Name() != "b.2.tmp" || left[1].Name() != "kept" {
		t.Errorf("left %v, %v", left, err)
	}
	if got, err := s.List(t.Context(), "", "", 10); err != nil || len(got) != 1 {
		t.Errorf("listed %v, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, url := range []string{"", "/tmp/x", "file://host/x", "file:x", "ftp://x", "s3://b?profile=x", "file:///x?create_dir=1"} {
		if _, err := blob.Open(t.Context(), url); err == nil {
			t.Errorf("Open(%q) succeeded", url)
		}
	}
}

// TestFull writes to a file system without room, when the test may make one.
func TestFull(t *testing.T) {
	dir := os.Getenv("WATCHBILL_TEST_SMALL_DISK")
	if dir == "" {
		t.Skip("WATCHBILL_TEST_SMALL_DISK names no directory on a small file system")
	}
	s, err := blob.Open(t.Context(), "file://"+dir+"/blobs")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(context.WithoutCancel(t.Context()), "big", io.LimitReader(zeros{}, 1<<30))
	if err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error = %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
