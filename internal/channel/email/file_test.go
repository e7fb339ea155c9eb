package email_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/channel/email"
)

func TestOpen(t *testing.T) {
	s, dir := listen(t, "250 ok"), t.TempDir()
	path := filepath.Join(dir, "email.yaml")
	if e, err := email.Open(path, loopback); e != nil || err != nil {
		t.Fatal("a file that does not exist", e, err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf("host: 127.0.0.1\nport: %d\nfrom: ops@example.com\ntls: plain\n", s.port))
	e, err := email.Open(path, loopback)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Deliver(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"host: x\nfrm: y\n": "line 2", "": "sender", "host: x\nfrom: a@b\npassword-file: gone\n": "password-file",
	} {
		write(text)
		if _, err := email.Open(path, loopback); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
