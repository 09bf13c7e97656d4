// Package storage defines the interface between the invitation service and a database: a plain [Record], the queries of
// the service, and [Storage], which a store implements. Application code uses a store and package invitation, and
// rarely needs this package.
//
// A store knows two rules of invitations: what counts as expired, and that an address has at most one pending
// invitation in an organization. So a new rule of the service does not break a store, and a store cannot bypass a rule.
//
// Package memstore stores records in memory, and package bunstore stores them in SQL through bun. To write a store of
// your own, implement [Storage] and run [github.com/orginvite/orginvite/storage/storagetest] against it. You need one
// if your transactions are a *sql.Tx: no bun.Tx can be made from one, so bunstore cannot join them.
//
// The package imports only the standard library.
package storage

import "context"

// Storage keeps records. It is to this library what a driver is to database/sql.
//
// An implementation MUST be safe for concurrent use, MUST keep the rules below under any concurrency by means of
// its database (never of one process), MUST share no memory with its caller, and MUST honour the cancellation of
// ctx, also while it waits for a lock. It MUST refuse records that [Record.Validate] refuses and queries that
// [Query.Validate] refuses, may refuse more, and MUST NOT truncate or alter a value. In a filter, text that no
// record can hold (see [ValidText]) is no error and matches nothing.
//
// The rules a store keeps:
//
//   - At most one record of an organization and EmailKey is stored as [Pending]: the pending slot. What is stored
//     is what counts; a pending record that has lapsed holds its slot until it is written.
//   - Text compares byte for byte: case, trailing spaces, Unicode forms, '%' and '_' all matter.
//   - Times are kept to the microsecond and come back in UTC, the zero time included. A finer time is cut, not
//     rounded. Metadata comes back byte for byte, and as {} where it was empty.
//   - Where several refusals apply, [ErrNotFound] goes before [ErrConflict], which goes before [ErrExists]. After
//     any of the three the transaction is as usable as before, and nothing of the refused call is written.
//
// Called with no records or ids, Insert, Update and Delete do nothing, inside a transaction and out.
type Storage interface {
	// Get returns the record with this id, or [ErrNotFound]. Inside a transaction it sees what the transaction
	// wrote. It never locks.
	Get(ctx context.Context, id string) (Record, error)

	// List returns the records q asks for, in the order of [Query.Compare]: exactly those that [Filter.Match]
	// accepts, that come after q.After where it is set, without the first q.Offset of them, and at most q.Limit
	// where it is not 0. It returns no error where there are none. It refuses what [Query.Validate] refuses,
	// and q.ForUpdate outside a transaction.
	List(ctx context.Context, q Query) ([]Record, error)

	// Count returns how many records [Filter.Match] accepts.
	Count(ctx context.Context, f Filter) (int, error)

	// Insert stores new records, all or none, each with Version 1 whatever it is given. It returns an
	// [*ExistsError] that names every argument whose id or pending slot is held by a stored record or by an
	// earlier accepted argument of the call. It claims pending slots in the order of (OrganizationID, EmailKey),
	// whatever the order of the arguments, so that two calls with the same addresses never wait for each other's slots
	// in opposite order.
	Insert(ctx context.Context, records ...Record) error

	// Update replaces stored records, all or none, every field but the id, and adds 1 to Version. It returns
	// [ErrNotFound] where an id is missing, [ErrConflict] where a Version is not the stored one or an id comes
	// twice, and an [*ExistsError] that names every argument whose pending slot is held: by a record outside
	// the call, or by an earlier accepted argument. Slots are judged on the state after the whole call, so that
	// one Update may swap two of them. Of any number of concurrent writers of one version exactly one wins.
	Update(ctx context.Context, records ...Record) error

	// Delete removes the records with these ids and returns how many there were. An id that is missing, or that
	// comes a second time, is passed over.
	Delete(ctx context.Context, ids ...string) (int, error)

	// Lock serialises transactions on key: it waits until no other transaction holds key, and holds it until
	// the outermost transaction ends. From then on the transaction sees every commit of earlier holders; where
	// its snapshot is too old for that, Lock fails with [ErrAborted]. Taking a key one holds does nothing.
	// Keys are any text of up to [MaxReference] bytes, the empty text included. Outside a transaction Lock is an
	// error.
	Lock(ctx context.Context, key string) error

	// RunInTx runs fn in a transaction that sees its own writes, and commits it when fn returns nil. Where fn
	// returns an error or panics, everything its tx wrote is undone and the error is returned, or the panic goes
	// on. Called on a tx it opens a level of its own: an error or panic undoes exactly that level, also when its
	// ctx is cancelled by then. fn gets a ctx with the values of the caller's.
	//
	// A store may run an outermost fn again after [ErrAborted], a bounded number of times, so fn must have no
	// effects outside of tx. It never runs a transaction again that the host began. Where ctx is done by the time
	// fn returns, a store either commits and returns nil, or undoes and returns the ctx's error.
	//
	// An outermost RunInTx returns nil only if the transaction was committed. It returns [ErrOutcomeUnknown] if COMMIT
	// failed without a refusal by the database, or if the transaction ended unnoticed after fn may have written. Any
	// other error means that nothing was written.
	//
	// fn must use tx and nothing else of the store. Once fn has returned, every call on its tx is an error.
	RunInTx(ctx context.Context, fn func(ctx context.Context, tx Storage) error) error
}
