// Package pgxtx lets a [bunstore.Store] work inside a pgx.Tx of yours:
//
//	tx, err := pool.Begin(ctx)
//	…
//	defer tx.Rollback(ctx)
//	_, err = service.WithStorage(pgxtx.WithTx(store, tx)).Create(ctx, organizationID, params)
//	…
//	err = tx.Commit(ctx)
//
// The store itself is opened on the same pool. It begins transactions of its own there:
//
//	db := bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New())
//	store, err := bunstore.New(db, nil)
//
// A Directory, and every other callback of the service, gets its handle from [Tx]. This handle works in your
// transactions, in those of the store, and outside of transactions:
//
//	func (d directory) Role(ctx context.Context, tx storage.Storage, org, user string) (invitation.Role, error) {
//		var role string
//		err := pgxtx.Tx(tx).QueryRow(ctx, "SELECT role FROM members WHERE org = $1 AND usr = $2", org, user).Scan(&role)
//		…
//	}
package pgxtx

import (
	"database/sql"
	"errors"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/bridge"
	"github.com/orginvite/orginvite/storage"
)

// WithTx returns store inside tx, a transaction of the host's, as [bunstore.Store.WithTx] does with a bun.Tx. tx may
// also be a savepoint, which tx.Begin returns. The returned Store uses no connection besides that of tx. It begins,
// commits and rolls back nothing but savepoints of its own. The query hooks of the bun.DB on which store was created
// see its statements, and so do the tracers of pgx.
//
// Close the rows of your own queries before you call the returned Store, because a connection can run only one
// statement at a time. The Store reads the rows of its own statements at once.
//
// If tx is nil, or if store is not for PostgreSQL, every call on the returned Store returns an error that says so. If
// tx has ended, calls return an error that is both [pgx.ErrTxClosed] and [sql.ErrTxDone].
//
// On the returned Store, [bunstore.DB] returns a bun.Conn, and [bunstore.SQL] a *sql.Conn. Both work on tx. There
// Begin begins a savepoint.
func WithTx(store *bunstore.Store, tx pgx.Tx) *bunstore.Store {
	var err error
	if isNil(tx) {
		err = errors.New("there is no transaction")
	}
	return bridge.Join(store, "pgxtx.WithTx", dialect.PG, sql.OpenDB(connector{tx}), err).(*bunstore.Store)
}

// Tx returns the pgx handle that tx works on. Inside a transaction of [WithTx], it is the host's own pgx.Tx. Otherwise
// it runs statements on the connection of pgx that the store's driver has: inside the transaction that the store has
// begun or, outside a transaction, on any connection of the pool. Tx looks through wrappers as [bunstore.DB] does, and
// returns nil for a Storage of another package.
//
// Unless it is the host's own pgx.Tx, the handle reads the rows of a query at once, and refuses Commit and Rollback,
// because the transaction belongs to the store. Outside a transaction it refuses Begin and LargeObjects too.
//
// All methods return an error if the store does not use pgx's stdlib as its driver, or if the host has begun the
// transaction with bun or database/sql.
func Tx(tx storage.Storage) pgx.Tx {
	run := bridge.Connection(tx)
	if run == nil {
		return nil
	}
	if host := hostsTx(tx); host != nil {
		return host
	}
	return &handle{run: run}
}

// hostsTx returns the pgx.Tx that WithTx was given, or nil.
func hostsTx(tx storage.Storage) (host pgx.Tx) {
	c, ok := bunstore.SQL(tx).(*sql.Conn)
	if !ok {
		return nil
	}
	_ = c.Raw(func(c any) error {
		if c, ok := c.(*conn); ok {
			host = c.tx
		}
		return nil
	})
	return host
}

// isNil reports whether tx is nil, a nil pointer, or a zero struct such as pgxpool.Tx{}. Its methods would panic.
func isNil(tx pgx.Tx) bool {
	v := reflect.ValueOf(tx)
	if v.Kind() == reflect.Pointer {
		v = v.Elem() // not valid for a nil pointer
	}
	return !v.IsValid() || v.Kind() == reflect.Struct && v.NumField() > 0 && v.IsZero()
}
