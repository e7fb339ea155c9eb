package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLateOperationsAsk: an operation whose resources are known from state only is
// marked late in the table of authorization. The method that serves it, or what it
// calls in its package, must ask authz.Require, authz.Effect or the function that
// the server puts in their place.
func TestLateOperationsAsk(t *testing.T) {
	late := lateOperations(t)
	if len(late) < 10 {
		t.Fatalf("only %d late operations", len(late))
	}
	dirs, err := filepath.Glob("../capability/*")
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	for _, dir := range dirs {
		calls := callsOf(t, dir)
		for name := range calls {
			if !late[name] || !binds(calls, name) {
				continue
			}
			served++
			if !reachesAny(calls, name, map[string]bool{}) {
				t.Errorf("%s serves %s, which is late, and asks for no right", dir, name)
			}
		}
	}
	if served < 5 {
		t.Errorf("only %d late operations are served", served)
	}
}

func lateOperations(t *testing.T) map[string]bool {
	text, err := os.ReadFile("../platform/authz/table.tsv")
	if err != nil {
		t.Fatal(err)
	}
	late := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if c := strings.Split(strings.TrimSpace(line), "\t"); len(c) > 9 && c[9] == "late" {
			late[c[1]] = true
		}
	}
	return late
}

// callsOf lists what each function and method of a package calls, by the last part
// of the names.
func callsOf(t *testing.T, dir string) map[string][]string {
	calls := map[string][]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr: // also functions that are handed on
					calls[fn.Name.Name] = append(calls[fn.Name.Name], n.Sel.Name)
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok {
						calls[fn.Name.Name] = append(calls[fn.Name.Name], id.Name)
					}
				}
				return true
			})
		}
	}
	return calls
}

func binds(calls map[string][]string, operation string) bool {
	for _, c := range calls["Operations"] {
		if c == "Bind"+operation {
			return true
		}
	}
	return false
}

// asking are the names of what decides.
var asking = map[string]bool{"Require": true, "Effect": true, "Allow": true, "PassRole": true}

func reachesAny(calls map[string][]string, from string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, c := range calls[from] {
		if asking[c] || reachesAny(calls, c, seen) {
			return true
		}
	}
	return false
}
