package memstore

import (
	"context"
	"fmt"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// A transaction holds the state that an outermost transaction and all those nested in it write to.
type transaction struct{ state *state }

// txStorage is the Storage that fn of RunInTx gets.
type txStorage struct {
	t     *transaction
	turns *storagekit.Turns
}

var _ storage.Storage = (*txStorage)(nil)

// run calls fn with tx. Unless that succeeds, it calls rollBack.
func (tx *txStorage) run(ctx context.Context, fn func(context.Context, storage.Storage) error, rollBack func()) error {
	returned := false // an error of fn's, which is returned unchanged
	err := tx.turns.Run(ctx, func(ctx context.Context) error {
		err := fn(ctx, tx)
		returned = err != nil
		return err
	}, func(context.Context) error { return nil }, func(context.Context) error {
		rollBack()
		return nil
	})
	if returned {
		return err
	}
	return wrap(err)
}

// do calls f with the state unless ctx or the transaction has ended.
func (tx *txStorage) do(ctx context.Context, f func(s *state) error) error {
	if err := tx.turns.Enter(ctx); err != nil {
		return wrap(err)
	}
	defer tx.turns.Leave()
	return f(tx.t.state)
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
	return tx.do(ctx, func(*state) error { return wrap(storagekit.ValidateKey(key)) })
}

// RunInTx has the turn of the outer transaction while the nested one is open.
func (tx *txStorage) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	if err := tx.turns.Enter(ctx); err != nil {
		return wrap(err)
	}
	defer tx.turns.Leave()
	before := tx.t.state
	tx.t.state = before.copy()
	nested := &txStorage{t: tx.t, turns: tx.turns.Nested()}
	return nested.run(ctx, fn, func() { tx.t.state = before })
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("memstore: %w", err)
}
