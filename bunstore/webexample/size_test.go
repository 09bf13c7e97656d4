package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// TestSize keeps the application short. It counts lines of code, which leaves out blank lines, comments and imports.
// Glue is every declaration that is there only because of the library, whole, with what it does for the application.
func TestSize(t *testing.T) {
	is := is.New(t)
	glue := map[string]int{
		"roles": 0, "newApp": 0, "Role": 0, "MemberEmails": 0, "VerifiedEmails": 0, "Join": 0, // host.go
		"inviters": 0, "organizations": 0,
		"mailJob": 0, "enqueueMail": 0, "mailAll": 0, "mailInvitation": 0, // mail.go
		"showMembers": 0, "invite": 0, "manage": 0, // members.go
		"home": 0, "join": 0, "answer": 0, "signUp": 0, // join.go
		"as": 0, "explain": 0, // session.go, pages.go
	}
	code, glued := 0, 0
	paths, err := filepath.Glob("*.go")
	is.NoErr(err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		is.NoErr(err)
		lines := strings.Split(string(text), "\n")
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, text, 0)
		is.NoErr(err)
		for _, d := range f.Decls {
			name := ""
			switch d := d.(type) {
			case *ast.FuncDecl:
				name = d.Name.Name
			case *ast.GenDecl:
				switch spec := d.Specs[0].(type) {
				case *ast.ImportSpec:
					continue
				case *ast.TypeSpec:
					name = spec.Name.Name
				case *ast.ValueSpec:
					name = spec.Names[0].Name
				}
			}
			n := 0
			for _, line := range lines[fset.Position(d.Pos()).Line-1 : fset.Position(d.End()).Line] {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
					n++
				}
			}
			code += n
			if _, ok := glue[name]; ok {
				glue[name] += n
				glued += n
			}
		}
	}
	for name, n := range glue {
		if n == 0 {
			t.Errorf("there is no %s; take it out of this test", name)
		}
	}
	t.Logf("%d lines of code, of which %d are glue", code, glued)
	is.True(code < 600)
	is.True(glued < 612/2) // a new user needed 612 lines of glue for the same pages
}
