// Package memstore keeps invitations in memory. It is a full [storage.Storage] for tests, examples and applications
// that do not need invitations to outlive the process.
//
// Reads never wait, and never see half a transaction: each reads the state that was committed last. One transaction
// writes at a time. It works on a copy that shares all unchanged data with the committed state. If ctx ends, a call
// that waits to begin a transaction stops waiting.
//
// For these lists, the cost of a page grows with its size, and only logarithmically with the number of stored records:
//
//   - one organization, with or without statuses, sorted by any one field
//   - a list of EmailKeys, sorted by created_at
//   - all records, sorted by created_at
//
// Such a list is read from an index. Records that match the index but not the rest of the filter are skipped one by
// one. These include expired records that are still stored as pending. To sort by several fields, the store first
// collects all matching records. Counting by organization and effective status does not visit records, with Count and
// with CountByStatus.
package memstore

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

var _ storage.Storage = (*Store)(nil)

// errOutside is the error of Lock and ForUpdate outside a transaction.
var errOutside = errors.New("memstore: only possible inside a transaction")

// Store is a [storage.Storage] in memory. Create one with [New]. It is safe for concurrent use.
type Store struct {
	current atomic.Pointer[state] // the state committed last; never modified
	writer  chan struct{}         // held by the one writer; a channel, because waiting for it must honour ctx
}

// New returns an empty store.
func New() *Store {
	s := &Store{writer: make(chan struct{}, 1)}
	s.current.Store(newState())
	return s
}

// Get implements [storage.Storage].
func (s *Store) Get(ctx context.Context, id string) (storage.Record, error) {
	if err := alive(ctx); err != nil {
		return storage.Record{}, err
	}
	return s.current.Load().get(id)
}

// List implements [storage.Storage].
func (s *Store) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	if q.ForUpdate {
		return nil, errOutside
	}
	return s.current.Load().list(q)
}

// Count implements [storage.Storage].
func (s *Store) Count(ctx context.Context, f storage.Filter) (int, error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	return s.current.Load().count(f), nil
}

// Insert implements [storage.Storage].
func (s *Store) Insert(ctx context.Context, records ...storage.Record) error {
	return s.write(ctx, func(t *transaction) error { return t.state.insert(records) })
}

// Update implements [storage.Storage].
func (s *Store) Update(ctx context.Context, records ...storage.Record) error {
	return s.write(ctx, func(t *transaction) error { return t.state.update(records) })
}

// Delete implements [storage.Storage].
func (s *Store) Delete(ctx context.Context, ids ...string) (n int, err error) {
	err = s.write(ctx, func(t *transaction) error {
		n = t.state.delete(ids)
		return nil
	})
	return n, err
}

// Lock implements [storage.Storage]. On a Store it always returns an error, because a Store is never in a transaction:
// call it on the tx of RunInTx.
func (s *Store) Lock(context.Context, string) error { return errOutside }

// RunInTx implements [storage.Storage]. It runs fn once, because nothing aborts a transaction in memory.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return s.write(ctx, func(t *transaction) error {
		tx := &txStorage{t: t, turns: storagekit.NewTurns(nil)}
		return tx.run(ctx, fn, func() {}) // write keeps nothing of it
	})
}

// write waits until no other transaction writes, and commits what f writes unless f returns an error or panics.
func (s *Store) write(ctx context.Context, f func(t *transaction) error) error {
	if err := alive(ctx); err != nil {
		return err
	}
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return alive(ctx)
	}
	t := &transaction{state: s.current.Load().copy()}
	if err := f(t); err != nil {
		return err
	}
	s.current.Store(t.state)
	return nil
}

func alive(ctx context.Context) error { return wrap(ctx.Err()) }
