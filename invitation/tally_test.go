package invitation_test

import (
	"context"
	"sync"

	"github.com/orginvite/orginvite/storage"
)

// tally notes the calls of a storage. Each is one statement on a database.
type tally struct {
	mu    sync.Mutex
	calls []string
}

func (t *tally) note(call string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, call)
}

// of returns how many of the calls were of that method.
func (t *tally) of(method string) int {
	n := 0
	for _, call := range t.calls {
		if call == method {
			n++
		}
	}
	return n
}

// tallied is a storage whose calls are noted.
type tallied struct {
	storage.Storage
	*tally
}

func (s tallied) Unwrap() storage.Storage { return s.Storage }

func (s tallied) Get(ctx context.Context, id string) (storage.Record, error) {
	s.note("Get")
	return s.Storage.Get(ctx, id)
}

func (s tallied) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	s.note("List")
	return s.Storage.List(ctx, q)
}

func (s tallied) Count(ctx context.Context, f storage.Filter) (int, error) {
	s.note("Count")
	return s.Storage.Count(ctx, f)
}

func (s tallied) Insert(ctx context.Context, records ...storage.Record) error {
	s.note("Insert")
	return s.Storage.Insert(ctx, records...)
}

func (s tallied) Update(ctx context.Context, records ...storage.Record) error {
	s.note("Update")
	return s.Storage.Update(ctx, records...)
}

func (s tallied) Delete(ctx context.Context, ids ...string) (int, error) {
	s.note("Delete")
	return s.Storage.Delete(ctx, ids...)
}

func (s tallied) Lock(ctx context.Context, key string) error {
	s.note("Lock")
	return s.Storage.Lock(ctx, key)
}

func (s tallied) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	s.note("RunInTx")
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, tallied{tx, s.tally})
	})
}
