// Package bridge gives package pgxtx what it needs of package bunstore and hosts do not need. Package bunstore sets the
// variables when it is initialized.
package bridge

import (
	"context"
	"database/sql"
	"slices"

	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// Join returns store, a *bunstore.Store, inside a transaction of the host's. All connections of pool work in that
// transaction. Join takes one of them and closes pool. If store is for another dialect than d, or err is not nil, every
// call on the returned *bunstore.Store returns an error. caller is the function that the error names.
var Join func(store storage.Storage, caller string, d dialect.Name, pool *sql.DB, err error) storage.Storage

// Connection returns a function that calls fn with the driver's connection that tx works on. Outside a transaction,
// each call may get another one. While fn runs, nothing else uses the connection, and fn must not keep it.
//
// Connection returns nil if tx is no Storage of package bunstore. The function returns an error without calling fn if
// tx works in a transaction that the host has begun itself with bun or database/sql.
var Connection func(tx storage.Storage) Run

// Run calls fn with a connection of the driver. ctx limits the wait for it.
type Run func(ctx context.Context, fn func(driverConn any) error) error

type key struct{}

// bound are the arguments of one statement.
type bound struct {
	query string
	args  []any
}

// WithArguments returns a context that takes the arguments of query to the connection that runs it.
func WithArguments(ctx context.Context, query string, args []any) context.Context {
	return context.WithValue(ctx, key{}, bound{query, args})
}

// Arguments returns the arguments of query in ctx. The same context may also reach other statements, for example of a
// query hook.
func Arguments(ctx context.Context, query string) []any {
	if b, ok := ctx.Value(key{}).(bound); ok && b.query == query {
		return slices.Clip(b.args)
	}
	return nil
}
