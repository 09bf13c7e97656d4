package bunstore

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/storage/storagekit"
)

// statement is SQL for bun, which writes an argument in place of each '?'. Values are always arguments.
type statement struct {
	sql  strings.Builder
	args []any
}

func (q *statement) add(sql string, args ...any) {
	q.sql.WriteString(sql)
	for _, a := range args {
		if s, ok := a.(string); ok {
			a = literal(s)
		}
		q.args = append(q.args, a)
	}
}

// each calls fn for every row, scanned into dest.
func (q *statement) each(ctx context.Context, db querier, dest []any, fn func()) error {
	return each(ctx, db, q.sql.String(), q.args, dest, fn)
}

func each(ctx context.Context, db querier, sql string, args, dest []any, fn func()) error {
	rows, err := db.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		fn()
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// exec returns how many rows were written.
func (q *statement) exec(ctx context.Context, db querier) (int64, error) {
	res, err := db.ExecContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// writer appends values to the text of a statement. It writes a value as a literal, or as a placeholder if it binds.
type writer struct {
	dialect schema.Dialect
	b       []byte

	// With binds set, text, time and integer append to args and write placeholders.
	binds bool
	args  []any
	// unbound is set if the statement is not to be bound after all: if it has a list of several values, whose number would
	// be part of the text, or is to be planned for its values.
	unbound bool
}

func (w *writer) raw(sql string) { w.b = append(w.b, sql...) }

func (w *writer) null() { w.raw("NULL") }

func (w *writer) text(s string) {
	if !w.bind(s) {
		w.b = appendText(w.dialect, w.b, s)
	}
}

func (w *writer) integer(n int64) {
	if !w.bind(n) {
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

// time writes t. f.time writes the literal.
func (w *writer) time(f *facts, t time.Time) {
	if !w.binds {
		w.b = f.time(w.b, t)
		return
	}
	var v any = t.UTC().Truncate(time.Microsecond)
	if w.dialect.Name() == dialect.SQLite {
		v = t.UnixMicro()
	}
	w.bind(v)
}

// bind writes a placeholder for v, if w binds.
func (w *writer) bind(v any) bool {
	if !w.binds {
		return false
	}
	w.args = append(w.args, v)
	if w.dialect.Name() == dialect.PG {
		w.b = strconv.AppendInt(append(w.b, '$'), int64(len(w.args)), 10)
	} else {
		w.b = append(w.b, '?')
	}
	return true
}

// appender is an argument that writes itself into the text. It is not a struct, because bun would treat the fields of a
// single struct as named arguments.
type appender func(w *writer)

// AppendQuery implements schema.QueryAppender.
func (a appender) AppendQuery(gen schema.QueryGen, b []byte) ([]byte, error) {
	w := writer{dialect: gen.Dialect(), b: b}
	a(&w)
	return w.b, nil
}

// instant is a time as an argument.
func (f *facts) instant(t time.Time) appender { return func(w *writer) { w.time(f, t) } }

// literal is a text as an argument.
func literal(s string) appender { return func(w *writer) { w.text(s) } }

// planned is an argument that writes nothing. A statement with it is never bound. PostgreSQL may plan a prepared
// statement for an average organization, and would then read and sort all records of a large one for one page.
var planned appender = func(w *writer) { w.unbound = w.binds }

// appendText writes a text literal. On PostgreSQL a backslash in a plain literal is a backslash or begins an escape.
// That depends on standard_conforming_strings, which a host may change in its transaction. In E'…' a backslash always
// begins an escape.
func appendText(d schema.Dialect, b []byte, s string) []byte {
	if d.Name() != dialect.PG || !strings.Contains(s, `\`) {
		return d.AppendString(b, s)
	}
	return d.AppendString(append(b, 'E'), strings.ReplaceAll(s, `\`, `\\`))
}

// each writes the items of a list, with commas between them.
func (w *writer) each(n int, write func(i int)) {
	if w.binds && n != 1 {
		w.unbound = true // what is written is not used
		return
	}
	for i := range n {
		if i > 0 {
			w.raw(",")
		}
		write(i)
	}
}

// texts is a list of text literals.
func texts(list []string) appender {
	return func(w *writer) { w.each(len(list), func(i int) { w.text(list[i]) }) }
}

// slotRows is a list of (organization, key) rows.
func slotRows(list []storagekit.Slot) appender {
	return func(w *writer) {
		w.each(len(list), func(i int) {
			w.raw("(")
			w.text(list[i].OrganizationID)
			w.raw(",")
			w.text(list[i].EmailKey)
			w.raw(")")
		})
	}
}
