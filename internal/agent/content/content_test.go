package content

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/agent/runner"

	"github.com/google/go-cmp/cmp"
)

// fakeHub is a hub with a document and some objects; it stands for the network.
type fakeHub struct{}

func (fakeHub) Host() string { return "hub.example:8443" }

func (fakeHub) Document(_ context.Context, name, version string) ([]byte, error) {
	return []byte(name + " version " + version), nil
}

func (fakeHub) Object(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(bucket + " " + key)), nil
}

func (fakeHub) Objects(_ context.Context, bucket, _ string) ([]string, error) {
	if bucket == "evil" {
		return []string{"dir/ok", "dir/../../out"}, nil
	}
	return []string{"dir/", "dir/a", "dir/sub/b"}, nil
}

// step runs the plug-in in a directory and gives the result with the files
// that it wrote below the downloads.
func step(t *testing.T, f *Fetcher, kind string, info map[string]any, destination string) (runner.Result, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	payload, err := json.Marshal(map[string]any{"DocumentContent": map[string]any{
		"schemaVersion": "2.2", "mainSteps": []any{map[string]any{"action": "aws:downloadContent", "name": "get", "inputs": map[string]any{
			"sourceType": kind, "sourceInfo": info, "destinationPath": destination,
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	job, err := runner.ParseJob(payload)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner.Runner{Plugins: map[string]runner.Plugin{"aws:downloadContent": f.Plugin}}
	var res runner.Result
	r.Run(t.Context(), dir, job, runner.Progress{}, func(one runner.Result) { res = one })
	return res, files(t, filepath.Join(dir, "downloads"))
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(b)
		return err
	})
	return out
}

func TestHubContent(t *testing.T) {
	f := &Fetcher{Hub: fakeHub{}}
	for _, tt := range []struct {
		name, kind  string
		info        map[string]any
		destination string
		want        map[string]string
		stderr      string
	}{
		{"document", "SSMDocument", map[string]any{"name": "Doc:3"}, "", map[string]string{"Doc.json": "Doc version 3"}, ""},
		{"document by ARN", "SSMDocument", map[string]any{"name": "arn:aws:ssm:r:1:document/Doc"}, "x.json", map[string]string{"x.json": "arn:aws:ssm:r:1:document/Doc version "}, ""},
		{"object", "S3", map[string]any{"path": "s3://b/k/name.sh"}, "", map[string]string{"name.sh": "b k/name.sh"}, ""},
		{"into a directory", "S3", map[string]any{"path": "https://hub.example:8443/b/k"}, "sub/", map[string]string{"sub/k": "b k"}, ""},
		{"under a name", "S3", map[string]any{"path": "https://s3.amazonaws.com/b/k"}, "sub/name", map[string]string{"sub/name": "b k"}, ""},
		{"bucket in the host", "S3", map[string]any{"path": "https://b.s3.us-east-1.amazonaws.com/k"}, "", map[string]string{"k": "b k"}, ""},
		{"below a prefix", "S3", map[string]any{"path": "s3://b/dir/"}, "", map[string]string{"a": "b dir/a", "sub/b": "b dir/sub/b"}, ""},
		{"keys that lead out", "S3", map[string]any{"path": "s3://evil/dir/"}, "in", map[string]string{"in/ok": "evil dir/ok"}, `the name "../../out" is not one`},
		{"destination that leads out", "S3", map[string]any{"path": "s3://b/k"}, "../x", map[string]string{}, "leads out"},
		{"no bucket", "S3", map[string]any{"path": "s3:///k"}, "", map[string]string{}, "names no bucket"},
		{"source", "Ftp", map[string]any{"x": "y"}, "", map[string]string{}, `"Ftp" is not one of`},
		{"member", "SSMDocument", map[string]any{"nome": "y"}, "", map[string]string{}, "has no name"},
		{"ssh", "Git", map[string]any{"repository": "git@host:x/y.git"}, "", map[string]string{}, "not over ssh"},
		{"file", "HTTP", map[string]any{"url": "file:///etc/passwd"}, "", map[string]string{}, "url is not a URL"},
		{"plain http", "HTTP", map[string]any{"url": "http://example.com/x"}, "", map[string]string{}, "without allowInsecureDownload"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, got := step(t, f, tt.kind, tt.info, tt.destination)
			if diff := cmp.Diff(tt.want, got); diff != "" || !strings.Contains(res.Stderr, tt.stderr) || (tt.stderr == "") != (res.Status == runner.Success) {
				t.Errorf("%+v, files (-want +got):\n%s", res, diff)
			}
		})
	}
}

// web is a server with a certificate of its own.
func web(t *testing.T) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "content for %s%s%s", user, password, r.Header.Get("X-Key"))
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/file", http.StatusFound) })
	mux.HandleFunc("/down", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/file", http.StatusFound)
	})
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://169.254.169.254/latest", http.StatusFound)
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, roots
}

func TestHTTP(t *testing.T) {
	s, roots := web(t)
	f := &Fetcher{Hub: fakeHub{}, Loopback: true, Roots: roots, MaxBytes: 50_000}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("content for ")))
	for _, tt := range []struct {
		name   string
		path   string
		more   map[string]any
		want   string
		stderr string
	}{
		{"file", "/file", map[string]any{"sha256": sum}, "content for ", ""},
		{"redirect", "/moved", nil, "content for ", ""},
		{"basic", "/file", map[string]any{"authMethod": "Basic", "username": "u", "password": "p"}, "content for up", ""},
		{"header", "/file", map[string]any{"authMethod": "Header", "username": "X-Key", "password": "k"}, "content for k", ""},
		{"digest", "/file", map[string]any{"authMethod": "Digest"}, "", "authMethod Digest is not supported"},
		{"other sum", "/file", map[string]any{"sha256": strings.Repeat("0", 64)}, "", "has SHA-256 " + sum},
		{"too large", "/large", nil, "", "larger than the limit"},
		{"loop", "/loop", nil, "", "more than 3 redirects"},
		{"to http", "/down", nil, "", "a redirect to http is not followed"},
		{"to metadata", "/metadata", nil, "", "not fetched from 169.254.169.254"},
		{"missing", "/none", nil, "", "404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info := map[string]any{"url": s.URL + tt.path + "?token=hidden-token"}
			for k, v := range tt.more {
				info[k] = v
			}
			res, got := step(t, f, "HTTP", info, "out")
			if got["out"] != tt.want || !strings.Contains(res.Stderr, tt.stderr) || (tt.stderr == "") != (res.Status == runner.Success) {
				t.Errorf("%+v, files %v", res, got)
			}
			if strings.Contains(res.Stdout+res.Stderr, "hidden-token") {
				t.Errorf("the query is shown: %+v", res)
			}
			if tt.stderr != "" && len(got) > 0 {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestThisMachineIsNotASource(t *testing.T) {
	s, roots := web(t)
	res, _ := step(t, &Fetcher{Hub: fakeHub{}, Roots: roots}, "HTTP", map[string]any{"url": s.URL + "/file"}, "")
	if res.Status != runner.Failed || !strings.Contains(res.Stderr, "is this machine") {
		t.Errorf("%+v", res)
	}
	for _, address := range []string{
		"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "0.0.0.0:1", "[::]:1", "169.254.169.254:80", "[::ffff:169.254.169.254]:80",
		"[fe80::1%eth0]:1", "[fd00:ec2::254]:80", "224.0.0.1:1",
	} {
		if allowed(address, false) == nil {
			t.Errorf("%s is allowed", address)
		}
	}
	for _, address := range []string{"10.0.0.1:443", "192.0.2.1:443", "[2001:db8::1]:443"} {
		if err := allowed(address, false); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// repository serves a repository with two commits and a link in it.
func repository(t *testing.T) (url, first string) {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git here to serve a repository")
	}
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command(program, append([]string{"-C", filepath.Join(dir, "r.git")}, args...)...)
		cmd.Env = append(
			os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
			"GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v, %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, "r.git", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("docs/a.txt", "first", 0o644)
	git("init", "-q", "-b", "main")
	git("config", "http.uploadpack", "true")
	git("add", ".")
	git("commit", "-qm", "one")
	first = git("rev-parse", "HEAD")
	write("docs/a.txt", "second", 0o644)
	write("docs/run.sh", "#!/bin/sh\n", 0o755)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "r.git", "docs", "link")); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-qm", "two")
	git("update-server-info")
	s := httptest.NewServer(&cgi.Handler{Path: program, Args: []string{"http-backend"}, Env: []string{
		"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}})
	t.Cleanup(s.Close)
	return s.URL + "/r.git", first
}

func TestGit(t *testing.T) {
	url, first := repository(t)
	f := &Fetcher{Hub: fakeHub{}, Loopback: true}
	for _, tt := range []struct {
		name   string
		more   map[string]any
		want   map[string]string
		stderr string
	}{
		{"all", nil, map[string]string{"docs/a.txt": "second", "docs/run.sh": "#!/bin/sh\n"}, ""},
		{"directory", map[string]any{"path": "docs/"}, map[string]string{"a.txt": "second", "run.sh": "#!/bin/sh\n"}, ""},
		{"file", map[string]any{"path": "docs/a.txt"}, map[string]string{"a.txt": "second"}, ""},
		{"branch", map[string]any{"path": "docs/a.txt", "getOptions": "branch:main"}, map[string]string{"a.txt": "second"}, ""},
		{"commit", map[string]any{"getOptions": "commitID:" + first}, map[string]string{"docs/a.txt": "first"}, ""},
		{"no such branch", map[string]any{"getOptions": "branch:none"}, map[string]string{}, "remote ref"},
		{"no such path", map[string]any{"path": "none"}, map[string]string{}, "path none"},
		{"path that leads out", map[string]any{"path": "../../etc/passwd"}, map[string]string{}, "path etc/passwd"},
		{"options", map[string]any{"getOptions": "tag:x"}, map[string]string{}, "getOptions is not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info := map[string]any{"repository": url, "allowInsecureDownload": true}
			for k, v := range tt.more {
				info[k] = v
			}
			res, got := step(t, f, "Git", info, "")
			if diff := cmp.Diff(tt.want, got); diff != "" || !strings.Contains(res.Stderr, tt.stderr) || (tt.stderr == "") != (res.Status == runner.Success) {
				t.Errorf("%+v, files (-want +got):\n%s", res, diff)
			}
			if tt.name == "all" && !strings.Contains(res.Stdout, "docs/link is left out") {
				t.Errorf("%+v", res)
			}
		})
	}
	small := &Fetcher{Hub: fakeHub{}, Loopback: true, MaxBytes: 100}
	if res, got := step(t, small, "Git", map[string]any{"repository": url, "allowInsecureDownload": true}, ""); res.Status != runner.Failed || len(got) > 0 {
		t.Errorf("%+v %v", res, got)
	}
	if res, _ := step(t, &Fetcher{Hub: fakeHub{}}, "Git", map[string]any{"repository": url, "allowInsecureDownload": true}, ""); !strings.Contains(res.Stderr, "this machine") {
		t.Errorf("%+v", res)
	}
}

// TestLinksAreNotFollowed puts links where content is to go.
func TestLinksAreNotFollowed(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	p, err := open(dir+"/", "", false, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.write("link/x", 0o644, strings.NewReader("x")); err == nil {
		t.Error("a link was followed")
	}
	if got := files(t, outside); len(got) > 0 {
		t.Errorf("written outside: %v", got)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "..", "../x", "/x", "a/../b", "a//b", "a/./b", "a\\b", "a\x00", "c:x", strings.Repeat("x", 2000)} {
		if check(bad) == nil {
			t.Errorf("%q is allowed", bad)
		}
	}
}

func FuzzWrite(f *testing.F) {
	for _, name := range []string{"a", "a/b", "../a", "..", ".part-a", "a/../../b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		dir := t.TempDir()
		in := filepath.Join(dir, "in")
		p, err := open(in+"/", "", false, 100)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		_ = p.write(name, 0o644, bytes.NewReader([]byte("x")))
		entries, err := os.ReadDir(dir)
		if err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != "in" }) {
			t.Errorf("%q wrote outside: %v", name, entries)
		}
	})
}
