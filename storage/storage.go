// Package storage defines the interface between the invitation service and a database: a plain [Record], the queries of
// the service, and [Storage], which a store implements. Application code uses a store and package invitation, and
// rarely needs this package.
//
// A store knows two rules of invitations: what counts as expired, and that an address has at most one pending
// invitation in an organization. The service enforces all other rules. So a new rule breaks no store, and no store can
// bypass any of these other rules.
//
// Package memstore stores records in memory, and package bunstore stores them in SQL through bun. To write a store of
// your own, implement [Storage] and run [github.com/orginvite/orginvite/storage/storagetest] against it. You need your
// own store if your transactions are of type *sql.Tx. bunstore cannot join them, because a bun.Tx cannot be made from a
// *sql.Tx.
//
// The package imports only the standard library.
package storage

import "context"

// Storage keeps records. It is for this library what a driver is for database/sql.
//
// An implementation MUST be safe for concurrent use. It MUST enforce the rules below in its database, not in one
// process, so that they hold under any concurrency. It MUST NOT share memory with its caller. It MUST honour the
// cancellation of ctx, also while it waits for a lock. It MUST refuse the records that [Record.Validate] refuses and
// the queries that [Query.Validate] refuses. It may refuse more, but it MUST NOT truncate or alter a value. A value of
// a Filter that no record can hold (see [ValidText]) is not an error. It matches no record.
//
// The rules of a store:
//
//   - For each organization and EmailKey, at most one record is stored as [Pending]. It holds the pending slot.
//     The stored status decides: an expired record that is still stored as Pending keeps the slot.
//   - Text compares byte for byte: case, trailing spaces, Unicode forms, '%' and '_' are significant.
//   - Times are kept to the microsecond and returned in UTC, including the zero time. Finer times are truncated, not
//     rounded. Metadata is returned byte for byte; empty metadata is returned as {}.
//   - If several errors apply, [ErrNotFound] takes precedence over [ErrConflict], and ErrConflict over [ErrExists].
//     After any of these three errors the refused call has written nothing, and the transaction stays usable.
//
// Insert, Update and Delete without records or ids do nothing, inside and outside a transaction.
type Storage interface {
	// Get returns the record with this id, or [ErrNotFound]. Inside a transaction it sees what the transaction has
	// written. It never locks.
	Get(ctx context.Context, id string) (Record, error)

	// List returns the records that [Filter.Match] accepts, in the order of [Query.Compare]. It returns only the
	// records after q.After if that is set, skips the first q.Offset of them, and returns at most q.Limit if that is
	// not 0. An empty result is not an error. List refuses what [Query.Validate] refuses, and q.ForUpdate outside a
	// transaction.
	List(ctx context.Context, q Query) ([]Record, error)

	// Count returns the number of records that [Filter.Match] accepts.
	Count(ctx context.Context, f Filter) (int, error)

	// Insert stores new records, all or none. It stores Version 1 regardless of the Version given. It refuses an argument
	// whose id or pending slot is held by a stored record, or by an earlier argument that it did not refuse. It returns an
	// [*ExistsError] that names all refused arguments. It takes pending slots in the order of (OrganizationID, EmailKey),
	// whatever the order of the arguments, so that two calls with the same addresses cannot deadlock.
	Insert(ctx context.Context, records ...Record) error

	// Update replaces stored records, all or none. It writes every field except the id, and adds 1 to Version. It returns
	// [ErrNotFound] if an id is missing. It returns [ErrConflict] if a Version differs from the stored one, or if an id
	// occurs twice. It refuses an argument whose pending slot is held by a record outside the call, or by an earlier
	// argument that it did not refuse. It returns an [*ExistsError] that names all refused arguments. The pending slots
	// are checked against the state after the whole call, so one Update may swap two of them. If several writers update
	// the same version concurrently, exactly one succeeds.
	Update(ctx context.Context, records ...Record) error

	// Delete removes the records with these ids and returns how many it removed. It ignores missing and repeated ids.
	Delete(ctx context.Context, ids ...string) (int, error)

	// Lock serialises transactions on key. It waits until no other transaction holds key, and holds key until the
	// outermost transaction ends. Once it holds key, the transaction sees every commit of earlier holders. If its snapshot
	// is too old for that, Lock returns [ErrAborted]. Locking a key again in the same transaction does nothing. A key is
	// any text of at most [MaxReference] bytes, including the empty text. Lock outside a transaction is an error.
	Lock(ctx context.Context, key string) error

	// RunInTx runs fn in a transaction that sees its own writes, and commits it if fn returns nil. If fn returns an
	// error or panics, RunInTx rolls the transaction back, and returns the error or lets the panic continue. The ctx
	// that fn gets has the values of the caller's ctx.
	//
	// RunInTx on tx opens a nested transaction (a savepoint). An error or panic rolls back exactly the nested
	// transaction, even if ctx has been cancelled by then.
	//
	// A store may retry an outermost fn a bounded number of times after [ErrAborted], so fn must have no effects
	// outside tx. A store never retries a transaction that the host began. If ctx has ended when fn returns, a store
	// either commits and returns nil, or rolls back and returns the error of ctx.
	//
	// An outermost RunInTx returns nil only if the transaction was committed. It returns [ErrOutcomeUnknown] if COMMIT
	// failed but was not refused by the database. It also does so if the transaction has ended without the store noticing,
	// and fn may have written. Any other error means that nothing was written.
	//
	// fn must use only tx, and no other Storage of the store. After fn has returned, every call on its tx returns an
	// error.
	RunInTx(ctx context.Context, fn func(ctx context.Context, tx Storage) error) error
}
