// Package storage defines the interface between the invitation service and a database: a plain [Record], the queries of
// the service, and [Storage], which a store implements. Application code uses a store and package invitation, and
// rarely needs this package.
//
// A store knows two rules of invitations: what counts as expired, and that an address has at most one pending
// invitation in an organization. The service enforces all other rules. So a new rule breaks no store, and no store can
// bypass a rule of the service.
//
// Package memstore stores records in memory, and package bunstore stores them in SQL.
//
// # A store of your own
//
// Implement [Storage], and run [github.com/orginvite/orginvite/storage/storagetest] against it. A store can call these
// definitions of the contract instead of writing them again: [Record.Validate], [Record.Stored], [Filter.Match],
// [Query.Validate], [Query.Compare] and [Taken]. Package [github.com/orginvite/orginvite/storage/storagekit] has what
// stores on a database have in common. The directory storage/examples has two whole stores, one on PostgreSQL without
// bun, and one on a key-value file.
//
// A store may also implement the interfaces [StatusCounter], [BoundedCounter] and [Classifier]. Without the first two
// the service counts more slowly.
//
// # The application's transactions
//
// A store is most useful if it can work inside a transaction that the application has begun. [Storage] has no method
// for this. Instead, such a store offers two functions. Their usual names and forms are:
//
//	func (s *Store) WithTx(tx Tx) *Store // the store inside tx, a transaction that the application has begun
//	func DB(tx storage.Storage) Handle   // the database handle that tx works on
//
// The Store that WithTx returns behaves like the tx of [Storage].RunInTx, with three differences. It is usable until
// the application commits or rolls back. Its RunInTx always begins a nested transaction. It never retries anything. The
// application uses one such Store for each transaction, because two of them need not know of each other.
//
// DB is for callbacks of the application, which get a tx and read or write the application's own tables. What they
// write through DB(tx) belongs to the innermost transaction of tx: it is rolled back with that transaction, nested or
// not. Handle may be a type of the database's library. It may also be a type of the store, for example if the database
// has no savepoints and the store has to record what is written. Outside a transaction DB returns a handle on the
// database, or nil if a Handle works only in a transaction. DB finds the store with [As]. A store that has a DB should
// implement [Classifier] too. storagetest.RunJoined tests both functions.
//
// # Wrappers
//
// A wrapper adds something to any store, for example measurements. It embeds the Storage, and overrides RunInTx to wrap
// the tx that the function gets. It has a method Unwrap() [Storage], with which [As] finds the store. The example of
// [Storage] is a wrapper.
//
// The package imports only the standard library.
package storage

import "context"

// Storage keeps records. It is for this library what a driver is for database/sql.
//
// An implementation MUST be safe for concurrent use. It MUST enforce the rules below in its database, not in one
// process, so that they hold under any concurrency. Only if no other process can open the database may its locks be in
// the process. Transactions that are READ COMMITTED suffice. An implementation MUST NOT share memory with its caller.
// It MUST honour the cancellation of ctx, also while it waits for a lock.
//
// Values:
//
//   - A store MUST refuse the records that [Record.Validate] refuses, and the queries that [Query.Validate] refuses. It
//     may refuse more, but it MUST NOT truncate or alter a value.
//   - A record is kept in the form of [Record.Stored].
//   - Text compares byte for byte: case, trailing spaces, Unicode forms, '%' and '_' are significant.
//   - For each organization and EmailKey, at most one record is stored as [Pending]. It holds the pending slot.
//     The stored status decides: an expired record that is still stored as Pending keeps the slot.
//
// Errors:
//
//   - [ErrNotFound], [ErrConflict] and [ErrExists] are refusals. If several apply, ErrNotFound takes precedence over
//     ErrConflict, and ErrConflict over ErrExists.
//   - A refused call has written nothing, and its transaction stays usable. The same holds for a call whose arguments
//     are invalid.
//   - After any other error the transaction may be unusable, or the nested one in which the call was made. Then every
//     further call in it returns an error, and so does its RunInTx, even if its function returns nil.
//   - [ErrAborted] always makes the whole transaction unusable.
//
// Insert, Update and Delete without records or ids do nothing, inside and outside a transaction. A call that has
// nothing to do, or that reads what no record can match, need not ask the database. Then it need not notice that ctx or
// the transaction has ended.
type Storage interface {
	// Get returns the record with this id, or [ErrNotFound]. Inside a transaction it sees what the transaction has
	// written. It never locks.
	Get(ctx context.Context, id string) (Record, error)

	// List returns the records that [Filter.Match] accepts, in the order of [Query.Compare]. It returns only the records
	// after q.After if that is set, skips the first q.Offset of them, and returns at most q.Limit if that is not 0. An
	// empty result is not an error. It locks only with q.ForUpdate.
	List(ctx context.Context, q Query) ([]Record, error)

	// Count returns the number of records that [Filter.Match] accepts. It never locks.
	Count(ctx context.Context, f Filter) (int, error)

	// Insert stores new records, all or none. It stores Version 1 regardless of the Version given. It refuses an argument
	// whose id or pending slot is held by a stored record, or by an earlier argument that it did not refuse. It returns an
	// [*ExistsError] that names all refused arguments. It takes pending slots in the order of (OrganizationID, EmailKey),
	// whatever the order of the arguments, so that two calls with the same addresses cannot deadlock.
	Insert(ctx context.Context, records ...Record) error

	// Update replaces stored records, all or none. It writes every field except the id, and adds 1 to Version. It returns
	// [ErrNotFound] if an id is missing. It returns [ErrConflict] if a Version differs from the stored one, or if an id
	// occurs twice. It refuses an argument whose pending slot is held by another stored record, or by an earlier argument
	// that it did not refuse. It returns an [*ExistsError] that names all refused arguments. What counts is who holds a
	// slot before the call: an argument cannot take a slot that another argument releases. If several writers update the
	// same version concurrently, exactly one succeeds.
	Update(ctx context.Context, records ...Record) error

	// Delete removes the records with these ids and returns how many it removed. It ignores missing and repeated ids.
	Delete(ctx context.Context, ids ...string) (int, error)

	// Lock serialises transactions on key. It waits until no other transaction holds key. From then on the transaction
	// holds key until the outermost transaction ends. If Lock was called in a nested transaction that is rolled back, a
	// store may release key then. Once it holds key, the transaction sees every commit of earlier holders. If its snapshot
	// is too old for that, Lock returns [ErrAborted]. Locking a key that the transaction holds does nothing. A transaction
	// may lock any number of keys. A key is any text of at most [MaxReference] bytes that [ValidText] accepts, including
	// the empty text; Lock refuses any other key. Lock outside a transaction is an error.
	//
	// Two transactions may lock the same keys, or write the same records, in different orders. If they wait for each
	// other, at least one of them gets [ErrAborted].
	Lock(ctx context.Context, key string) error

	// RunInTx runs fn in a transaction that sees its own writes, and commits it if fn returns nil. If fn returns an
	// error or panics, RunInTx rolls the transaction back, and returns the error or lets the panic continue. The ctx
	// that fn gets has the values of the caller's ctx.
	//
	// RunInTx on tx opens a nested transaction (a savepoint). An error or panic rolls back exactly the nested
	// transaction, even if ctx has been cancelled by then.
	//
	// A store may call an outermost fn again, a bounded number of times, if the database has aborted the transaction. So
	// fn must have no effects outside tx. After any other error the store MUST NOT call fn again. If ctx has ended when fn
	// returns, a store either commits and returns nil, or rolls back and returns the error of ctx.
	//
	// RunInTx returns nil only if the transaction was committed; for a nested one, if its writes are part of the outer
	// transaction. A COMMIT that the database answers with a rollback is an error. An outermost RunInTx returns
	// [ErrOutcomeUnknown] if COMMIT failed but was not refused by the database. It also does so if the transaction has
	// ended without the store noticing, and fn may have written. Any other error means that nothing was written.
	//
	// fn must use only tx, and no other Storage of the store. Several goroutines of fn may use tx; their calls take turns.
	// After fn has returned, every call on its tx returns an error.
	RunInTx(ctx context.Context, fn func(ctx context.Context, tx Storage) error) error
}
