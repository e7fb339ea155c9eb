//go:build unix

package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestSecretsStayInMemory runs a script with a secret that looks at its own
// text, prints the secret and uses it: it works, and the secret is in no file
// and in no result.
func TestSecretsStayInMemory(t *testing.T) {
	const secret = "s3cret-$HOME\nsecond line"
	doc := `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":[
	 "find $(dirname \"$MARK\") -type f | xargs cat > /dev/null",
	 "cat <<'E' > \"$MARK\"","{{ssm-secure:/key}}","E",
	 "echo {{ssm-secure:/plain}} {{ssm-secure:/plain}}","cat \"$MARK\" >&2","sha256sum < \"$MARK\""]}}]}`
	mark := filepath.Join(t.TempDir(), "mark")
	t.Setenv("MARK", mark)
	r := &Runner{Stored: func(context.Context, []string, bool) (map[string]string, error) {
		return map[string]string{"/key": secret, "/plain": "word-of-pass"}, nil
	}}
	dir := t.TempDir()
	var res Result
	status, _ := r.Run(t.Context(), dir, parse(t, doc, nil), Progress{}, func(one Result) { res = one })
	want := fmt.Sprintf("**** ****\n%x  -\n", sha256.Sum256([]byte(secret+"\n")))
	if status != Success || res.Stdout != want || res.Stderr != "****\n" {
		t.Errorf("%s %+v", status, res)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("s3cret")) || bytes.Contains(b, []byte("word-of-pass")) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSecretOutputDoesNotWaitForTheBackground(t *testing.T) {
	doc := `{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"run","inputs":{"runCommand":[
	 "# {{ssm-secure:/key}}","sleep 600 & echo $! > \"$MARK\"","echo up"]}}]}`
	mark := filepath.Join(t.TempDir(), "mark")
	t.Setenv("MARK", mark)
	r := &Runner{Stored: func(context.Context, []string, bool) (map[string]string, error) {
		return map[string]string{"/key": "secret"}, nil
	}}
	var res Result
	status, _ := r.Run(t.Context(), t.TempDir(), parse(t, doc, nil), Progress{}, func(one Result) { res = one })
	if p, err := os.FindProcess(readPID(t, mark)); err == nil {
		defer func() { _ = p.Kill() }()
	}
	if status != Success || res.Stdout != "up\n" {
		t.Errorf("%s %+v", status, res)
	}
}

func TestRedactor(t *testing.T) {
	r := newRedactor([]string{"secret", "longer-secret", "ab", "one\n two "})
	for in, want := range map[string]string{
		"a secret and a longer-secret": "a **** and a ****",
		"ab one secre":                 "ab **** secre",
		"two":                          "****",
		"":                             "",
	} {
		if got := r.text(in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
		var out strings.Builder
		r.copy(&out, iotest.OneByteReader(strings.NewReader(in)))
		if out.String() != want {
			t.Errorf("copy(%q) = %q, want %q", in, out.String(), want)
		}
	}
	if newRedactor([]string{"", "ab"}) != nil {
		t.Error("short texts are looked for")
	}
}
