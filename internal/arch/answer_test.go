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

// noAnswer lists the mutating operations that do not name their answer in the
// transaction of the change, as package.Operation, and why. A crash between the change
// and the keeping of the answer leaves a repetition of these without it.
var noAnswer = map[string]string{}

// noRepetition lists the packages whose calls are never answered from memory, and why.
var noRepetition = map[string]string{
	"bucket": "an answer of S3 is no output of a model; a repetition puts or deletes the same again",
}

// TestMutationsNameTheirAnswer wants audit.Answer in each operation that changes
// something, or in a function of its package that the operation calls itself.
func TestMutationsNameTheirAnswer(t *testing.T) {
	mutating := mutatingOperations(t)
	dirs, err := filepath.Glob("../capability/*")
	if err != nil {
		t.Fatal(err)
	}
	n, unused := 0, map[string]bool{}
	for name := range noAnswer {
		unused[name] = true
	}
	for _, dir := range dirs {
		if noRepetition[filepath.Base(dir)] != "" {
			continue
		}
		all := functions(t, dir)
		for name, body := range all {
			operation, isMethod := strings.CutPrefix(name, "Service.")
			if !isMethod || !mutating[operation] {
				continue
			}
			n++
			full := filepath.Base(dir) + "." + operation
			answers := namesAnswer(body, all)
			if _, excepted := noAnswer[full]; answers == excepted {
				t.Errorf("%s: names its answer: %v, is an exception: %v", full, answers, excepted)
			}
			delete(unused, full)
		}
	}
	if n < 60 || len(unused) > 0 {
		t.Errorf("%d operations were looked at; exceptions that are none: %v", n, unused)
	}
}

// mutatingOperations reads the table of operations: its classes mutating and token
// are the ones that change something.
func mutatingOperations(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../platform/authz/table.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, "\t")
		if len(f) > 4 && (f[4] == "mutating" || strings.HasPrefix(f[4], "token:")) {
			out[f[1]] = true
		}
	}
	return out
}

// functions is the bodies of a package's functions: a method under Type.Name.
func functions(t *testing.T, dir string) map[string]*ast.BlockStmt {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.BlockStmt{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				out[receiver(f)+f.Name.Name] = f.Body
			}
		}
	}
	return out
}

// receiver is "Type." for a method, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "."
	}
	return ""
}

// namesAnswer looks into a body and into what it calls of its own package. Methods
// count as those of Service.
func namesAnswer(body *ast.BlockStmt, all map[string]*ast.BlockStmt) bool {
	calls := called(body)
	found := calls["audit.Answer"]
	for name := range calls {
		if next := all[strings.Replace(name, "s.", "Service.", 1)]; next != nil {
			found = found || called(next)["audit.Answer"]
		}
	}
	return found
}

// called is the calls in a body, as they are written: f or x.f. A call that names
// no answer, audit.Answer(tx, nil), does not count.
func called(body *ast.BlockStmt) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 2 && isNil(call.Args[1]) {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			out[f.Name] = true
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok {
				out[x.Name+"."+f.Sel.Name] = true
			}
		}
		return true
	})
	return out
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}
