package bunstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/bunstore/internal/bridge"
)

// runner runs statements whose arguments the driver binds. ok is false if the statement must run as text instead.
type runner interface {
	exec(ctx context.Context, text string, args []any) (res sql.Result, ok bool, err error)
	query(ctx context.Context, text string, args []any) (rows *sql.Rows, ok bool, err error)
}

// bound is a querier that gives the arguments to a runner instead of writing them into the text. The texts are then the
// same each time, so they can be prepared once. A statement without arguments, and one with a list of values, goes to
// the querier.
type bound struct {
	querier
	runner  runner
	dialect schema.Dialect
}

func (b bound) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if text, values, ok := b.bind(query, args); ok {
		if res, ok, err := b.runner.exec(ctx, text, values); ok {
			return res, err
		}
	}
	return b.querier.ExecContext(ctx, query, args...)
}

func (b bound) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if text, values, ok := b.bind(query, args); ok {
		if rows, ok, err := b.runner.query(ctx, text, values); ok {
			return rows, err
		}
	}
	return b.querier.QueryContext(ctx, query, args...)
}

// bind returns query with placeholders, and what is bound to them. ok is false if the statement has no arguments, or if
// it has to stay text.
func (b bound) bind(query string, args []any) (text string, values []any, ok bool) {
	w := writer{dialect: b.dialect, binds: true, b: make([]byte, 0, len(query)+8*len(columns))}
	for _, arg := range args {
		before, after, _ := strings.Cut(query, "?")
		w.raw(before)
		switch arg := arg.(type) {
		case appender:
			arg(&w)
		case int:
			w.integer(int64(arg))
		case int64:
			w.integer(arg)
		}
		query = after
	}
	w.raw(query)
	return string(w.b), w.args, !w.unbound && len(w.args) > 0
}

// querier returns what runs the statements of s.
func (s *Store) querier() querier {
	b := bound{querier: s.db, dialect: s.db.Dialect()}
	switch tx, inTx := s.db.(bun.Tx); {
	case s.inTx() && s.tx.besideText:
		b.runner = besideText{s.db}
	case s.prepared == nil:
		return s.db
	case inTx && s.prepared.has(tx.Tx):
		b.runner = onPool{s, tx.Tx}
	case !s.inTx():
		b.runner = onPool{s, nil}
	default:
		return s.db // a transaction of another pool
	}
	return b
}

// besideText is the runner for package pgxtx. bun gets only the text. The arguments travel in the context.
type besideText struct{ db querier }

func (r besideText) exec(ctx context.Context, text string, args []any) (sql.Result, bool, error) {
	res, err := r.db.ExecContext(bridge.WithArguments(ctx, text, args), text)
	return res, true, err
}

func (r besideText) query(ctx context.Context, text string, args []any) (*sql.Rows, bool, error) {
	rows, err := r.db.QueryContext(bridge.WithArguments(ctx, text, args), text)
	return rows, true, err
}
