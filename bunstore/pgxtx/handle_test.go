package pgxtx_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

type wrapper struct{ storage.Storage }

func (w wrapper) Unwrap() storage.Storage { return w.Storage }

// Tx returns the host's own transaction where there is one, and nil for a Storage of another package.
func TestTxOfHost(t *testing.T) {
	a := open(t, 2)
	tx := a.begin(t)
	in := pgxtx.WithTx(a.store, tx)
	a.is.Equal(pgxtx.Tx(wrapper{in}), tx)
	a.is.NoErr(in.RunInTx(t.Context(), func(_ context.Context, nested storage.Storage) error {
		a.is.Equal(pgxtx.Tx(nested), tx)
		return nil
	}))
	for _, none := range []storage.Storage{nil, memstore.New(), (*bunstore.Store)(nil), wrapper{}} {
		a.is.True(pgxtx.Tx(none) == nil)
	}
}

// Where the Store does not work on a connection of pgx, or the host has begun the transaction otherwise, every method
// returns an error that says what to do.
func TestTxRefuses(t *testing.T) {
	a := open(t, 3)
	sqlTx, err := a.db.DB.BeginTx(t.Context(), nil)
	a.is.NoErr(err)
	defer func() { _ = sqlTx.Rollback() }()
	bunTx, err := a.db.BeginTx(t.Context(), nil)
	a.is.NoErr(err)
	defer func() { _ = bunTx.Rollback() }()
	lite, err := bunstore.New(engines.Named(t, "sqlite").Open(t), nil)
	a.is.NoErr(err)
	a.is.NoErr(lite.Migrate(t.Context()))
	refused := func(s storage.Storage, want string) {
		t.Helper()
		ctx, tx := t.Context(), pgxtx.Tx(s)
		_, exec := tx.Exec(ctx, "SELECT 1")
		rows, query := tx.Query(ctx, "SELECT 1")
		a.is.True(!rows.Next())
		rows.Close()
		_, prepare := tx.Prepare(ctx, "", "SELECT 1")
		_, copied := tx.CopyFrom(ctx, pgx.Identifier{"names"}, []string{"name"}, pgx.CopyFromRows(nil))
		_, begin := tx.Begin(ctx)
		b := &pgx.Batch{}
		b.Queue("SELECT 1")
		for _, err := range []error{exec, query, rows.Err(), tx.QueryRow(ctx, "SELECT 1").Scan(nil), prepare, copied, begin,
			tx.SendBatch(ctx, b).Close()} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %q", err, want)
			}
		}
		a.is.True(tx.Conn() == nil)
		objects := tx.LargeObjects()
		_, err := objects.Create(ctx, 0)
		a.is.True(err != nil)
	}
	refused(a.store.WithTx(bunTx), "bunstore.DB or SQL")
	refused(a.store.WithSQLTx(sqlTx), "bunstore.DB or SQL")
	refused(lite, "not pgx's stdlib")
	a.is.NoErr(lite.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
		refused(tx, "not pgx's stdlib")
		return nil
	}))
}

// The handle for the Store's own transaction does what a pgx.Tx does.
func TestHandle(t *testing.T) {
	a := open(t, 2)
	ctx := t.Context()
	a.is.NoErr(a.store.RunInTx(ctx, func(ctx context.Context, own storage.Storage) error {
		tx := pgxtx.Tx(wrapper{own})
		tag, err := tx.Exec(ctx, "INSERT INTO names VALUES ($1), ($2)", "a", "b")
		a.is.NoErr(err)
		a.is.Equal(tag.RowsAffected(), int64(2))
		_, err = tx.Prepare(ctx, "one", "SELECT name FROM names WHERE name = $1")
		a.is.NoErr(err)
		name := ""
		a.is.NoErr(tx.QueryRow(ctx, "one", "a").Scan(&name))
		a.is.Equal(name, "a")
		a.is.True(errors.Is(tx.QueryRow(ctx, "one", "none").Scan(&name), pgx.ErrNoRows))
		n, err := tx.CopyFrom(ctx, pgx.Identifier{"names"}, []string{"name"}, pgx.CopyFromRows([][]any{{"c"}, {"d"}}))
		a.is.NoErr(err)
		a.is.Equal(n, int64(2))
		objects := tx.LargeObjects()
		oid, err := objects.Create(ctx, 0)
		a.is.NoErr(err)
		a.is.NoErr(objects.Unlink(ctx, oid))
		a.is.True(tx.Conn() != nil)
		for _, err := range []error{tx.Commit(ctx), tx.Rollback(ctx)} {
			a.is.True(err != nil && strings.Contains(err.Error(), "belongs to the store"))
		}
		a.is.NoErr(own.Insert(ctx, record("a")))
		return nil
	}))
	names, err := a.names(ctx, a.store)
	a.is.NoErr(err)
	a.is.Equal(names, []string{"a", "b", "c", "d"})

	err = a.store.RunInTx(ctx, func(ctx context.Context, own storage.Storage) error {
		_, err := pgxtx.Tx(own).Exec(ctx, "DELETE FROM names")
		a.is.NoErr(err)
		_, err = pgxtx.Tx(own).Exec(ctx, "INSERT INTO no_such_table VALUES (1)")
		return err
	})
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	a.is.True(ok && pgErr.Code == "42P01")
	names, err = a.names(ctx, a.store)
	a.is.NoErr(err)
	a.is.Equal(len(names), 4) // it was rolled back
}

// What a handle does in a nested transaction is rolled back with it, and so are its own savepoints.
func TestHandleNested(t *testing.T) {
	a := open(t, 2)
	a.is.NoErr(a.store.RunInTx(t.Context(), func(ctx context.Context, own storage.Storage) error {
		err := own.RunInTx(ctx, func(ctx context.Context, nested storage.Storage) error {
			_, err := pgxtx.Tx(nested).Exec(ctx, "INSERT INTO names VALUES ('undone')")
			a.is.NoErr(err)
			return errUndo
		})
		a.is.Equal(err, errUndo)
		ends := map[string]func(pgx.Tx, context.Context) error{"kept": pgx.Tx.Commit, "lost": pgx.Tx.Rollback}
		for name, end := range ends {
			outer, err := pgxtx.Tx(own).Begin(ctx)
			a.is.NoErr(err)
			inner, err := outer.Begin(ctx)
			a.is.NoErr(err)
			_, err = inner.Exec(ctx, "INSERT INTO names VALUES ($1)", name)
			a.is.NoErr(err)
			a.is.NoErr(inner.Commit(ctx))
			a.is.NoErr(end(outer, ctx))
			a.is.True(errors.Is(outer.Commit(ctx), pgx.ErrTxClosed))
			a.is.True(errors.Is(outer.Rollback(ctx), pgx.ErrTxClosed))
		}
		// A Store may join it again.
		return pgxtx.WithTx(a.store, pgxtx.Tx(own)).Insert(ctx, record("a"))
	}))
	names, err := a.names(t.Context(), a.store)
	a.is.NoErr(err)
	a.is.Equal(names, []string{"kept"})
	a.is.Equal(a.count(t, a.store), 1)
}

// Outside a transaction the handle works on the pool, and begins nothing.
func TestHandleOutside(t *testing.T) {
	a := open(t, 1)
	tx := pgxtx.Tx(a.store)
	_, err := tx.Exec(t.Context(), "INSERT INTO names VALUES ('a')")
	a.is.NoErr(err)
	rows, err := tx.Query(t.Context(), "SELECT name FROM names")
	a.is.NoErr(err)
	_, err = tx.Exec(t.Context(), "DELETE FROM names") // with the only connection: the rows hold none
	a.is.NoErr(err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	a.is.NoErr(err)
	a.is.Equal(names, []string{"a"})
	_, err = tx.Begin(t.Context())
	a.is.True(err != nil && strings.Contains(err.Error(), "only inside a transaction"))
	objects := tx.LargeObjects()
	_, err = objects.Create(t.Context(), 0)
	a.is.True(errors.Is(err, pgx.ErrTxClosed))
	a.is.True(tx.Conn() == nil)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = tx.Exec(cancelled, "SELECT 1")
	a.is.True(errors.Is(err, context.Canceled))

	conn, err := a.db.Conn(t.Context())
	a.is.NoErr(err)
	defer func() { _ = conn.Close() }()
	onConn, err := bunstore.New(conn, nil)
	a.is.NoErr(err)
	_, err = pgxtx.Tx(onConn).Exec(t.Context(), "INSERT INTO names VALUES ('b')")
	a.is.NoErr(err)
}

// The rows of a handle have been read. They behave as pgx's own do.
func TestHandleRows(t *testing.T) {
	a := open(t, 3)
	const query = "SELECT 1::int8 AS id, 'x'::text AS name, NULL::text AS none, 1.5::numeric AS amount, " +
		"'{1,2}'::int4[] AS list UNION ALL SELECT 2, '', 'y', NULL, NULL ORDER BY id"
	type row struct {
		ID     int64
		Name   string
		None   *string
		Amount *float64
		List   []int32
	}
	theirs := a.begin(t)
	a.is.True(a.store.RunInTx(t.Context(), func(ctx context.Context, own storage.Storage) error {
		is := is.New(t)
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement} {
			read := func(tx pgx.Tx) pgx.Rows {
				rows, err := tx.Query(ctx, query, mode)
				is.NoErr(err)
				return rows
			}
			want, err := pgx.CollectRows(read(theirs), pgx.RowToStructByName[row])
			is.NoErr(err)
			got, err := pgx.CollectRows(read(pgxtx.Tx(own)), pgx.RowToStructByName[row])
			is.NoErr(err)
			is.Equal(got, want)
			wantMaps, err := pgx.CollectRows(read(theirs), pgx.RowToMap)
			is.NoErr(err)
			gotMaps, err := pgx.CollectRows(read(pgxtx.Tx(own)), pgx.RowToMap)
			is.NoErr(err)
			is.Equal(gotMaps, wantMaps)

			rows := read(pgxtx.Tx(own))
			is.True(rows.Scan(nil) != nil) // before Next
			is.True(rows.Next())
			is.True(rows.Next())
			is.Equal(string(rows.RawValues()[2]), "y")
			is.True(rows.RawValues()[3] == nil)
			is.Equal(rows.FieldDescriptions()[1].Name, "name")
			is.True(rows.Conn() == nil && rows.TypeMap() != nil)
			is.True(!rows.Next())
			is.NoErr(rows.Err())
			is.Equal(rows.CommandTag().String(), "SELECT 2")
			_, err = rows.Values()
			is.True(err != nil) // after the last row
			rows = read(pgxtx.Tx(own))
			is.True(rows.Next())
			id := 0
			is.True(rows.Scan(&id) != nil) // too few destinations
			is.True(rows.Err() != nil && !rows.Next())
		}
		rows, err := pgxtx.Tx(own).Query(ctx, "SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n")
		is.True(err != nil && rows.Err() != nil) // fails in the middle
		is.True(!rows.Next())
		return err
	}) != nil)
}

// Batches are sent at once, and their callbacks run when they are closed.
func TestHandleBatch(t *testing.T) {
	a := open(t, 3)
	theirs := a.begin(t)
	_ = a.store.RunInTx(t.Context(), func(ctx context.Context, own storage.Storage) error {
		for _, tx := range []pgx.Tx{theirs, pgxtx.Tx(own)} {
			is := is.New(t)
			queue := func(queries ...string) *pgx.Batch {
				b := &pgx.Batch{}
				for _, q := range queries {
					b.Queue(q)
				}
				return b
			}
			b := &pgx.Batch{}
			inserted, name, several := int64(0), "", []string(nil)
			b.Queue("INSERT INTO names VALUES ($1)", "a").Exec(func(tag pgconn.CommandTag) error {
				inserted = tag.RowsAffected()
				return nil
			})
			b.Queue("SELECT name FROM names").QueryRow(func(row pgx.Row) error { return row.Scan(&name) })
			b.Queue("SELECT 'x'")
			b.Queue("SELECT 'b' UNION SELECT 'c' ORDER BY 1").Query(func(rows pgx.Rows) (err error) {
				several, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
			results := tx.SendBatch(ctx, b)
			is.NoErr(results.Close())
			is.NoErr(results.Close())
			is.Equal(inserted, int64(1))
			is.Equal(name, "a")
			is.Equal(several, []string{"b", "c"})
			is.True(results.Tx() == nil)

			results = tx.SendBatch(ctx, queue("SELECT 1", "UPDATE names SET name = 'z'", "SELECT 3"))
			n := 0
			is.NoErr(results.QueryRow().Scan(&n))
			is.Equal(n, 1)
			tag, err := results.Exec()
			is.NoErr(err)
			is.Equal(tag.RowsAffected(), int64(1))
			rows, err := results.Query()
			is.NoErr(err)
			is.True(rows.Next())
			rows.Close()
			_, err = results.Exec()
			is.True(err != nil) // no more
			_ = results.Close()

			b = queue("SELECT 1", "SELECT 2")
			ran := 0
			for _, q := range b.QueuedQueries {
				q.Exec(func(pgconn.CommandTag) error { ran++; return errUndo })
			}
			is.True(errors.Is(tx.SendBatch(ctx, b).Close(), errUndo))
			is.Equal(ran, 1)

			begins := &pgx.Batch{}
			begins.BeginTx(pgx.TxOptions{})
			is.True(tx.SendBatch(ctx, begins).Close() != nil)

			err = tx.SendBatch(ctx, queue("SELECT 1", "SELECT 1/0", "SELECT 3")).Close()
			pgErr, ok := errors.AsType[*pgconn.PgError](err)
			is.True(ok && pgErr.Code == "22012")
		}
		return errUndo
	})
}
