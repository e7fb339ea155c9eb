//go:build unix

package pack

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/agent/runner"
)

// store is a hub with one package in several versions.
type store struct {
	t        *testing.T
	manager  *Manager
	runner   *runner.Runner
	versions map[string][]byte // archive
	sum      string            // instead of the true one
	log      string            // file that the scripts write to
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{t: t, versions: map[string][]byte{}, log: filepath.Join(t.TempDir(), "log")}
	s.runner = &runner.Runner{}
	s.manager = &Manager{
		Dir: t.TempDir(), Machine: Machine{Platforms: []string{"debian"}, Version: "13", Architectures: []string{"x86_64"}},
		Package: s.find, Exec: s.runner.Exec,
		Open: func(_ context.Context, address string) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(s.versions[address])), nil
		},
	}
	s.runner.Plugins = map[string]runner.Plugin{"aws:configurePackage": s.manager.Plugin}
	return s
}

func (s *store) find(_ context.Context, _, version string) ([]byte, []Attachment, error) {
	b, ok := s.versions[version]
	if !ok {
		return nil, nil, fmt.Errorf("no version %q", version)
	}
	sum := s.sum
	if sum == "" {
		sum = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	content := fmt.Sprintf(`{"schemaVersion":"2.0","version":%q,"packages":{"_any":{"_any":{"x86_64":{"file":"p.zip"}}}},"files":{"p.zip":{"checksums":{"sha256":%q}}}}`, version, sum)
	return []byte(content), []Attachment{{"p.zip", version}}, nil
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		h := &zip.FileHeader{Name: name}
		if text == "link" {
			h.SetMode(fs.ModeSymlink | 0o777)
			text = "/etc/passwd"
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// add adds a version whose scripts write what they do.
func (s *store) add(version string, more map[string]string) {
	files := map[string]string{"data/x": "content"}
	for _, name := range []string{"install", "uninstall", "update"} {
		files[name+".sh"] = "cat data/x; echo " + name + " $BWS_PACKAGE_VERSION $SSM_colour >> " + s.log
	}
	for name, text := range more {
		files[name] = text
	}
	s.versions[version] = archive(s.t, files)
}

func (s *store) run(inputs map[string]any) runner.Result {
	s.t.Helper()
	inputs["name"] = "tool"
	payload, err := json.Marshal(map[string]any{"DocumentContent": map[string]any{
		"schemaVersion": "2.2", "mainSteps": []any{map[string]any{"action": "aws:configurePackage", "name": "p", "inputs": inputs}},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	job, err := runner.ParseJob(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	var res runner.Result
	s.runner.Run(s.t.Context(), s.t.TempDir(), job, runner.Progress{}, func(one runner.Result) { res = one })
	return res
}

func TestPackage(t *testing.T) {
	s := newStore(t)
	s.add("1.0", nil)
	s.add("2.0", nil)
	s.add("3.0", nil)
	for _, step := range []struct {
		inputs map[string]any
		want   string
	}{
		{map[string]any{"action": "Uninstall"}, "is not installed"},
		{map[string]any{"action": "Install", "version": "1.0", "additionalArguments": map[string]any{"colour": "red"}}, "contenttool 1.0 is installed\n"},
		{map[string]any{"action": "Install", "version": "1.0"}, "is installed already"},
		{map[string]any{"action": "Install", "version": "2.0"}, "tool 2.0 is installed"},
		{map[string]any{"action": "Install", "version": "3.0", "installationType": "In-place update"}, "tool 3.0 is installed"},
		{map[string]any{"action": "Uninstall", "version": "1.0"}, "1.0 is not installed"},
		{map[string]any{"action": "Uninstall"}, "tool 3.0 is removed"},
	} {
		if res := s.run(step.inputs); res.Status != runner.Success || !strings.Contains(res.Stdout, step.want) {
			t.Errorf("%v: %+v", step.inputs, res)
		}
	}
	b, _ := os.ReadFile(s.log)
	if got := strings.TrimSpace(string(b)); got != "install 1.0 red\nuninstall 1.0\ninstall 2.0\nupdate 3.0\nuninstall 3.0" {
		t.Errorf("ran %q", strings.ReplaceAll(got, " \n", "\n"))
	}
}

func TestPackageRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(s *store)
		inputs  map[string]any
		want    string
	}{
		"sum":        {func(s *store) { s.sum = strings.Repeat("0", 64) }, nil, "the package's manifest says 000"},
		"no sum":     {func(s *store) { s.sum = "x" }, nil, "no SHA-256"},
		"leads out":  {func(s *store) { s.add("1.0", map[string]string{"../x": "x"}) }, nil, "leads out"},
		"absolute":   {func(s *store) { s.add("1.0", map[string]string{"/tmp/x": "x"}) }, nil, "leads out"},
		"link":       {func(s *store) { s.add("1.0", map[string]string{"l": "link"}) }, nil, "not a file"},
		"no archive": {func(s *store) { s.versions["1.0"] = []byte("text") }, nil, "cannot be read"},
		"script":     {func(s *store) { s.add("1.0", map[string]string{"install.sh": "exit 3"}) }, nil, "exit status 3"},
		"platform":   {func(s *store) { s.manager.Machine.Architectures = []string{"arm64"} }, nil, "nothing for"},
		"action":     {func(*store) {}, map[string]any{"action": "Polish"}, `"Polish" is not`},
		"version":    {func(*store) {}, map[string]any{"action": "Install", "version": "9"}, `no version "9"`},
	} {
		s := newStore(t)
		s.add("1.0", nil)
		tt.prepare(s)
		if tt.inputs == nil {
			tt.inputs = map[string]any{"action": "Install", "version": "1.0"}
		}
		if res := s.run(tt.inputs); res.Status != runner.Failed || !strings.Contains(res.Stderr, tt.want) {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
