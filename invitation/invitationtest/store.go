package invitationtest

import (
	"context"
	"sync"

	"github.com/orginvite/orginvite/storage"
)

// store is a memstore, or a transaction of it, whose transactions include the state of the host.
type store struct {
	storage.Storage
	host *Host
	tx   *transaction // nil outside a transaction
}

// transaction is the state of the host as an open transaction sees it.
type transaction struct {
	mu    sync.Mutex
	state state
}

// Unwrap returns the underlying storage.
func (s *store) Unwrap() storage.Storage { return s.Storage }

// RunInTx implements [storage.Storage]. Only one transaction is open at a time.
func (s *store) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	if s.tx != nil {
		return s.nested(ctx, fn)
	}
	h := s.host
	select {
	case h.writer <- struct{}{}:
		defer func() { <-h.writer }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t := &transaction{state: h.state.clone()} // nobody else changes it while we hold writer
	published := false
	err := s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		err := fn(ctx, &store{tx, h, t})
		if err == nil { // no read between the two commits
			h.mu.Lock()
			published = true
		}
		return err
	})
	if published {
		if err == nil {
			h.state = t.state
		}
		h.mu.Unlock()
	}
	return err
}

// nested runs fn in a nested transaction, and rolls the state of the host back with it.
func (s *store) nested(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	s.tx.mu.Lock()
	before := s.tx.state.clone()
	s.tx.mu.Unlock()
	done := false
	defer func() { // also when fn panics
		if !done {
			s.tx.mu.Lock()
			s.tx.state = before
			s.tx.mu.Unlock()
		}
	}()
	err := s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, &store{tx, s.host, s.tx})
	})
	done = err == nil
	return err
}
