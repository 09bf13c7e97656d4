package bunstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/storage"
)

// Conn runs the host's own statements, with the methods of database/sql. [SQL] returns one.
type Conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// WithSQLTx returns the same store inside tx, a transaction of the host's on database/sql. It is [Store.WithTx] for
// hosts that do not use bun, and the returned Store behaves the same. It uses no connection besides that of tx. The
// query hooks of the Store's own bun.DB see its statements.
//
// tx may come from another connection pool than the Store's, as long as both reach the same database. The Store then
// checks the settings of the connection once in each transaction.
//
// If tx is nil or the zero value, or is on another engine than the Store, every call on the returned Store returns an
// error that says so. If tx has ended, calls return [sql.ErrTxDone].
func (s *Store) WithSQLTx(tx *sql.Tx) *Store {
	const name = "WithSQLTx"
	pool, known := poolOf(tx)
	switch {
	case tx == nil || known && pool == 0:
		return s.unjoined(errors.New(name + " was given no transaction"))
	case s.db == nil: // s itself could not join a transaction
		return s.unjoined(s.err)
	}
	adopted, err := s.adopt(tx)
	if err != nil {
		return s.unjoined(fmt.Errorf("%s: %w", name, err))
	}
	c := s.within(adopted, newTxState(s.e, adopted))
	if pool != reflect.ValueOf(s.bunDB().DB).Pointer() {
		c.safe, c.tx.foreign = new(atomic.Bool), true
	}
	return c
}

// unjoined returns a Store whose calls all return err.
func (s *Store) unjoined(err error) *Store {
	return &Store{e: s.e, safe: s.safe, err: err}
}

// SQL returns the handle of database/sql that tx works on. It is a *sql.Tx inside a transaction, otherwise a *sql.DB or
// a *sql.Conn. Inside a transaction of package pgxtx it is a *sql.Conn. Statements that the host runs on it belong to
// the transaction of tx. SQL finds the Store as [DB] does, and returns nil where DB does.
//
// The Store does not see the results of these statements. So on SQLite and MariaDB it runs one statement before it
// writes and before COMMIT, to check that the transaction is still open.
func SQL(tx storage.Storage) Conn {
	s := storeOf(tx)
	if s == nil || s.db == nil {
		return nil
	}
	if s.inTx() {
		s.tx.host.lendUnseen()
	}
	return handleOf(s.db)
}

// handleOf returns the handle of database/sql below db.
func handleOf(db bun.IDB) Conn {
	switch db := db.(type) {
	case bun.Tx:
		return db.Tx
	case bun.Conn:
		return db.Conn
	default:
		return db.(*bun.DB).DB
	}
}

// bunDB returns the bun.DB of the handle that s works on.
func (s *Store) bunDB() *bun.DB { return s.db.NewRaw("").DB() }

// adopt returns tx as a bun.Tx with the dialect, the options and the query hooks of s.
//
// bun has no function for this. But it takes statements to the *sql.Tx in its exported field Tx, and everything else
// from the *bun.DB that began the transaction. So adopt begins one that does nothing, and then replaces both.
func (s *Store) adopt(tx *sql.Tx) (bun.Tx, error) {
	nothing := sql.OpenDB(idle{})
	defer func() { _ = nothing.Close() }()
	db := unbound(nothing)
	adopted, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return bun.Tx{}, err
	}
	_ = adopted.Rollback()
	*db, adopted.Tx = *s.bunDB(), tx
	return adopted, nil
}

// unbound returns a bun.DB on pool without dialect and hooks, to begin something on. It can then be overwritten with
// the bun.DB of a Store, as bun copies one itself.
func unbound(pool *sql.DB) *bun.DB { return bun.NewDB(pool, schema.NewNopQueryGen().Dialect()) }

// poolOf returns the address of the *sql.DB from which tx comes, to compare it. It is 0 for the zero tx. database/sql
// does not export it. It never changes, so reading it is safe while others use tx. known is false if a newer
// database/sql keeps it elsewhere.
func poolOf(tx *sql.Tx) (pool uintptr, known bool) {
	if tx == nil {
		return 0, false
	}
	db := reflect.ValueOf(tx).Elem().FieldByName("db")
	if db.Kind() != reflect.Pointer {
		return 0, false
	}
	return db.Pointer(), true
}

// idle is a driver whose transactions do nothing.
type idle struct{}

func (idle) Connect(context.Context) (driver.Conn, error) { return idle{}, nil }
func (idle) Driver() driver.Driver                        { return nil }
func (idle) Begin() (driver.Tx, error)                    { return idle{}, nil }
func (idle) Commit() error                                { return nil }
func (idle) Rollback() error                              { return nil }
func (idle) Close() error                                 { return nil }

func (idle) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("the connection does nothing")
}
