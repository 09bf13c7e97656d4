// Package memstore stores invitations in memory. It is a full [storage.Storage] for tests, for examples, and for
// applications that need no data after the process ends. It keeps ordered trees behind one atomic pointer.
//
// A reader takes the state that was committed last and keeps it while it reads. Readers never wait, and never see half
// of a transaction. One transaction writes at a time. It works on a copy that shares everything it does not change with
// the committed state. COMMIT swaps the pointer, and ROLLBACK drops the copy. A writer that waits for its turn stops
// waiting when its context ends.
//
// A page costs a search and what it returns, however many records are stored. This holds for lists of an organization,
// with or without statuses, sorted by any one field. It also holds for lists by EmailKeys and for lists of everything,
// both sorted by created_at. The store walks over records that match the index but not the rest of the filter. Among
// them are lapsed records that are not yet written as expired. Counts by organization and effective status walk over
// nothing. A list that is sorted by several fields is collected first.
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
