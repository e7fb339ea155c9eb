// Package arch holds the tests that keep the layout of the program true.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/watchbill/watchbill/"

// edges lists what each capability may import from the others. A new line here is a
// design decision: say why in docs/decisions.
var edges = map[string][]string{
	"access":      {"automation", "node", "opsitem"},
	"association": {"automation", "command", "compliance", "document", "node"},
	"automation":  {"document"},
	"change":      {"automation", "document", "opsitem"},
	"command":     {"document", "node"},
	"engage":      {"contact", "oncall"},
	"incident":    {"alarm", "automation", "contact", "engage", "opsitem"},
	"inventory":   {"node"},
	"oncall":      {"contact"},
	"patch":       {"compliance", "node"},
	"rollout":     {"command", "document", "node"},
	"session":     {"document", "node"},
	"window":      {"automation", "command", "node"},
}

// layers lists what each kind of package may import.
var layers = map[string][]string{
	"wire":       {"wire"},
	"api":        {"wire"},
	"lang":       {"lang"},
	"platform":   {"platform", "api", "lang", "wire"},
	"capability": {"platform", "lang", "api", "wire"},
	"gateway":    {"capability", "platform", "lang", "api", "wire", "gateway"},
	"intake":     {"capability", "platform", "lang", "api", "wire", "intake"},
	"channel":    {"capability", "platform", "lang", "api", "wire"},
	"agent":      {"agent", "api", "wire", "lang"},
	"cli":        {"api", "wire", "lang", "cli"},
	"server":     {"server", "gateway", "intake", "channel", "capability", "platform", "lang", "api", "wire", "cli"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) (out []pkg) {
	t.Helper()
	text, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// split gives the layer of a package and, for a capability, its name.
func split(path string) (layer, name string) {
	parts := strings.Split(strings.TrimPrefix(path, module+"internal/"), "/")
	if len(parts) > 1 {
		name = parts[1]
	}
	return parts[0], name
}

func TestImports(t *testing.T) {
	packages := list(t)
	if len(packages) < 30 {
		t.Fatalf("only %d packages were read", len(packages))
	}
	for _, p := range packages {
		layer, name := split(p.ImportPath)
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module+"internal/") {
				continue
			}
			toLayer, toName := split(imp)
			if layer == "capability" && toLayer == "capability" {
				if name != toName && !slices.Contains(edges[name], toName) {
					t.Errorf("%s imports %s: not an edge of the capability graph", p.ImportPath, imp)
				}
			} else if !slices.Contains(layers[layer], toLayer) {
				t.Errorf("%s imports %s: layer %s may import only %v", p.ImportPath, imp, layer, layers[layer])
			}
		}
	}
}

// TestOnlyEgressDials keeps the only way out the only one.
func TestOnlyEgressDials(t *testing.T) {
	dial := regexp.MustCompile(`\bnet\.(Dial|DialTimeout|Dialer)\b|http\.(DefaultClient|Get|Post|PostForm|Head)\b`)
	allowed := []string{"platform/egress/", "wire/client/", "agent/"}
	eachSource(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") || slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(path, a) }) {
			return
		}
		if m := dial.Find(text); m != nil {
			t.Errorf("%s uses %s: go out through platform/egress", path, m)
		}
	})
}

// TestNoSleep keeps waiting out of the program.
func TestNoSleep(t *testing.T) {
	eachSource(t, func(path string, text []byte) {
		if bytes.Contains(text, []byte("time."+"Sleep(")) && !bytes.Contains(text, []byte("testing/synctest")) {
			t.Errorf("%s sleeps", path)
		}
	})
}

// TestSizes keeps files and functions readable.
func TestSizes(t *testing.T) {
	const maxFile, maxFunc = 700, 100
	eachSource(t, func(path string, text []byte) {
		if strings.HasSuffix(path, ".gen.go") {
			return
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) > maxFile {
			t.Errorf("%s has %d lines, the most is %d", path, len(lines), maxFile)
		}
		start := -1
		for i, l := range lines {
			switch {
			case strings.HasPrefix(l, "func ") && strings.HasSuffix(l, "{"):
				start = i
			case l == "}" && start >= 0:
				if i-start > maxFunc {
					t.Errorf("%s:%d: a function of %d lines, the most is %d", path, start+1, i-start, maxFunc)
				}
				start = -1
			}
		}
	})
}

// TestEachPackageIsDocumented wants a package paragraph.
func TestEachPackageIsDocumented(t *testing.T) {
	text, err := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{.Doc}}\t{{len .GoFiles}}", "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if f[1] == "" && f[2] != "0" {
			t.Errorf("%s has no package comment", f[0])
		}
	}
}

func eachSource(t *testing.T, f func(path string, text []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		n++
		f(strings.TrimPrefix(filepath.ToSlash(path), "../"), text)
		return err
	})
	if err != nil || n < 50 {
		t.Fatalf("%d files, %v", n, err)
	}
}
