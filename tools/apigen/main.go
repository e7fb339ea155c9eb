// Command apigen writes the Go packages of the API contract from the pinned model facts:
//
//	go run ./apigen -root .. ssm=ssm ssm-incidents=incidents ssm-contacts=contacts sts=sts watchbill=watchbill kms=kms logs=logs
package main

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	for _, arg := range flag.Args() {
		model, pkg, ok := strings.Cut(arg, "=")
		if !ok {
			fail(fmt.Errorf("want MODEL=PACKAGE, have %q", arg))
		}
		if err := generate(*root, model, pkg); err != nil {
			fail(fmt.Errorf("%s: %w", model, err))
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "apigen:", err)
	os.Exit(1)
}

func generate(root, model, pkg string) error {
	m, err := load(filepath.Join(root, "internal/api/model", model+".json"))
	if err != nil {
		return err
	}
	g, err := newGenerator(m, model, pkg)
	if err != nil {
		return err
	}
	files := map[string]string{
		"types.gen.go":      g.types(),
		"enums.gen.go":      g.enums(),
		"errors.gen.go":     g.errors(),
		"schema.gen.go":     g.schema(),
		"operations.gen.go": g.operations(),
	}
	dir := filepath.Join(root, "internal/api", pkg)
	for name, src := range files {
		b, err := format.Source([]byte(src))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
