package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/storage"
)

// library is the library with which the host begins the transactions that a Store joins.
type library string

const (
	withBun library = "bun"
	withSQL library = "sql"
	withPgx library = "pgx"
)

// libraries returns the libraries that work with the driver of e.
func libraries(e engines.Engine) []library {
	if strings.HasPrefix(e.Name, "postgres") && e.Name != "postgres-pq" {
		return []library{withBun, withSQL, withPgx}
	}
	return []library{withBun, withSQL}
}

// onLibraries runs fn as a subtest with each library on each engine in list.
func onLibraries(t *testing.T, list []engines.Engine, fn func(t *testing.T, e engines.Engine, lib library)) {
	t.Helper()
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		for _, lib := range libraries(e) {
			t.Run(string(lib), func(t *testing.T) { fn(t, e, lib) })
		}
	})
}

// hostTx is a transaction of the host's.
type hostTx struct {
	bun.IDB          // runs the host's own statements in it
	join             func(*bunstore.Store) *bunstore.Store
	Commit, Rollback func() error
}

// begin begins a transaction on the database of db.
func (lib library) begin(ctx context.Context, t testing.TB, db *bun.DB, opts *sql.TxOptions) (hostTx, error) {
	t.Helper()
	bare, err := bunstore.New(db, configFor(db))
	if err != nil {
		return hostTx{}, err
	}
	switch lib {
	case withBun:
		tx, err := db.BeginTx(ctx, opts)
		join := func(s *bunstore.Store) *bunstore.Store { return s.WithTx(tx) }
		return hostTx{tx, join, tx.Commit, tx.Rollback}, err
	case withSQL:
		tx, err := db.DB.BeginTx(ctx, opts)
		if err != nil {
			return hostTx{}, err
		}
		join := func(s *bunstore.Store) *bunstore.Store { return s.WithSQLTx(tx) }
		return hostTx{bunstore.DB(join(bare)), join, tx.Commit, tx.Rollback}, nil
	case withPgx:
		options := pgx.TxOptions{}
		if opts != nil && opts.Isolation != sql.LevelDefault {
			options.IsoLevel = pgx.TxIsoLevel(strings.ToLower(opts.Isolation.String()))
		}
		tx, err := pgxPool(t, db).BeginTx(ctx, options)
		if err != nil {
			return hostTx{}, err
		}
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // closing the pool waits for it
		join := func(s *bunstore.Store) *bunstore.Store { return pgxtx.WithTx(s, tx) }
		return hostTx{bunstore.DB(join(bare)), join,
			func() error { return tx.Commit(context.Background()) },
			func() error { return tx.Rollback(context.Background()) }}, nil
	}
	return hostTx{}, fmt.Errorf("no library %s", lib)
}

// runInTx commits if fn returns nil, and otherwise rolls back.
func (lib library) runInTx(ctx context.Context, t testing.TB, db *bun.DB, opts *sql.TxOptions,
	fn func(ctx context.Context, tx hostTx) error) error {
	t.Helper()
	tx, err := lib.begin(ctx, t, db, opts)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // also if fn fails the test
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// rejoin joins the transaction that tx works in again, in the words of lib.
func (lib library) rejoin(s *bunstore.Store, tx storage.Storage) *bunstore.Store {
	switch lib {
	case withSQL:
		return s.WithSQLTx(bunstore.SQL(tx).(*sql.Tx))
	case withPgx:
		return pgxtx.WithTx(s, pgxtx.Tx(tx))
	}
	return s.WithTx(bunstore.DB(tx).(bun.Tx))
}

// write adds a name to the host's table, with the handle of lib for tx.
func (lib library) write(ctx context.Context, tx storage.Storage, name string) (err error) {
	switch insert := "INSERT INTO names VALUES ('" + name + "')"; lib {
	case withSQL:
		_, err = bunstore.SQL(tx).ExecContext(ctx, insert)
	case withPgx:
		_, err = pgxtx.Tx(tx).Exec(ctx, "INSERT INTO names VALUES ($1)", name)
	default:
		_, err = bunstore.DB(tx).ExecContext(ctx, insert)
	}
	return err
}

// names returns the names in the host's table.
func (lib library) names(ctx context.Context, tx storage.Storage) (names []string, err error) {
	const query = "SELECT name FROM names"
	if lib == withPgx {
		rows, err := pgxtx.Tx(tx).Query(ctx, query)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	rows, err := bunstore.SQL(tx).QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

var pools sync.Map // of *pgxpool.Pool, by *bun.DB

// pgxPool returns a pool on the database of db, which is closed when the test ends.
func pgxPool(t testing.TB, db *bun.DB) *pgxpool.Pool {
	t.Helper()
	if pool, ok := pools.Load(db); ok {
		return pool.(*pgxpool.Pool)
	}
	conn, err := db.DB.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	address := ""
	err = conn.Raw(func(c any) error {
		p, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the driver is not pgx's stdlib")
		}
		address = p.Conn().Config().ConnString()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if first, loaded := pools.LoadOrStore(db, pool); loaded {
		pool.Close()
		return first.(*pgxpool.Pool)
	}
	t.Cleanup(func() { pools.Delete(db); pool.Close() })
	return pool
}

// enginesNamed returns the engines of these names.
func enginesNamed(t testing.TB, names ...string) []engines.Engine {
	t.Helper()
	return slices.DeleteFunc(engines.All(), func(e engines.Engine) bool { return !slices.Contains(names, e.Name) })
}
