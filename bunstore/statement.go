package bunstore

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"
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

// appender is an argument that writes itself into the text. It is not a struct, because bun would treat the fields of a
// single struct as named arguments.
type appender func(gen schema.QueryGen, b []byte) []byte

// AppendQuery implements schema.QueryAppender.
func (a appender) AppendQuery(gen schema.QueryGen, b []byte) ([]byte, error) { return a(gen, b), nil }

// instant is a time as an argument.
func (f *facts) instant(t time.Time) appender {
	return func(_ schema.QueryGen, b []byte) []byte { return f.time(b, t) }
}

// literal is a text as an argument.
func literal(s string) appender {
	return func(gen schema.QueryGen, b []byte) []byte { return appendText(gen.Dialect(), b, s) }
}

// appendText writes a text literal. On PostgreSQL a backslash in a plain literal is a backslash or begins an escape.
// That depends on standard_conforming_strings, which a host may change in its transaction. In E'…' a backslash always
// begins an escape.
func appendText(d schema.Dialect, b []byte, s string) []byte {
	if d.Name() != dialect.PG || !strings.Contains(s, `\`) {
		return d.AppendString(b, s)
	}
	return d.AppendString(append(b, 'E'), strings.ReplaceAll(s, `\`, `\\`))
}

// texts is a list of text literals.
func texts(list []string) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		for i, s := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(gen.Dialect(), b, s)
		}
		return b
	}
}

// slotRows is a list of (organization, key) rows.
func slotRows(list []slot) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		for i, s := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '(')
			b = appendText(gen.Dialect(), b, s.organization)
			b = append(b, ',')
			b = appendText(gen.Dialect(), b, s.key)
			b = append(b, ')')
		}
		return b
	}
}
