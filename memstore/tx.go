package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/orginvite/orginvite/storage"
)

var errEnded = errors.New("memstore: the transaction of this handle has ended")

// A transaction is what all levels of one share: the state they write to, one call at a time.
type transaction struct {
	mu    sync.Mutex
	state *state
}

// run calls fn with a handle of its own. Whether it was cancelled is asked once more after fn, as a database would
// refuse to commit then.
func (t *transaction) run(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	h := &handle{t: t}
	defer h.end()
	if err := fn(ctx, h); err != nil {
		return err
	}
	return alive(ctx)
}

// A handle is one level of a transaction. The handle of an outer level works on the state of the innermost one.
type handle struct {
	t     *transaction
	ended bool // guarded by t.mu
}

var _ storage.Storage = (*handle)(nil)

// do calls f with the state, where ctx and the handle are still good for it.
func (h *handle) do(ctx context.Context, f func(s *state) error) error {
	if err := alive(ctx); err != nil {
		return err
	}
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	if h.ended {
		return errEnded
	}
	return f(h.t.state)
}

func (h *handle) end() {
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	h.ended = true
}

func (h *handle) Get(ctx context.Context, id string) (r storage.Record, err error) {
	err = h.do(ctx, func(s *state) error {
		r, err = s.get(id)
		return err
	})
	return r, err
}

func (h *handle) List(ctx context.Context, q storage.Query) (records []storage.Record, err error) {
	err = h.do(ctx, func(s *state) error {
		records, err = s.list(q)
		return err
	})
	return records, err
}

func (h *handle) Count(ctx context.Context, f storage.Filter) (n int, err error) {
	err = h.do(ctx, func(s *state) error {
		n = s.count(f)
		return nil
	})
	return n, err
}

func (h *handle) Insert(ctx context.Context, records ...storage.Record) error {
	return h.do(ctx, func(s *state) error { return s.insert(records) })
}

func (h *handle) Update(ctx context.Context, records ...storage.Record) error {
	return h.do(ctx, func(s *state) error { return s.update(records) })
}

func (h *handle) Delete(ctx context.Context, ids ...string) (n int, err error) {
	err = h.do(ctx, func(s *state) error {
		n = s.delete(ids)
		return nil
	})
	return n, err
}

// Lock has nothing to wait for: a transaction is the only one there is, from its start to its end. The same holds
// for ForUpdate.
func (h *handle) Lock(ctx context.Context, key string) error {
	return h.do(ctx, func(*state) error {
		if len(key) > storage.MaxReference || !storage.ValidText(key) {
			return fmt.Errorf("memstore: key of Lock is longer than %d bytes, not valid UTF-8 or holds a NUL",
				storage.MaxReference)
		}
		return nil
	})
}

func (h *handle) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	var before *state
	err := h.do(ctx, func(s *state) error {
		before, h.t.state = s, s.copy()
		return nil
	})
	if err != nil {
		return err
	}
	committed := false
	defer func() { // also when fn panics
		if !committed {
			h.t.mu.Lock()
			defer h.t.mu.Unlock()
			h.t.state = before
		}
	}()
	err = h.t.run(ctx, fn)
	committed = err == nil
	return err
}
