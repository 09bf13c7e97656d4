package orginvite_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// TestImportDirections tests that imports point one way: a store does not import package invitation, and only tests
// import an SQL dialect or driver.
func TestImportDirections(t *testing.T) {
	const (
		module = "github.com/orginvite/orginvite/"
		bun    = "github.com/uptrace/bun"
	)
	// allowed lists what the code in a directory may import besides the standard library. Test files may import more.
	allowed := map[string][]string{
		".":                   {},
		"clock":               {},
		"storage":             {},
		"storage/storagekit":  {module + "storage"},
		"storage/storagetest": {module + "storage"},
		"memstore":            {module + "storage", module + "storage/storagekit", "github.com/tidwall/btree"},
		"bunstore": {module + "storage", module + "storage/storagekit", module + "bunstore/internal/bridge",
			bun, bun + "/dialect", bun + "/schema"},
		"bunstore/pgxtx": {module + "storage", module + "bunstore", module + "bunstore/internal/bridge",
			bun + "/dialect", "github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/pgconn",
			"github.com/jackc/pgx/v5/pgtype"},
		"bunstore/internal/bridge":  {module + "storage", bun + "/dialect"},
		"bunstore/internal/faults":  {},
		"bunstore/internal/speed":   {},
		"bunstore/internal/servers": {"github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5/stdlib"},
		"bunstore/internal/engines": {module + "bunstore/internal/faults", bun, bun + "/dialect/sqlitedialect",
			bun + "/dialect/pgdialect", bun + "/dialect/mysqldialect", "github.com/lib/pq", "modernc.org/sqlite",
			"github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/stdlib", "github.com/go-sql-driver/mysql"},
		"invitation": {module + "storage", module + "clock", "github.com/go-playground/validator/v10",
			"github.com/oklog/ulid/v2", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm"},
		"invitation/invitationhttp": {module + "invitation"},
		"invitation/invitationtest": {module + "storage", module + "memstore", module + "invitation"},
	}
	checked := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || file != "." && strings.ContainsAny(d.Name()[:1], "._")):
			return fs.SkipDir // as the go command does
		case d.IsDir() && file != "." && isModule(file):
			return fs.SkipDir // another module has its own requirements
		case path.Ext(file) != ".go":
			return nil
		}
		dir, test := path.Dir(file), strings.HasSuffix(file, "_test.go")
		may, known := allowed[dir]
		if !known {
			t.Errorf("%s: the directory is new; list in this test what it may import", file)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		checked[dir] = true
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			root, _, _ := strings.Cut(imported, "/")
			domain := strings.HasPrefix(imported, module+"invitation")
			switch {
			case imported == "net/http" && dir == "invitation" && !test:
				t.Errorf("%s must not import %s, which links a server; invitationhttp does", file, imported)
			case !strings.Contains(root, "."): // standard library
			case !test && !slices.Contains(may, imported):
				t.Errorf("%s must not import %s", file, imported)
			case test && domain && dir != "." && !strings.HasPrefix(dir, "invitation") &&
				f.Name.Name != "bunstore_test":
				t.Errorf("%s, a test file, must not import %s", file, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range allowed {
		if !checked[dir] {
			t.Errorf("%s: the directory has no Go files; remove it from this test", dir)
		}
	}
}

// exampleFiles returns the slash-separated paths of the files with examples, those of hostexamples too.
func exampleFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"*", "bunstore/hostexamples/*"} {
		found, err := filepath.Glob(filepath.FromSlash(dir + "/example_*test.go"))
		if err != nil || len(found) == 0 {
			t.Fatalf("found the example files %q in %s, error %v", found, dir, err)
		}
		for _, file := range found {
			files = append(files, filepath.ToSlash(file))
		}
	}
	return files
}

// TestExamples tests that each example_THEME_test.go is a whole-file example: one example with the declarations that it
// needs, and no test. The documentation then shows the declarations too.
func TestExamples(t *testing.T) {
	for _, file := range exampleFiles(t) {
		if path.Base(file) == "example_test.go" {
			continue // examples of single methods
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		examples := doc.Examples(f)
		if len(examples) != 1 || examples[0].Output == "" || examples[0].Code != ast.Node(f) {
			t.Errorf("%s is not a whole-file example with an output; see go.dev/blog/examples", file)
		}
	}
}

// TestThreatsOfComments tests that every threat that a comment names, such as C05, has a case in TestThreat.
func TestThreatsOfComments(t *testing.T) {
	threat, leading := regexp.MustCompile(`\bC\d+\b`), regexp.MustCompile(`^"(C\d\d)_`)
	named, comments := map[string]bool{}, map[string]string{}
	for _, dir := range []string{"storage", "storage/storagetest", "memstore", "bunstore", "invitation"} {
		files, err := filepath.Glob(filepath.FromSlash(dir + "/*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range f.Comments {
				for _, id := range threat.FindAllString(group.Text(), -1) {
					comments[id] = file
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && leading.MatchString(l.Value) {
					named[leading.FindStringSubmatch(l.Value)[1]] = true
				}
				return true
			})
		}
	}
	if len(named) == 0 || len(comments) == 0 {
		t.Fatalf("found %d cases of TestThreat and %d threats in comments, want some of both", len(named), len(comments))
	}
	for id, file := range comments {
		if !named[id] {
			t.Errorf("%s: a comment names %s, which has no case in TestThreat", file, id)
		}
	}
}

// isModule reports whether a directory is the root of a module.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(filepath.FromSlash(dir), "go.mod"))
	return err == nil
}

// TestREADME tests that the README shows code that the tests run. Its quickstart is the file of the quickstart example
// without the package clause and imports. Every other block of Go occurs in one of the example files.
func TestREADME(t *testing.T) {
	is := is.New(t)
	const quickstart = "invitation/example_quickstart_test.go"
	read := func(file string) string {
		b, err := os.ReadFile(filepath.FromSlash(file))
		is.NoErr(err)
		return string(b)
	}
	flat := func(code string) string { // ignores the indentation
		lines := strings.Split(strings.TrimSpace(code), "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	}
	var blocks []string
	for _, part := range strings.Split(read("README.md"), "```go\n")[1:] {
		code, _, closed := strings.Cut(part, "```")
		is.True(closed)
		blocks = append(blocks, code)
	}
	is.True(len(blocks) > 0)

	_, body, ok := strings.Cut(read(quickstart), "\n)\n") // the end of the imports
	is.True(ok)
	is.Equal(strings.TrimSpace(blocks[0]), strings.TrimSpace(body)) // copy the example's code into the README
	var examples string
	for _, file := range exampleFiles(t) {
		examples += flat(read(file))
	}
	for _, block := range blocks[1:] {
		if !strings.Contains(examples, flat(block)) {
			t.Errorf("no example contains this code of the README:\n%s", block)
		}
	}

	// The answers to curl come from the golden files. The README breaks them into lines and shortens them with …
	golden, err := filepath.Glob("invitation/testdata/wire/*.json")
	is.NoErr(err)
	var bodies []string
	for _, file := range golden {
		bodies = append(bodies, read(filepath.ToSlash(file)))
	}
	calls := strings.Split(read("README.md"), "    $ curl ")[1:]
	is.True(len(calls) > 0)
	for _, call := range calls {
		_, answer, _ := strings.Cut(call, "\n")
		answer, _, _ = strings.Cut(answer, "\n\n")
		answer = strings.ReplaceAll(flat(answer), "\n", "")
		if !slices.ContainsFunc(bodies, func(body string) bool {
			for part := range strings.SplitSeq(answer, "…") {
				_, rest, found := strings.Cut(body, part)
				if !found {
					return false
				}
				body = rest
			}
			return true
		}) {
			t.Errorf("no golden file contains this answer of the README:\n%s", answer)
		}
	}
}

// TestLibraries tests that the README's table of database libraries shows code of the examples to which it links, and
// that it has all of hostexamples.
func TestLibraries(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Your database library\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, table, _ := strings.Cut(section, "\n| --- ")
	code, link := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`\]\(([^)]+)\) \|$`)
	linked := map[string]bool{}
	for _, row := range strings.Split(table, "\n")[1:] {
		if !strings.HasPrefix(row, "|") {
			break
		}
		to := link.FindStringSubmatch(row)
		if to == nil {
			t.Fatalf("the row has no example: %s", row)
		}
		b, err := os.ReadFile(filepath.FromSlash(to[1]))
		if err != nil {
			t.Fatal(err)
		}
		linked[to[1]] = true
		example := strings.ReplaceAll(string(b), "a.", "") // the fields of the application
		for _, span := range code.FindAllStringSubmatch(row, -1) {
			if !strings.Contains(example, span[1]) {
				t.Errorf("%s does not contain this code of the README: %s", to[1], span[1])
			}
		}
	}
	for _, file := range exampleFiles(t) {
		if strings.HasPrefix(file, "bunstore/hostexamples/") && !linked[file] {
			t.Errorf("the README's table of database libraries does not link to %s", file)
		}
	}
}
