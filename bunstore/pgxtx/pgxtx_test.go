package pgxtx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"go.uber.org/goleak"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/storage"
)

var errUndo = errors.New("undo")

// app is an application on a pool of pgx.
type app struct {
	is    *is.I
	pool  *pgxpool.Pool
	db    *bun.DB
	store *bunstore.Store
}

// open opens an application with conns connections, on an empty database with a table of names.
func open(t *testing.T, conns int32) *app {
	t.Helper()
	return openOn(t, conns, engines.Named(t, "postgres"))
}

func openOn(t *testing.T, conns int32, e engines.Engine) *app {
	t.Helper()
	a := &app{is: is.New(t)}
	cfg, err := pgxpool.ParseConfig(e.New(t))
	a.is.NoErr(err)
	cfg.MaxConns = conns
	a.pool, err = pgxpool.NewWithConfig(t.Context(), cfg)
	a.is.NoErr(err)
	t.Cleanup(a.pool.Close)
	a.db = bun.NewDB(stdlib.OpenDBFromPool(a.pool), pgdialect.New())
	t.Cleanup(func() { _ = a.db.Close() })
	a.store, err = bunstore.New(a.db, nil)
	a.is.NoErr(err)
	a.is.NoErr(a.store.Migrate(t.Context()))
	_, err = a.pool.Exec(t.Context(), "CREATE TABLE names (name text PRIMARY KEY)")
	a.is.NoErr(err)
	return a
}

func (a *app) begin(t *testing.T) pgx.Tx {
	t.Helper()
	tx, err := a.pool.Begin(t.Context())
	a.is.NoErr(err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func record(id string) storage.Record {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return storage.Record{
		ID: id, OrganizationID: "o", EmailAddress: id + "@x", EmailKey: id + "@x", Role: "r", Status: storage.Pending,
		CreatedAt: at, UpdatedAt: at, SentAt: at, ExpiresAt: at.Add(time.Hour),
	}
}

func (a *app) count(t *testing.T, s storage.Storage) int {
	t.Helper()
	n, err := s.Count(t.Context(), storage.Filter{})
	a.is.NoErr(err)
	return n
}

// The host's transaction decides about what the Store writes, and each sees the other's changes.
func TestWithTx(t *testing.T) {
	a := open(t, 4)
	for _, end := range []func(pgx.Tx, context.Context) error{pgx.Tx.Rollback, pgx.Tx.Commit} {
		tx := a.begin(t)
		in := pgxtx.WithTx(a.store, tx)
		_, err := tx.Exec(t.Context(), "INSERT INTO names VALUES ('a')")
		a.is.NoErr(err)
		a.is.NoErr(in.Insert(t.Context(), record("a"), record("b")))
		var version int
		a.is.NoErr(tx.QueryRow(t.Context(), "SELECT version FROM organization_invitations WHERE id = 'a'").Scan(&version))
		a.is.Equal(version, 1)
		a.is.Equal(a.count(t, a.store), 0)
		a.is.NoErr(end(tx, t.Context()))
		a.is.True(errors.Is(in.Insert(t.Context(), record("c")), pgx.ErrTxClosed))
	}
	a.is.Equal(a.count(t, a.store), 2)

	tx := a.begin(t) // a savepoint of the host's can be joined too
	a.is.NoErr(pgxtx.WithTx(a.store, tx).Insert(t.Context(), record("kept")))
	savepoint, err := tx.Begin(t.Context())
	a.is.NoErr(err)
	a.is.NoErr(pgxtx.WithTx(a.store, savepoint).Insert(t.Context(), record("undone")))
	a.is.NoErr(savepoint.Rollback(t.Context()))
	a.is.NoErr(tx.Commit(t.Context()))
	a.is.Equal(a.count(t, a.store), 3)
}

// With one connection, nothing asks the pool for another while the host's transaction has it.
func TestOneConnection(t *testing.T) {
	a := open(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tx := a.begin(t)
	in := pgxtx.WithTx(a.store, tx)
	a.is.NoErr(in.Check(ctx))
	a.is.NoErr(in.Migrate(ctx))
	a.is.NoErr(in.RunInTx(ctx, func(ctx context.Context, nested storage.Storage) error {
		a.is.NoErr(nested.Lock(ctx, "k"))
		a.is.NoErr(nested.Insert(ctx, record("a"), record("b")))
		_, err := pgxtx.Tx(nested).Exec(ctx, "INSERT INTO names VALUES ('a')")
		a.is.NoErr(err)
		_, err = bunstore.SQL(nested).ExecContext(ctx, "INSERT INTO names VALUES ($1)", "b")
		a.is.NoErr(err)
		_, err = bunstore.DB(nested).NewRaw("INSERT INTO names VALUES (?)", "c").Exec(ctx)
		return err
	}))
	a.is.NoErr(tx.Commit(ctx))
	names, err := a.names(ctx, a.store)
	a.is.NoErr(err)
	a.is.Equal(names, []string{"a", "b", "c"})
	a.is.NoErr(a.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		_, err := a.names(ctx, tx)
		return err
	}))
}

func (a *app) names(ctx context.Context, s storage.Storage) ([]string, error) {
	rows, err := pgxtx.Tx(s).Query(ctx, "SELECT name FROM names ORDER BY name")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// A joined transaction leaves no goroutine, although nobody tells database/sql how it ended.
func TestNoGoroutineStays(t *testing.T) {
	a := open(t, 2)
	a.is.Equal(a.count(t, a.store), 0)
	before := goleak.IgnoreCurrent()
	for range 10 {
		tx := a.begin(t)
		a.is.NoErr(pgxtx.WithTx(a.store, tx).Insert(t.Context(), record("a")))
		a.is.NoErr(tx.Rollback(t.Context()))
	}
	goleak.VerifyNone(t, before)
}

// Transactions that cannot be joined: every call says why, nothing is written and nothing panics.
func TestWithTxRefuses(t *testing.T) {
	a := open(t, 3)
	calls := func(in *bunstore.Store) map[string]error {
		_, get := in.Get(t.Context(), "a")
		_, list := in.List(t.Context(), storage.Query{})
		return map[string]error{
			"Get": get, "List": list, "Insert": in.Insert(t.Context(), record("a")),
			"Lock": in.Lock(t.Context(), "k"), "Check": in.Check(t.Context()),
			"RunInTx": in.RunInTx(t.Context(), func(context.Context, storage.Storage) error { return nil }),
		}
	}
	refused := func(in *bunstore.Store, want string) {
		t.Helper()
		for name, err := range calls(in) {
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, storage.ErrAborted) {
				t.Errorf("%s: %v; want %q", name, err, want)
			}
		}
		a.is.True(pgxtx.Tx(in) == nil)
	}
	type wrapped struct{ pgx.Tx }
	for _, none := range []pgx.Tx{nil, (*pgxpool.Tx)(nil), &pgxpool.Tx{}, wrapped{}, &wrapped{}} {
		refused(pgxtx.WithTx(a.store, none), "pgxtx.WithTx: there is no transaction")
	}
	refused(pgxtx.WithTx(a.store.WithTx(bun.Tx{}), a.begin(t)), "WithTx was given no transaction")
	for _, e := range engines.All() {
		if e.Name == "sqlite" || e.Name == "mariadb" && e.Variable != "" {
			store, err := bunstore.New(e.Open(t), nil)
			a.is.NoErr(err)
			refused(pgxtx.WithTx(store, a.begin(t)), "given a transaction on pg, the store is for "+
				map[string]string{"sqlite": "sqlite", "mariadb": "mysql"}[e.Name])
		}
	}
}

// After the end of the host's transaction its connection belongs to others. The Store does not touch it.
func TestEndedTx(t *testing.T) {
	a := open(t, 1)
	for _, end := range []func(pgx.Tx, context.Context) error{pgx.Tx.Rollback, pgx.Tx.Commit} {
		tx := a.begin(t)
		used, fresh := pgxtx.WithTx(a.store, tx), pgxtx.WithTx(a.store, tx)
		a.is.Equal(a.count(t, used), 0)
		a.is.NoErr(end(tx, t.Context()))
		other := a.begin(t) // on the same connection
		for _, in := range []*bunstore.Store{used, fresh, pgxtx.WithTx(a.store, tx)} {
			for _, err := range []error{
				in.Insert(t.Context(), record("a")), in.Lock(t.Context(), "k"),
				in.RunInTx(t.Context(), func(context.Context, storage.Storage) error { return nil }),
			} {
				a.is.True(errors.Is(err, pgx.ErrTxClosed) && errors.Is(err, sql.ErrTxDone))
			}
			_, err := bunstore.SQL(in).ExecContext(t.Context(), "INSERT INTO names VALUES ('a')")
			a.is.True(errors.Is(err, sql.ErrTxDone))
		}
		a.is.NoErr(other.Commit(t.Context()))
	}
	a.is.Equal(a.count(t, a.store), 0)
}

// A pool that has been closed, and a connection that is lost.
func TestClosedPoolAndConnection(t *testing.T) {
	a := open(t, 2)
	pool, err := pgxpool.NewWithConfig(t.Context(), a.pool.Config())
	a.is.NoErr(err)
	tx, err := pool.Begin(t.Context())
	a.is.NoErr(err)
	var closing sync.WaitGroup
	closing.Go(pool.Close) // waits for the transaction
	in := pgxtx.WithTx(a.store, tx)
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	a.is.NoErr(tx.Rollback(t.Context()))
	closing.Wait()
	a.is.True(errors.Is(in.Insert(t.Context(), record("a")), pgx.ErrTxClosed))

	lost := a.begin(t)
	in = pgxtx.WithTx(a.store, lost)
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	a.is.NoErr(lost.Conn().Close(t.Context()))
	for range 2 {
		err := in.Insert(t.Context(), record("b"))
		a.is.True(errors.Is(err, storage.ErrAborted)) // nothing of it can be committed any more
		a.is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
	}
	a.is.True(lost.Commit(t.Context()) != nil)
	a.is.Equal(a.count(t, a.store), 0)
}

// If a context ends while a statement waits for a lock, pgx closes the connection. The transaction is aborted, and the
// pool goes on.
func TestContextEnds(t *testing.T) {
	a := open(t, 3)
	holder, waiter := a.begin(t), a.begin(t)
	a.is.NoErr(pgxtx.WithTx(a.store, holder).Lock(t.Context(), "k"))
	in := pgxtx.WithTx(a.store, waiter)
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := in.Lock(ctx, "k")
	a.is.True(errors.Is(err, storage.ErrAborted) && errors.Is(err, context.DeadlineExceeded))
	_, err = in.Count(t.Context(), storage.Filter{})
	a.is.True(errors.Is(err, storage.ErrAborted))
	_ = waiter.Rollback(t.Context())
	a.is.NoErr(holder.Rollback(t.Context()))
	a.is.Equal(a.count(t, a.store), 0)

	// A call with a context that has ended already leaves the transaction alone.
	tx := a.begin(t)
	in = pgxtx.WithTx(a.store, tx)
	a.is.True(errors.Is(in.Insert(ctx, record("a")), context.DeadlineExceeded))
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	a.is.NoErr(tx.Commit(t.Context()))
	a.is.Equal(a.count(t, a.store), 1)
}

// The errors of the server reach the Store's judgement, and the caller.
func TestDeadlock(t *testing.T) {
	a := open(t, 3)
	stores := []*bunstore.Store{pgxtx.WithTx(a.store, a.begin(t)), pgxtx.WithTx(a.store, a.begin(t))}
	for i, s := range stores {
		a.is.NoErr(s.Lock(t.Context(), fmt.Sprint(i)))
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			errs[i] = s.Lock(t.Context(), fmt.Sprint(1-i))
			if errs[i] != nil {
				_ = pgxtx.Tx(s).Rollback(t.Context())
			}
		})
	}
	wg.Wait()
	a.is.True((errs[0] == nil) != (errs[1] == nil)) // one of them is the victim
	err := errors.Join(errs...)
	a.is.True(errors.Is(err, storage.ErrAborted))
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	a.is.True(ok)
	a.is.Equal(pgErr.Code, "40P01")
}

// While the host reads rows, the connection is busy. The Store says so, and goes on afterwards. Rows of the Store, and
// of SQL, may be open side by side.
func TestOpenRows(t *testing.T) {
	a := open(t, 2)
	tx := a.begin(t)
	in := pgxtx.WithTx(a.store, tx)
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	rows, err := tx.Query(t.Context(), "SELECT n FROM generate_series(1, 1000) AS n")
	a.is.NoErr(err)
	a.is.True(rows.Next())
	_, err = in.Get(t.Context(), "a")
	a.is.True(err != nil && strings.Contains(err.Error(), "close them first"))
	a.is.True(!errors.Is(err, storage.ErrAborted))
	rows.Close()
	_, err = in.Get(t.Context(), "a")
	a.is.NoErr(err)

	var open []*sql.Rows
	for range 3 {
		rows, err := bunstore.SQL(in).QueryContext(t.Context(), "SELECT n FROM generate_series(1, $1) AS n", 1000)
		a.is.NoErr(err)
		defer func() { _ = rows.Close() }()
		a.is.True(rows.Next())
		open = append(open, rows)
	}
	_, err = in.Get(t.Context(), "a")
	a.is.NoErr(err)
	for _, rows := range open {
		n := 1
		for rows.Next() {
			n++
		}
		a.is.NoErr(rows.Err())
		a.is.Equal(n, 1000)
	}
}

// DB and SQL of a joined Store return the values that pgx's stdlib returns, with arguments and without.
func TestValues(t *testing.T) {
	for _, e := range []engines.Engine{engines.Named(t, "postgres"), engines.PgxDefault()} {
		t.Run(e.Name, func(t *testing.T) { values(t, openOn(t, 2, e)) })
	}
}

func values(t *testing.T, a *app) {
	t.Helper()
	for _, v := range []string{
		"1::int2", "(-2)::int4", "9223372036854775807::int8", "1.1::float4", "1.1::float8", "'NaN'::float8", "1.10::numeric",
		"true", "false", "'text'::text", "''::text", "'v'::varchar(9)", "'c'::char(3)", "'n'::name", `'\x00ff'::bytea`,
		"''::bytea", `'{"a": 1}'::json`, `'{"a": 1}'::jsonb`, "'<a/>'::xml", "'2026-03-01'::date", "'infinity'::date",
		"'2026-03-01 12:00:00.123456'::timestamp", "'2026-03-01 12:00:00.123456+05:30'::timestamptz",
		"'infinity'::timestamptz",
		"'0001-01-01 00:00:00+00'::timestamptz", "'12:30'::time", "'1 day'::interval", "42::oid", "'7'::xid", "'8'::cid",
		"'0e984725-c51c-4bf4-9960-e1c80e27aba0'::uuid", "'{1,2}'::int4[]", "'{a,NULL}'::text[]", "'10.0.0.1'::inet",
		"'mood'::unknown", "int4range(1, 5)",
	} {
		for _, expression := range []string{v, "NULLIF(" + v + "::text, " + v + "::text)"} {
			tx := a.begin(t)
			joined := bunstore.SQL(pgxtx.WithTx(a.store, tx))
			var want, got, withArguments any
			a.is.NoErr(a.db.DB.QueryRowContext(t.Context(), "SELECT "+expression).Scan(&want))
			a.is.NoErr(joined.QueryRowContext(t.Context(), "SELECT "+expression).Scan(&got))
			a.is.NoErr(joined.QueryRowContext(t.Context(), "SELECT "+expression+" WHERE $1 = 1", 1).Scan(&withArguments))
			a.is.NoErr(tx.Rollback(t.Context()))
			for _, got := range []any{got, withArguments} {
				if fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
					t.Errorf("%s: %T %v; want %T %v", expression, got, got, want, want)
				}
			}
		}
	}
}

// The handles of database/sql and bun on a joined Store do what they do elsewhere.
func TestSQL(t *testing.T) {
	a := open(t, 2)
	tx := a.begin(t)
	in := pgxtx.WithTx(a.store, tx)
	handle, ok := bunstore.SQL(in).(*sql.Conn)
	a.is.True(ok)
	res, err := handle.ExecContext(t.Context(), "INSERT INTO names VALUES ('a'), ('b')")
	a.is.NoErr(err)
	n, err := res.RowsAffected()
	a.is.NoErr(err)
	a.is.Equal(n, int64(2))
	stmt, err := handle.PrepareContext(t.Context(), "UPDATE names SET name = name || $1 WHERE name = $2")
	a.is.NoErr(err)
	for _, name := range []string{"a", "b"} {
		res, err := stmt.ExecContext(t.Context(), "!", name)
		a.is.NoErr(err)
		n, err = res.RowsAffected()
		a.is.NoErr(err)
		a.is.Equal(n, int64(1))
	}
	a.is.NoErr(stmt.Close())
	query, err := handle.PrepareContext(t.Context(), "SELECT name FROM names WHERE name = ANY ($1)")
	a.is.NoErr(err)
	name := ""
	a.is.NoErr(query.QueryRowContext(t.Context(), []string{"a!"}).Scan(&name)) // pgx converts slices
	a.is.Equal(name, "a!")
	a.is.NoErr(query.Close())
	a.is.Equal(query.QueryRowContext(t.Context(), []string{}).Scan(&name) != nil, true)

	for _, end := range []error{errUndo, nil} { // Begin begins a savepoint
		err := bunstore.DB(in).RunInTx(t.Context(), nil, func(ctx context.Context, nested bun.Tx) error {
			_, err := nested.ExecContext(ctx, "INSERT INTO names VALUES (?)", fmt.Sprint("nested ", end))
			a.is.NoErr(err)
			return end
		})
		a.is.Equal(err, end)
	}
	_, err = handle.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	a.is.True(err != nil && strings.Contains(err.Error(), "isolation"))
	_, err = handle.ExecContext(t.Context(), "INSERT INTO names VALUES ('a!')")
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	a.is.True(ok && pgErr.Code == "23505")
	_, err = handle.QueryContext(t.Context(), "SELECT 1")
	a.is.True(err != nil) // the transaction has failed, as the host's statements in it do
	a.is.NoErr(tx.Rollback(t.Context()))

	tx = a.begin(t)
	in = pgxtx.WithTx(a.store, tx)
	a.is.NoErr(bunstore.DB(in).RunInTx(t.Context(), nil, func(ctx context.Context, nested bun.Tx) error {
		_, err := nested.ExecContext(ctx, "INSERT INTO names VALUES (?)", "kept")
		return err
	}))
	a.is.NoErr(tx.Commit(t.Context()))
	names, err := a.names(t.Context(), a.store)
	a.is.NoErr(err)
	a.is.Equal(names, []string{"kept"})
}

// A query hook of the Store's bun.DB, and a tracer of the host's pool, see the Store's statements.
func TestHooks(t *testing.T) {
	a := open(t, 2)
	seen := &hook{}
	store, err := bunstore.New(a.db.WithQueryHook(seen), nil)
	a.is.NoErr(err)
	cfg, traced := a.pool.Config(), &tracer{}
	cfg.ConnConfig.Tracer = traced
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	a.is.NoErr(err)
	defer pool.Close()
	tx, err := pool.Begin(t.Context())
	a.is.NoErr(err)
	a.is.NoErr(pgxtx.WithTx(store, tx).Insert(t.Context(), record("a")))
	isInsert := func(q string) bool { return strings.HasPrefix(q, "INSERT") }
	a.is.True(slices.ContainsFunc(seen.queries, isInsert) && slices.ContainsFunc(traced.queries, isInsert))
	a.is.True(!slices.Contains(seen.queries, "BEGIN"))
	// Their arguments are bound.
	a.is.True(slices.ContainsFunc(traced.queries, func(q string) bool { return isInsert(q) && strings.Contains(q, "$1") }))
	// The server reports the settings of a connection by itself, so that checking them takes no round trip.
	isShow := func(q string) bool { return strings.HasPrefix(q, "SHOW") }
	a.is.True(slices.ContainsFunc(seen.queries, isShow) && !slices.ContainsFunc(traced.queries, isShow))
	a.is.NoErr(tx.Rollback(t.Context()))
}

type tracer struct{ queries []string }

func (r *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.queries = append(r.queries, d.SQL)
	return ctx
}

func (r *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

type hook struct{ queries []string }

func (h *hook) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (h *hook) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	h.queries = append(h.queries, e.Query)
}

// A query hook may run statements in the transaction with the context of a statement of the Store's. They do not get
// its arguments.
func TestStatementOfAHook(t *testing.T) {
	a := open(t, 2)
	own := &ownStatement{}
	store, err := bunstore.New(a.db.WithQueryHook(own), nil)
	a.is.NoErr(err)
	tx := a.begin(t)
	in := pgxtx.WithTx(store, tx)
	own.conn = bunstore.SQL(in)
	a.is.NoErr(in.Insert(t.Context(), record("a")))
	a.is.True(own.ran > 0)
	a.is.NoErr(own.err)
}

// ownStatement is a hook that runs a statement before each other one.
type ownStatement struct {
	conn bunstore.Conn
	ran  int
	err  error
}

func (h *ownStatement) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context {
	_, err := h.conn.ExecContext(ctx, "SELECT set_config('app.user', $1, true)", "ann")
	h.ran, h.err = h.ran+1, errors.Join(h.err, err)
	return ctx
}

func (h *ownStatement) AfterQuery(context.Context, *bun.QueryEvent) {}
