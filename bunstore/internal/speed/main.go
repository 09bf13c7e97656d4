// Command speed reads the results of the benchmarks of bunstore from a file. It prints the table of the README, and
// writes the plot to pages.svg beside the file.
//
//	go run ./bunstore/internal/speed bunstore/testdata/speed.txt
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: speed FILE")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	r, err := parse(bytes.NewReader(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(r.table())
	plot := filepath.Join(filepath.Dir(os.Args[1]), "pages.svg")
	if err := os.WriteFile(plot, []byte(r.plot()), 0o666); err != nil {
		log.Fatal(err)
	}
}

// engines are the columns of the table and the colours of the plot.
var engines = []struct{ key, name, colour string }{
	{"sqlite-one-connection", "SQLite", "#1b7837"},
	{"postgres", "PostgreSQL", "#2166ac"},
	{"mariadb", "MariaDB", "#b2182b"},
}

// result is one line of the output of go test -bench.
type result struct {
	name   string             // without "Benchmark" and the number of processors
	values map[string]float64 // by unit
}

type results []result

var processors = regexp.MustCompile(`-[0-9]+$`)

// parse reads the output of go test -bench, and skips all other lines. A later result of the same name
// replaces an earlier one.
func parse(r io.Reader) (results, error) {
	var all results
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		one := result{processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), ""), map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", fields[0], err)
			}
			one.values[fields[i+1]] = v
		}
		if i := slices.IndexFunc(all, func(r result) bool { return r.name == one.name }); i >= 0 {
			all[i] = one
		} else {
			all = append(all, one)
		}
	}
	return all, lines.Err()
}

// of returns a value of a benchmark; ok is false if it was not measured.
func (rs results) of(name, unit string) (v float64, ok bool) {
	for _, r := range rs {
		if r.name == name {
			v, ok = r.values[unit]
		}
	}
	return v, ok
}

// table returns a row for each operation, in the order in which they were measured, and a column for each engine.
func (rs results) table() string {
	var b strings.Builder
	b.WriteString("| operation |")
	for _, e := range engines {
		fmt.Fprintf(&b, " %s |", e.name)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(engines)+1) + "\n")
	var seen []string
	for _, r := range rs {
		parts := strings.Split(r.name, "/")
		if len(parts) != 3 || parts[0] != "Operations" || slices.Contains(seen, parts[2]) {
			continue
		}
		seen = append(seen, parts[2])
		fmt.Fprintf(&b, "| %s |", strings.ReplaceAll(parts[2], "_", " "))
		for _, e := range engines {
			fmt.Fprintf(&b, " %s |", rs.cell(e.key+"/"+parts[2]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell shows the ratios with text and with bound arguments, and the growth.
func (rs results) cell(name string) string {
	text := rs.ratio("Operations/" + name)
	if bound := rs.ratio("Operations/" + name + "/bound"); bound != "" {
		text += "<br>bound " + bound
	}
	if growth, ok := rs.of("Growth/"+name, "x/raw"); ok {
		text += fmt.Sprintf("<br>×%.1f", growth)
	}
	return text
}

// ratio shows a median and its quartiles, or nothing if it was not measured.
func (rs results) ratio(name string) string {
	median, ok := rs.of(name, "x/raw")
	if !ok {
		return ""
	}
	low, _ := rs.of(name, "x/raw-q1")
	high, _ := rs.of(name, "x/raw-q3")
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median, low, high)
}

// The plot, in its own units. Both axes are logarithmic.
const (
	width, height            = 720, 420
	left, right, top, bottom = 70, 190, 30, 50
)

// point is a time of a page, in milliseconds, on a table with rows.
type point struct{ rows, ms float64 }

// line returns the points of an engine and a way to reach the page.
func (rs results) line(engine, way string) (points []point) {
	for _, r := range rs {
		parts := strings.Split(r.name, "/")
		if len(parts) != 4 || parts[0] != "Pages" || parts[1] != engine || parts[3] != way {
			continue
		}
		rows, err := strconv.ParseFloat(strings.TrimPrefix(parts[2], "rows="), 64)
		if ns, ok := r.values["median-ns"]; ok && err == nil {
			points = append(points, point{rows, ns / 1e6})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, a.rows-b.rows)) })
	return points
}

// plot returns an SVG with the time of a page against the size of the table.
func (rs results) plot() string {
	const firstRows, lastRows, firstMS, lastMS = 1e3, 1e6, 0.1, 1e3
	x := func(rows float64) float64 {
		return left + (width-left-right)*math.Log(rows/firstRows)/math.Log(lastRows/firstRows)
	}
	y := func(ms float64) float64 {
		return height - bottom - (height-top-bottom)*math.Log(ms/firstMS)/math.Log(lastMS/firstMS)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<title>Time of a page of 10 near the end of a large organization, by cursor and by offset</title>
<rect width="100%%" height="100%%" fill="white"/>
`, width, height)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="%s" fill="black">%s</text>`+"\n", x, y, anchor, s)
	}
	for rows := firstRows; rows <= lastRows; rows *= 10 {
		fmt.Fprintf(&b, `<path d="M%.0f %dV%d" stroke="#ddd"/>`+"\n", x(rows), top, height-bottom)
		text(x(rows), height-bottom+18, "middle", strconv.FormatFloat(rows, 'f', -1, 64))
	}
	for ms := firstMS; ms <= lastMS*1.01; ms *= 10 {
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#ddd"/>`+"\n", left, y(ms), width-right)
		text(left-8, y(ms)+4, "end", strconv.FormatFloat(ms, 'g', 4, 64))
	}
	text((left+width-right)/2, height-12, "middle", "invitations in the table, a third of them in one organization")
	text(left-8, top-12, "end", "ms")
	drawn := 0
	for _, way := range []string{"offset", "cursor"} {
		for _, e := range engines {
			points := rs.line(e.key, way)
			if len(points) == 0 {
				continue
			}
			style := `fill="none" stroke-width="2" stroke="` + e.colour + `"`
			if way == "offset" {
				style += ` stroke-dasharray="5 4"`
			}
			var path strings.Builder
			for i, p := range points {
				fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(p.rows), y(p.ms))
			}
			fmt.Fprintf(&b, "<path d=\"%s\" %s/>\n", path.String(), style)
			at := float64(top + 10 + 20*drawn) // the line of the legend
			fmt.Fprintf(&b, "<path d=\"M%d %.0fH%d\" %s/>\n", width-right+12, at, width-right+42, style)
			text(width-right+50, at+4, "start", e.name+", by "+way)
			drawn++
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}
