// Package bunstore keeps invitations in SQL, through [github.com/uptrace/bun]. It works on the handle the host
// already has, and inside the host's own transaction:
//
//	db := bun.NewDB(sqldb, sqlitedialect.New())
//	store, err := bunstore.New(db, nil)
//	…
//	err = store.Migrate(ctx)
//
//	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
//		return service.WithStorage(store.WithTx(tx)).…
//	})
//
// The package imports no dialect and no driver; the bun.DB brings both. SQLite is supported from 3.37 on. A file
// is best opened in WAL mode, with a busy_timeout and with transactions that begin immediate, for example
//
//	file:app.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)&_txlock=immediate
//
// in the words of modernc.org/sqlite. A Store needs neither: its own transactions take the write lock with their
// first statement, and are retried while somebody else holds it. A host's transaction that reads before it
// writes does need immediate, or it may end with [storage.ErrAborted]. SQLite does not look at a context while it
// waits in busy_timeout, so a long one delays cancellation by as much.
//
// PostgreSQL is tested with 15, through pgx and through pgdriver. Open pgx with default_query_exec_mode set to
// simple_protocol, because every argument is in the text and a statement is never the same twice:
//
//	postgres://app@db:5432/app?default_query_exec_mode=simple_protocol
//
// Before its first statement a Store refuses a connection with standard_conforming_strings off, or with another
// client_encoding than UTF8. Its own transactions are READ COMMITTED. In a host's that is REPEATABLE READ or
// SERIALIZABLE, Lock, ForUpdate and writes end with [storage.ErrAborted] where they meet what its snapshot does not
// show yet. A statement that fails makes its transaction, or the nested one it ran in, unusable until it is rolled
// back. Where a context ends, a statement in a transaction has another quarter of a second; then, if it waits for a
// lock, pgx closes the connection, and the whole transaction is lost with [storage.ErrAborted]. pgdriver sees only
// deadlines.
//
// MariaDB is tested with 10.11, and as a Galera cluster; the SQL should work on MySQL 8, which is not tested. Before
// its first statement a Store refuses connections on which values would not be safe or would change: those with
// NO_BACKSLASH_ESCAPES, without a strict sql_mode, with a character set other than utf8mb4, or with a loc other than
// UTC. Where a context ends while a statement waits for a lock, the driver closes the connection: the whole
// transaction is lost, every further call on it and its RunInTx return [storage.ErrAborted] along with the context's
// error. The Store rolls an aborted transaction back at once, a host's too, because the server would otherwise commit
// every further statement by itself. In a host's REPEATABLE READ transaction, a locking read returns
// [storage.ErrAborted] if the row is newer than the transaction's snapshot, as on PostgreSQL. Set readTimeout in the
// DSN of go-sql-driver, because it runs COMMIT and ROLLBACK without a context.
//
// # Outcomes
//
// An outermost RunInTx, and a write outside a transaction, return nil only if the database has confirmed COMMIT. They
// return [storage.ErrOutcomeUnknown] if COMMIT failed without a refusal by the database: the answer was lost, or came
// from a proxy or from a server that was shutting down. Any other error means that nothing was written.
// [storage.ErrUnavailable] says that the database cannot do it now, and [storage.ErrAborted] that the same transaction
// may succeed when it is retried. If the connection is lost at BEGIN, the Store retries on another one for up to about
// 10 seconds and then returns ErrUnavailable. If it is lost later, but before COMMIT, the error is ErrAborted and the
// Store does not retry.
//
// Code that uses [DB] must return the errors of its statements, and leave COMMIT and ROLLBACK to whoever began the
// transaction. An engine may abort a transaction and then commit each further statement on its own. So once the host
// has called DB, the Store checks that the transaction is still open, before it writes and before COMMIT. If the
// transaction has ended, the error is ErrAborted where the Store knows that the host has only read since, and
// ErrOutcomeUnknown otherwise. This check costs one statement in a Galera cluster, in a host's transaction on MariaDB,
// before COMMIT with pgdriver, and after a statement of the host's has failed. Otherwise it sends nothing to the
// server. On MariaDB the Store does not see errors that a host ignores on the sql.Tx inside a bun.Tx, or on a prepared
// statement.
//
// BEGIN, SAVEPOINT, RELEASE, COMMIT and ROLLBACK may run for up to 2 seconds after the caller's context has ended,
// because a COMMIT that is cut short has an unknown outcome. go-sql-driver and pgdriver run COMMIT and ROLLBACK
// without a context: there the driver's read timeout is the limit. Any other statement in a transaction may run for
// up to 250 milliseconds longer on PostgreSQL and MariaDB. SQLite never interrupts a write. The Store closes a
// connection whose COMMIT or ROLLBACK failed, because its transaction may still be open. This includes the host's own
// connection where the Store was made from a bun.Conn.
package bunstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// Config names the tables. Its zero value is organization_invitations and its companions, in the default schema.
type Config struct {
	// TablePrefix comes before the name of every table and index: lower case letters, digits and underscores, at
	// most 29 of them, so that every name stays within 63 bytes. Default none.
	TablePrefix string

	// Schema is the schema the tables are in: lower case letters, digits and underscores, at most 63 bytes.
	// Migrate does not create it. On MySQL it is a database, on SQLite an attached one, which every connection of
	// the pool has to attach. Default the connection's own.
	Schema string
}

// Store is a [storage.Storage] in SQL. It is safe for concurrent use. A Store on one connection (bun.Conn) or in
// one transaction (bun.Tx) lets its calls through one at a time, because there is no other way on a connection.
type Store struct {
	db    bun.IDB // *bun.DB, bun.Conn or bun.Tx
	e     *engine
	safe  *atomic.Bool // the engine has found the connections safe
	turns *turns       // nil on a *bun.DB
	err   error        // what every call returns, where WithTx was given something it cannot use
}

var _ storage.Storage = (*Store)(nil)

// New returns a Store that works on db: a *bun.DB, a bun.Conn or a bun.Tx. cfg may be nil. It runs no statement;
// see [Store.Migrate] and [Store.Check].
//
// It refuses a nil db, a dialect it has no support for, and an invalid Config.
func New(db bun.IDB, cfg *Config) (*Store, error) {
	name, ok := dialectOf(db)
	if !ok {
		return nil, errors.New("bunstore: db is nil")
	}
	e, err := newEngine(name, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{e: e, safe: new(atomic.Bool)}
	switch db := db.(type) {
	case *bun.DB:
		s.db = db
	case bun.Conn:
		s.db, s.turns = db, newTurns(nil, nil)
	case *bun.Conn:
		s.db, s.turns = *db, newTurns(nil, nil)
	case bun.Tx:
		s.db, s.turns = db, newTurns(nil, newTxn(e, db))
	case *bun.Tx:
		s.db, s.turns = *db, newTurns(nil, newTxn(e, *db))
	default:
		return nil, fmt.Errorf("bunstore: db is a %T, not a *bun.DB, bun.Conn or bun.Tx", db)
	}
	return s, nil
}

// WithTx returns the same store inside tx, a transaction of the host's. What it writes commits and rolls back with
// tx. Its RunInTx begins a nested transaction (a savepoint) of tx and never retries fn. Once a call on it has returned
// [storage.ErrAborted] it refuses every further one: roll tx back. That memory is the returned Store's, so use one
// Store per transaction.
//
// If tx is not a transaction, or is one of another dialect, every call on the Store returns an error that says so.
func (s *Store) WithTx(tx bun.Tx) *Store {
	c := &Store{db: tx, e: s.e, safe: s.safe, turns: newTurns(nil, newTxn(s.e, tx))}
	switch name, ok := dialectOf(tx); {
	case !ok:
		c.db, c.err = nil, errors.New("WithTx was given no transaction")
	case name != s.e.dialect:
		c.db, c.err = nil, fmt.Errorf("WithTx was given a transaction on %v, the store is for %v",
			name, s.e.dialect)
	}
	return c
}

// DB returns the bun handle tx works on, so that what a host reads and writes through it belongs to the same
// transaction: a bun.Tx inside one, a *bun.DB or bun.Conn outside. It looks through wrappers that have a method
// Unwrap() storage.Storage, and returns nil for a Storage that is not one of this package.
func DB(tx storage.Storage) bun.IDB {
	for range 100 { // a wrapper may have itself inside
		switch t := tx.(type) {
		case *Store:
			if t == nil {
				return nil
			}
			if t.inTx() {
				t.turns.tx.host.lend()
			}
			return t.db
		case interface{ Unwrap() storage.Storage }:
			tx = t.Unwrap()
		default:
			return nil
		}
	}
	return nil
}

// dialectOf is the name of db's dialect; ok is false for every form of nil handle.
func dialectOf(db bun.IDB) (name dialect.Name, ok bool) {
	// bun's handles are structs around pointers that are not exported: a zero one shows only by its panic.
	defer func() {
		if recover() != nil {
			name, ok = dialect.Invalid, false
		}
	}()
	switch tx := db.(type) {
	case bun.Tx:
		ok = tx.Tx != nil
	case bun.Conn:
		ok = tx.Conn != nil
	default:
		ok = db != nil
	}
	return db.Dialect().Name(), ok
}

// inTx reports whether s works in a transaction, its own or the host's.
func (s *Store) inTx() bool { return s.turns != nil && s.turns.tx != nil }

// Get implements [storage.Storage].
func (s *Store) Get(ctx context.Context, id string) (storage.Record, error) {
	var r storage.Record
	err := s.read(ctx, "get", func(ctx context.Context, db querier) error {
		if !storage.ValidText(id) {
			return storage.ErrNotFound
		}
		row, found := newScanned(), false
		err := each(ctx, db, s.e.get, []any{literal(id)}, row.dest, func() { r, found = row.record, true })
		if err == nil && !found {
			return storage.ErrNotFound
		}
		return err
	})
	return r, err
}
