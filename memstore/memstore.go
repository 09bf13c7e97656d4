// Package memstore keeps invitations in memory. It is a full [storage.Storage] for tests, examples and hosts that
// need nothing kept beyond the life of the process: ordered trees behind one atomic pointer.
//
// Readers take the state that was committed last and keep it while they read: they never wait, and never see half
// a transaction. One transaction writes at a time, on a copy that shares with the committed state whatever it does
// not change; to commit is to swap the pointer, to roll back is to drop the copy. Waiting for the turn to write
// ends when the ctx does.
//
// A page costs what it returns and a search, not what is stored: by organization, with or without statuses, sorted
// by any one field; by EmailKeys and over everything by created_at. Records that match the index and not the rest
// of the filter are walked over; this includes pending ones that lapsed and were not yet written as expired.
// Counts by organization and effective status are not walked at all. Sorting by several fields collects first.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/orginvite/orginvite/storage"
)

var _ storage.Storage = (*Store)(nil)

// errOutside is what Lock and ForUpdate are refused with.
var errOutside = errors.New("memstore: only possible inside a transaction")

// Store is a [storage.Storage] in memory, safe for concurrent use. [New] makes one.
type Store struct {
	current atomic.Pointer[state] // what was committed last; never written to
	writer  chan struct{}         // holds the one that writes: a channel, since waiting for it has to honour a ctx
}

// New returns a store without records.
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

// Lock implements [storage.Storage]: it is an error here, outside a transaction.
func (s *Store) Lock(context.Context, string) error { return errOutside }

// RunInTx implements [storage.Storage]. It runs fn once: nothing here aborts a transaction.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return s.write(ctx, func(t *transaction) error { return t.run(ctx, fn) })
}

// write waits for its turn and commits what f writes, unless f returns an error or panics.
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
	s.current.Store(t.state) // not the copy made above: each level leaves its own
	return nil
}

func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memstore: %w", err)
	}
	return nil
}
