package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
)

const output = `goos: linux
cpu: Some CPU @ 2.00GHz
BenchmarkOperations/total 20 1 ns/op
BenchmarkOperations/postgres/Create-2      20   500 ns/op   1.500 x/raw   1.400 x/raw-q1   1.700 x/raw-q3   5 statements/op
BenchmarkOperations/postgres/Create/bound-2   20   400 ns/op   1.234 x/raw   1.2 x/raw-q1   1.3 x/raw-q3
BenchmarkOperations/mariadb/List_10_with_total   20   9 ns/op   1 x/raw   1 x/raw-q1   1 x/raw-q3
BenchmarkGrowth/postgres/Create-2   20   1 ns/op   1.049 x/raw   1 x/raw-q1   1 x/raw-q3
BenchmarkPages/mariadb/rows=10000/offset-2   5   1 ns/op   10000000 median-ns
BenchmarkPages/mariadb/rows=1000/offset-2    5   1 ns/op   1000000 median-ns
BenchmarkPages/mariadb/rows=1000/cursor-2    5   1 ns/op   999 median-ns
BenchmarkPages/mariadb/rows=1000/cursor-2    5   1 ns/op   1000000 median-ns
PASS
`

func TestTable(t *testing.T) {
	is := is.New(t)
	r, err := parse(strings.NewReader(output))
	is.NoErr(err)
	is.Equal(r.table(), `| operation | SQLite | PostgreSQL | MariaDB |
| --- | --- | --- | --- |
| Create |  | 1.50 (1.40–1.70)<br>bound 1.23 (1.20–1.30)<br>×1.0 |  |
| List 10 with total |  |  | 1.00 (1.00–1.00) |
`)
	_, err = parse(strings.NewReader("BenchmarkX-2 1 a ns/op"))
	is.True(err != nil && strings.Contains(err.Error(), "BenchmarkX"))
}

func TestPlot(t *testing.T) {
	is := is.New(t)
	r, err := parse(strings.NewReader(output))
	is.NoErr(err)
	svg := r.plot()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// From 1,000 to 1,000,000 rows there are 460 units, from 0.1 to 1,000 ms there are 340.
	is.True(strings.Contains(svg, `<path d="M70.0 285.0L223.3 200.0" fill="none"`))
	is.True(strings.Contains(svg, `<path d="M70.0 285.0" fill="none"`)) // the later result of the same name
	is.Equal(strings.Count(svg, ">MariaDB, by "), 2)
	is.Equal(strings.Count(svg, ", by "), 2+1)          // and the title
	is.Equal(strings.Count(svg, "stroke-dasharray"), 2) // the line by offset, and its legend
}

// The README shows what was measured last.
func TestReadme(t *testing.T) {
	is := is.New(t)
	file := func(path ...string) string {
		text, err := os.ReadFile(filepath.Join(path...))
		is.NoErr(err)
		return string(text)
	}
	r, err := parse(strings.NewReader(file("..", "..", "testdata", "speed.txt")))
	is.NoErr(err)
	is.Equal(file("..", "..", "testdata", "pages.svg"), r.plot())
	is.True(strings.Contains(file("..", "..", "..", "README.md"), r.table()))
}
