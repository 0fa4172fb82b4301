package melodyud_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/refusals.md anew")

const refusalsPage = "docs/refusals.md"

// found is one refusal as the source has it.
type found struct {
	kind string // of the Err kinds: ErrInvalid
	text string // the sentence, with … for what is filled in
	at   string // file:line
}

// TestEveryRefusalTellsWhatToDo holds the source against the table: every code
// that is used is in it once, every code in it is used.
func TestEveryRefusalTellsWhatToDo(t *testing.T) {
	t.Parallel()
	codes, mentioned := refusalsIn(t, ".")
	for code, at := range mentioned {
		if codes[code] == nil {
			t.Errorf("%s: a decoder refuses with %q, which has no sentence: add it to Reasons in transcode/decode/reasons.go", at, code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if whatToDo[code] == "" {
			t.Errorf("%s: %q is not in the table of refusals: add a row `%q: \"what the reader can do\",` to whatToDo in refusals_table_test.go and run `go test . -run Refusal -update`",
				codes[code][0].at, code, code)
		}
		for _, f := range codes[code] {
			if !strings.HasSuffix(f.text, ".") && f.text != "…" && !strings.HasSuffix(f.text, "…") {
				t.Errorf("%s: the text of %q is no sentence: %q", f.at, code, f.text)
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(whatToDo)) {
		if codes[code] == nil {
			t.Errorf("nothing in the source refuses with %q: delete its row from whatToDo in refusals_table_test.go, or correct the code, and run `go test . -run Refusal -update`", code)
		}
	}
}

func TestThePageOfRefusalsIsGenerated(t *testing.T) {
	t.Parallel()
	codes, _ := refusalsIn(t, ".")
	want := pageOfRefusals(codes)
	if *update {
		if err := os.WriteFile(refusalsPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(refusalsPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the source says: run `go test . -run Refusal -update` and commit it", refusalsPage)
	}
}

func TestARefusalOutsideOfTheTableIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, src := range map[string]string{
		"a.go": "package a\nconst and = \"one\" + \" and\"\nvar x = melodyud.Refuse(melodyud.ErrConflict, \"a.one\", and+` two.`)\n",
		"b.go": "package a\nfunc f() error { return melodyud.Refuse(melodyud.ErrInvalid, \"a.two\", fmt.Sprintf(\"At most %d.\", 3)) }\n",
		"c.go": "package a\nvar r = []Reason{{\"a.three\", melodyud.ErrTooLarge, \"So much.\"}}\nvar l = &melodyud.Refusal{Kind: melodyud.ErrLimited, Code: \"a.four\", Text: \"Wait.\"}\n",
		"d.go": "package a\nvar e = Reject(\"a.five\", \"%d bytes\", 3)\nvar g = &format.Fault{Code: \"a.six\", Cause: \"x\"}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	codes, mentioned := refusalsIn(t, dir)
	for code, all := range codes {
		got[code] = all[0].kind + " " + all[0].text
	}
	want := map[string]string{
		"a.one": "ErrConflict one and two.", "a.two": "ErrInvalid At most ….", "a.three": "ErrTooLarge So much.", "a.four": "ErrLimited Wait.",
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %q", got)
	}
	if len(mentioned) != 2 || mentioned["a.five"] == "" || mentioned["a.six"] == "" {
		t.Errorf("mentioned are %q", mentioned)
	}
}

// refusalsIn finds what the Go files below root refuse with: calls of Refuse,
// literals of Refusal and the decoder's Reasons. Codes that come out of variables
// were refusals before.
func refusalsIn(t *testing.T, root string) (codes map[string][]found, mentioned map[string]string) {
	t.Helper()
	set, packages := token.NewFileSet(), map[string][]*ast.File{}
	eachGoFile(t, root, func(path string, src []byte) {
		file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
	})
	codes, mentioned = map[string][]found{}, map[string]string{}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		r := reader{set: set, codes: codes, mentioned: mentioned, consts: constantsOf(packages[dir])}
		for _, file := range packages[dir] {
			ast.Inspect(file, r.visit)
		}
	}
	return codes, mentioned
}

// constantsOf collects the string constants and variables of a package, by name.
func constantsOf(files []*ast.File) map[string]ast.Expr {
	all := map[string]ast.Expr{}
	for _, file := range files {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
					for i, n := range v.Names {
						all[n.Name] = v.Values[i]
					}
				}
			}
		}
	}
	return all
}

type reader struct {
	set       *token.FileSet
	codes     map[string][]found
	mentioned map[string]string // where a code without a sentence is used
	consts    map[string]ast.Expr
}

func (r reader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		switch name := lastName(n.Fun); {
		case name == "Refuse" && len(n.Args) == 3:
			r.note(n, n.Args[0], n.Args[1], n.Args[2])
		case name == "Reject" && len(n.Args) > 1:
			r.mention(n, n.Args[0])
		}
	case *ast.CompositeLit:
		r.literal(n)
	}
	return true
}

// literal reads a Refusal, a Problem, a decoder's Fault, or a list of refusals.
func (r reader) literal(n *ast.CompositeLit) {
	switch lastName(n.Type) {
	case "Refusal":
		r.note(n, field(n, "Kind"), field(n, "Code"), field(n, "Text"))
	case "Problem":
		r.note(n, field(n, "Status"), field(n, "Code"), field(n, "Detail"))
	case "Fault":
		r.mention(n, field(n, "Code"))
	}
	list, ok := n.Type.(*ast.ArrayType)
	if !ok {
		return
	}
	for _, e := range n.Elts {
		row, ok := e.(*ast.CompositeLit)
		switch {
		case !ok:
		case lastName(list.Elt) == "Reason":
			r.note(e, row.Elts[1], row.Elts[0], row.Elts[2])
		case lastName(list.Elt) == "verdict":
			r.note(e, row.Elts[0], row.Elts[2], row.Elts[3])
		}
	}
}

// mention is a decoder's use of a code, whose sentence is among the Reasons.
func (r reader) mention(at ast.Node, code ast.Expr) {
	if c := r.words(code); c != "…" && !strings.ContainsAny(c, " %") {
		place := r.set.Position(at.Pos())
		r.mentioned[c] = fmt.Sprintf("%s:%d", place.Filename, place.Line)
	}
}

func (r reader) note(at ast.Node, kind, code, text ast.Expr) {
	c := r.words(code)
	if c == "" || strings.Contains(c, "…") {
		return // made of a refusal there was
	}
	place := r.set.Position(at.Pos())
	f := found{kind: lastName(kind), text: r.words(text), at: fmt.Sprintf("%s:%d", place.Filename, place.Line)}
	for _, known := range r.codes[c] {
		if known.text == f.text && known.kind == f.kind {
			return
		}
	}
	r.codes[c] = append(r.codes[c], f)
}

// words evaluates an expression of strings; what only a run knows becomes "…".
func (r reader) words(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return "…"
		}
		return s
	case *ast.ParenExpr:
		return r.words(e.X)
	case *ast.BinaryExpr:
		return r.words(e.X) + r.words(e.Y)
	case *ast.Ident:
		if v, ok := r.consts[e.Name]; ok {
			return r.words(v)
		}
	case *ast.CallExpr:
		if lastName(e.Fun) == "Sprintf" && len(e.Args) > 0 {
			return filledIn(r.words(e.Args[0]))
		}
	}
	return "…"
}

// filledIn puts … where a format has its verbs.
func filledIn(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		end := i + 1 + strings.IndexAny(format[i+1:]+"v", "vdsqgftx%")
		if end < len(format) && format[end] == '%' {
			b.WriteByte('%')
		} else {
			b.WriteString("…")
		}
		i = end
	}
	return b.String()
}

func field(lit *ast.CompositeLit, name string) ast.Expr {
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && lastName(kv.Key) == name {
			return kv.Value
		}
	}
	return nil
}

// lastName is the name an expression ends in: Refuse of melodyud.Refuse.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// statuses are the answers of the HTTP API, as package api gives them.
var statuses = map[string]string{
	"ErrInvalid": "400", "ErrUnauthenticated": "401", "ErrForbidden": "403", "ErrNotFound": "404",
	"ErrConflict": "409", "ErrTooLarge": "413", "ErrLimited": "429", "ErrUnavailable": "503",
}

// pageOfRefusals writes the page: a section for each subject, a row for each code.
func pageOfRefusals(codes map[string][]found) []byte {
	var b bytes.Buffer
	b.WriteString(refusalsHead)
	subject := ""
	byName := func(a, b string) int { return cmp.Or(cmp.Compare(subjectOf(a), subjectOf(b)), cmp.Compare(a, b)) }
	for _, code := range slices.SortedFunc(maps.Keys(codes), byName) {
		if s := subjectOf(code); s != subject {
			subject = s
			title := subjects[s]
			if title == "" {
				title = strings.ToUpper(s[:1]) + s[1:]
			}
			fmt.Fprintf(&b, "\n## %s\n\n| code | status | what is said | what to do |\n|---|---|---|---|\n", title)
		}
		var status, said []string
		for _, f := range codes[code] {
			s := cmp.Or(statuses[f.kind], strings.TrimPrefix(f.kind, "Status"))
			if !slices.Contains(status, s) {
				status = append(status, s)
			}
			if text := readable.Replace(f.text); !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", code, strings.Join(status, ", "), strings.Join(said, "<br>"), whatToDo[code])
	}
	return b.Bytes()
}

// subjectOf is what a code begins with; codes of one word are of any request.
func subjectOf(code string) string {
	s, _, ok := strings.Cut(code, ".")
	if !ok {
		return "request"
	}
	return s
}

// readable puts … for what the decoder's sentences name, and keeps a table whole.
var readable = strings.NewReplacer("{what}", "…", "{min}", "…", "{max}", "…", "|", "\\|", "\n", " ", "<", "&lt;", ">", "&gt;")
