package melodyud_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The budgets: a package that outgrows them is doing two things.
const (
	maxPackageLines  = 3000
	maxFunctionLines = 80
)

func TestPackagesStayUnderTheLineBudget(t *testing.T) {
	t.Parallel()
	for dir, lines := range packageLines(t, ".") {
		if lines >= maxPackageLines {
			t.Errorf("%s has %d lines of Go, the budget is %d", dir, lines, maxPackageLines)
		}
	}
}

func TestTheLineBudgetNoticesALargePackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := "package big\n" + strings.Repeat("// line\n", maxPackageLines)
	if err := os.WriteFile(filepath.Join(dir, "big.go"), []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := packageLines(t, dir)[dir]; n < maxPackageLines {
		t.Errorf("counted %d lines", n)
	}
}

func TestFunctionsStayShort(t *testing.T) {
	t.Parallel()
	eachGoFile(t, ".", func(path string, src []byte) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
				if n > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, the budget is %d", path, f.Name.Name, n, maxFunctionLines)
				}
			}
		}
	})
}

func packageLines(t *testing.T, root string) map[string]int {
	lines := map[string]int{}
	eachGoFile(t, root, func(path string, src []byte) {
		lines[filepath.Dir(path)] += bytes.Count(src, []byte("\n"))
	})
	return lines
}

// eachGoFile visits the non-test Go files below root.
func eachGoFile(t *testing.T, root string, visit func(path string, src []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == ".cache"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(path, src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
