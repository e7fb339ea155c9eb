//go:build unix

package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/release"
)

// The environment of a second process of this test binary, which updates and
// is killed at a point.
const (
	crashPoint = "WATCHBILL_TEST_UPDATE_CRASH"
	crashDir   = "WATCHBILL_TEST_UPDATE_DIR"
	crashKey   = "WATCHBILL_TEST_UPDATE_KEY"
)

func TestMain(m *testing.M) {
	if point := os.Getenv(crashPoint); point != "" {
		u := newUpdater(os.Getenv(crashDir), os.Getenv(crashKey))
		u.at = func(at string) {
			if at == point {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		_, err := u.Update(context.Background(), "c/s", "", false)
		if err == nil {
			err = u.Return("as the test wants")
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// newUpdater works on a directory with the program and the releases of a hub.
func newUpdater(dir, key string) *Updater {
	return &Updater{
		Dir: dir, Exe: filepath.Join(dir, "program"), Version: "1.0.0.0", Platform: "linux/amd64", Keys: []string{key},
		Fetch: func(_ context.Context, name string) (io.ReadCloser, error) {
			return os.Open(filepath.Join(dir, "releases", name))
		},
		Try: func(_ context.Context, path string) (string, error) {
			b, err := os.ReadFile(path)
			_, version, ok := strings.Cut(string(b), "program ")
			if !ok {
				err = errors.New("it is no program")
			}
			return version, err
		},
	}
}

type world struct {
	t   *testing.T
	dir string
	key ed25519.PrivateKey
	*Updater
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	pem, err := release.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := release.ReadKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, key: key, Updater: newUpdater(dir, release.PublicKey(key))}
	if err := os.Mkdir(filepath.Join(dir, "releases"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.put("program", "program 1.0.0.0")
	return w
}

func (w *world) put(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) program() string {
	w.t.Helper()
	b, err := os.ReadFile(w.Exe)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// offer puts a release into the hub.
func (w *world) offer(version string, change ...func(*release.Manifest)) {
	w.t.Helper()
	text := []byte("program " + version)
	digest := sha256.Sum256(text)
	m := release.Manifest{
		Version: version, Expires: time.Now().Add(time.Hour),
		Binaries: map[string]release.Binary{"linux/amd64": {File: "new", Size: int64(len(text)), SHA256: hex.EncodeToString(digest[:])}},
	}
	for _, f := range change {
		f(&m)
	}
	signed, err := release.Sign(m, w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.put("releases/"+ManifestFile, string(signed))
	w.put("releases/new", string(text))
}

func (w *world) begin(want Next) {
	w.t.Helper()
	if next, err := w.Begin(); err != nil || next != want {
		w.t.Fatalf("Begin: %v, %v, want %v", next, err, want)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.offer("1.1.0.0", func(m *release.Manifest) { m.Floor = "1.0.5" })
	w.begin(Nothing)
	if version, err := w.Update(t.Context(), "c/s", "", false); err != nil || version != "1.1.0.0" {
		t.Fatal(version, err)
	}
	if _, known, ended, _ := w.Outcome("c/s"); !known || ended {
		t.Error("the outcome is not open")
	}
	w.Version = "1.1.0.0" // the new program starts
	w.begin(Prove)
	if err := w.Confirm(); err != nil {
		t.Fatal(err)
	}
	w.begin(Nothing)
	if text, _, ended, err := w.Outcome("c/s"); !ended || err != nil || text != "updated from version 1.0.0.0 to 1.1.0.0" {
		t.Error(text, ended, err)
	}
	if _, known, _, _ := w.Outcome("other"); known {
		t.Error("another step has an outcome")
	}
	w.offer("1.0.4")
	if _, err := w.Update(t.Context(), "d/s", "", true); err == nil || !strings.Contains(err.Error(), "below the floor 1.0.5") {
		t.Error(err)
	}
	w.offer("1.0.9")
	if _, err := w.Update(t.Context(), "d/s", "", true); err != nil {
		t.Error(err)
	}
	if w.program() != "program 1.0.9" {
		t.Error(w.program())
	}
}

func TestNewProgramThatDoesNotReachTheHub(t *testing.T) {
	w := newWorld(t)
	w.offer("1.1")
	if _, err := w.Update(t.Context(), "c/s", "", false); err != nil {
		t.Fatal(err)
	}
	for range maxStarts {
		w.begin(Prove) // and it crashes each time
	}
	w.begin(Restart)
	w.begin(Nothing)
	if w.program() != "program 1.0.0.0" {
		t.Error(w.program())
	}
	if _, _, ended, err := w.Outcome("c/s"); !ended || err == nil || !strings.Contains(err.Error(), "given up") {
		t.Error(ended, err)
	}
}

// TestGuard has a new program that never begins: the old one comes back.
func TestGuard(t *testing.T) {
	w := newWorld(t)
	if err := Guard(w.dir, w.Exe); err != nil {
		t.Fatal(err)
	}
	w.offer("1.1")
	if _, err := w.Update(t.Context(), "c/s", "", false); err != nil {
		t.Fatal(err)
	}
	for range maxStarts + 1 {
		if err := Guard(w.dir, w.Exe); err != nil || w.program() != "program 1.1" {
			t.Fatal(err, w.program())
		}
	}
	if err := Guard(w.dir, w.Exe); err != nil || w.program() != "program 1.0.0.0" {
		t.Error(err, w.program())
	}
	w.begin(Nothing)
	if _, _, ended, err := w.Outcome("c/s"); !ended || err == nil || !strings.Contains(err.Error(), "in vain") {
		t.Error(ended, err)
	}
}

// TestBadReleases is a hub that is not to be trusted: nothing changes.
func TestBadReleases(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(w *world)
		want string
	}{
		{"none", func(*world) {}, "no such file"},
		{"same version", func(w *world) { w.offer("1.0") }, "this version already"},
		{"older", func(w *world) { w.offer("0.9") }, "is older"},
		{"not the target", func(w *world) { w.offer("1.2") }, "has version 1.2, not 1.1"},
		{"expired", func(w *world) {
			w.offer("1.1", func(m *release.Manifest) { m.Expires = time.Now().Add(-time.Hour) })
		}, "expired"},
		{"another platform", func(w *world) { w.offer("1.1", func(m *release.Manifest) { swapPlatform(m) }) }, "no program for"},
		{"another key", func(w *world) {
			_, w.key, _ = ed25519.GenerateKey(nil)
			w.offer("1.1")
		}, "not signed"},
		{"no key", func(w *world) { w.Keys = nil; w.offer("1.1") }, "not signed"},
		{"truncated manifest", func(w *world) { w.put("releases/"+ManifestFile, `{"manifest":`) }, "cannot be read"},
		{"truncated program", func(w *world) { w.offer("1.1"); w.put("releases/new", "program") }, "is not the one of the release"},
		{"longer program", func(w *world) { w.offer("1.1"); w.put("releases/new", "program 1.1 and more") }, "is not the one of the release"},
		{"changed program", func(w *world) { w.offer("1.1"); w.put("releases/new", "program 1.2") }, "is not the one of the release"},
		{"program of another version", func(w *world) {
			w.Try = func(context.Context, string) (string, error) { return "1.3", nil }
			w.offer("1.1")
		}, `says it is version "1.3"`},
		{"program that does not run", func(w *world) {
			w.Try = func(context.Context, string) (string, error) { return "", errors.New("exit status 2") }
			w.offer("1.1")
		}, "does not work: exit status 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.do(w)
			_, err := w.Update(t.Context(), "c/s", "1.1", false)
			if tt.want == "this version already" || tt.want == "is older" {
				_, err = w.Update(t.Context(), "c/s", "", false)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if w.program() != "program 1.0.0.0" {
				t.Errorf("the program is %q", w.program())
			}
			w.begin(Nothing)
		})
	}
}

func swapPlatform(m *release.Manifest) {
	for platform, b := range maps.Clone(m.Binaries) {
		delete(m.Binaries, platform)
		m.Binaries["plan9/386"] = b
	}
}

func TestKeysChange(t *testing.T) {
	w := newWorld(t)
	_, next, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.offer("1.1", func(m *release.Manifest) { m.Keys = []string{release.PublicKey(next)} })
	if _, err := w.Update(t.Context(), "c/s", "", false); err != nil {
		t.Fatal(err)
	}
	w.Version = "1.1"
	w.begin(Prove)
	if err := w.Confirm(); err != nil {
		t.Fatal(err)
	}
	w.offer("1.2")
	if _, err := w.Update(t.Context(), "d/s", "", false); !errors.Is(err, release.ErrSignature) {
		t.Errorf("the old key is good: %v", err)
	}
	w.key = next
	w.offer("1.2")
	if _, err := w.Update(t.Context(), "d/s", "", false); err != nil {
		t.Error(err)
	}
}

// TestKilled kills an update, and the return from one, at each point. Then the
// program starts until nothing is left to do: what runs is the old program or
// the new one, whole, and the update has an end.
func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for point, want := range map[string]string{
		"begun": "1.0.0.0", "fetching": "1.0.0.0", "fetched": "1.0.0.0", "tried": "1.0.0.0", "kept": "1.0.0.0", "recorded": "1.0.0.0",
		"switched": "1.1", "returning": "1.0.0.0", "returned": "1.0.0.0",
	} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			w.offer("1.1")
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), crashPoint+"="+point, crashDir+"="+w.dir, crashKey+"="+release.PublicKey(w.key))
			out, _ := cmd.CombinedOutput()
			if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
				t.Fatalf("not killed: %v, %s", cmd.ProcessState, out)
			}
			for i := 0; ; i++ {
				next, err := w.Begin()
				if err != nil || i > 10 {
					t.Fatal(err, i)
				}
				if next == Nothing {
					break
				}
				if next == Prove {
					if err := w.Confirm(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if w.program() != "program "+want {
				t.Errorf("the program is %q", w.program())
			}
			if _, known, ended, err := w.Outcome("c/s"); !known || !ended || (err == nil) != (want == "1.1") {
				t.Errorf("outcome: %v %v %v", known, ended, err)
			}
			w.Clean()
			if _, err := os.Stat(w.staged()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the staged program is left: %v", err)
			}
			w.offer("1.2")
			if _, err := w.Update(t.Context(), "d/s", "", false); err != nil {
				t.Errorf("the next update: %v", err)
			}
		})
	}
}

func TestLargeManifest(t *testing.T) {
	w := newWorld(t)
	w.put("releases/"+ManifestFile, string(bytes.Repeat([]byte(" "), release.MaxManifest+10)))
	if _, err := w.Update(t.Context(), "c/s", "", false); err == nil {
		t.Error("taken")
	}
}
