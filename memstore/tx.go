package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/orginvite/orginvite/storage"
)

var errEnded = errors.New("memstore: the transaction has ended")

// A transaction is shared by the outermost transaction and all those nested in it. It holds the state they write to.
// Its mutex lets through one call at a time.
type transaction struct {
	mu    sync.Mutex
	state *state
}

// run calls fn with a new Storage. It checks ctx again after fn, because a database would refuse to commit once ctx has
// ended.
func (t *transaction) run(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	tx := &txStorage{t: t}
	defer tx.end()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return alive(ctx)
}

// txStorage is the Storage that fn of RunInTx gets. One that belongs to an outer transaction works on the state of the
// innermost one.
type txStorage struct {
	t     *transaction
	ended bool // guarded by t.mu
}

var _ storage.Storage = (*txStorage)(nil)

// do calls f with the state unless ctx or the transaction has ended.
func (tx *txStorage) do(ctx context.Context, f func(s *state) error) error {
	if err := alive(ctx); err != nil {
		return err
	}
	tx.t.mu.Lock()
	defer tx.t.mu.Unlock()
	if tx.ended {
		return errEnded
	}
	return f(tx.t.state)
}

func (tx *txStorage) end() {
	tx.t.mu.Lock()
	defer tx.t.mu.Unlock()
	tx.ended = true
}

func (tx *txStorage) Get(ctx context.Context, id string) (r storage.Record, err error) {
	err = tx.do(ctx, func(s *state) error {
		r, err = s.get(id)
		return err
	})
	return r, err
}

func (tx *txStorage) List(ctx context.Context, q storage.Query) (records []storage.Record, err error) {
	err = tx.do(ctx, func(s *state) error {
		records, err = s.list(q)
		return err
	})
	return records, err
}

func (tx *txStorage) Count(ctx context.Context, f storage.Filter) (n int, err error) {
	err = tx.do(ctx, func(s *state) error {
		n = s.count(f)
		return nil
	})
	return n, err
}

func (tx *txStorage) Insert(ctx context.Context, records ...storage.Record) error {
	return tx.do(ctx, func(s *state) error { return s.insert(records) })
}

func (tx *txStorage) Update(ctx context.Context, records ...storage.Record) error {
	return tx.do(ctx, func(s *state) error { return s.update(records) })
}

func (tx *txStorage) Delete(ctx context.Context, ids ...string) (n int, err error) {
	err = tx.do(ctx, func(s *state) error {
		n = s.delete(ids)
		return nil
	})
	return n, err
}

// Lock does not wait: no other transaction is open while this one is. The same holds for ForUpdate.
func (tx *txStorage) Lock(ctx context.Context, key string) error {
	return tx.do(ctx, func(*state) error {
		if len(key) > storage.MaxReference || !storage.ValidText(key) {
			return fmt.Errorf("memstore: key of Lock is longer than %d bytes, not valid UTF-8 or holds a NUL",
				storage.MaxReference)
		}
		return nil
	})
}

func (tx *txStorage) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	var before *state
	err := tx.do(ctx, func(s *state) error {
		before, tx.t.state = s, s.copy()
		return nil
	})
	if err != nil {
		return err
	}
	committed := false
	defer func() { // also when fn panics
		if !committed {
			tx.t.mu.Lock()
			defer tx.t.mu.Unlock()
			tx.t.state = before
		}
	}()
	err = tx.t.run(ctx, fn)
	committed = err == nil
	return err
}
