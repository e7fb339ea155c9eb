//go:build unix

package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestRegister(t *testing.T) {
	h := newTestHub(t)
	dir := filepath.Join(t.TempDir(), "state")
	c := Config{Hub: h.server.URL + "/", ActivationID: uuid.NewString(), ActivationCode: testCode, StateDir: dir, CAFile: h.ca}
	for range 2 { // the second time nothing is asked of the hub
		id, err := Register(t.Context(), c)
		if err != nil || id != testNode {
			t.Fatalf("Register = %q, %v", id, err)
		}
	}
	if n := len(h.calls); n != 1 {
		t.Errorf("%d calls", n)
	}
	s, err := registered(dir)
	if err != nil || s.Region != "eu-west-1" || s.Hub != h.server.URL || s.CA == "" {
		t.Errorf("state %+v, %v", s, err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, statePath(dir): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	if b, _ := os.ReadFile(statePath(dir)); strings.Contains(string(b), testCode) {
		t.Error("the activation code is stored")
	}
	c.ActivationID = uuid.NewString()
	if _, err := Register(t.Context(), c); !errors.Is(err, ErrRegistered) {
		t.Errorf("another activation: %v", err)
	}
}

func TestRegisterErrorsAreOneLine(t *testing.T) {
	h := newTestHub(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "https://" + l.Addr().String()
	l.Close()
	noCert := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noCert, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Hub: h.server.URL, ActivationID: uuid.NewString(), ActivationCode: testCode, CAFile: h.ca}
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"bad code", func(c *Config) { c.ActivationCode = "wrong" }, "the hub refused the registration: AccessDeniedException: the activation is not valid"},
		{"nobody there", func(c *Config) { c.Hub = nobody }, "cannot reach the hub at " + nobody + ": dial tcp"},
		{"no CA", func(c *Config) { c.CAFile = "" }, "is not trusted: give its CA file with --ca"},
		{"CA file missing", func(c *Config) { c.CAFile = "/nowhere/ca.pem" }, "cannot read the CA file: open /nowhere/ca.pem"},
		{"CA file empty", func(c *Config) { c.CAFile = noCert }, "the CA file holds no certificate"},
		{"no scheme", func(c *Config) { c.Hub = "127.0.0.1:8443" }, "is not of the form https://HOST:PORT"},
		{"other scheme", func(c *Config) { c.Hub = "ftp://h" }, "is not of the form https://HOST:PORT"},
		{"path", func(c *Config) { c.Hub = "https://h/x" }, "is not of the form https://HOST:PORT"},
		{"plain HTTP", func(c *Config) { c.Hub = "http://hub.example:8080" }, "plain HTTP is only allowed on the loopback address"},
		{"state directory", func(c *Config) { c.StateDir = filepath.Join(h.ca, "x") }, "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			c.StateDir = filepath.Join(t.TempDir(), "state")
			tt.edit(&c)
			_, err := Register(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Register: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRegisterAgainKeepsTheKey repeats a registration whose answer did not
// come: the hub sees the same key and fingerprint.
func TestRegisterAgainKeepsTheKey(t *testing.T) {
	h := newTestHub(t)
	h.refuse["RegisterManagedInstance"] = 1
	dir := filepath.Join(t.TempDir(), "state")
	c := Config{Hub: h.server.URL, ActivationID: uuid.NewString(), ActivationCode: testCode, StateDir: dir, CAFile: h.ca}
	if _, err := Register(t.Context(), c); err == nil {
		t.Fatal("the refused registration succeeded")
	}
	if _, err := registered(dir); !errors.Is(err, ErrNotRegistered) {
		t.Errorf("half a registration: %v", err)
	}
	first, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Register(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	second, err := readState(dir)
	if err != nil || first.Key != second.Key || first.Fingerprint != second.Fingerprint {
		t.Errorf("the second attempt has another key or fingerprint: %v", err)
	}
}
