package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A crossing makes two transactions wait for each other: each takes one of two things, and then the other one. A store
// that runs one transaction at a time never gets there.
type crossing struct {
	name string
	take func(ctx context.Context, tx storage.Storage, who int, what string) error
}

var crossings = []crossing{
	{"Lock", func(ctx context.Context, tx storage.Storage, _ int, what string) error { return tx.Lock(ctx, what) }},
	{"List for update", func(ctx context.Context, tx storage.Storage, _ int, what string) error {
		_, err := forUpdate(ctx, tx, what)
		return err
	}},
	{"Update", func(ctx context.Context, tx storage.Storage, who int, what string) error {
		r, err := tx.Get(ctx, what)
		if err != nil {
			return err
		}
		r.Role = fmt.Sprint(who)
		return tx.Update(ctx, r)
	}},
	{"Insert", func(ctx context.Context, tx storage.Storage, who int, what string) error {
		return tx.Insert(ctx, record(fmt.Sprint(who, "-", what), to("slot-"+what)))
	}},
	{"Lock and List for update", func(ctx context.Context, tx storage.Storage, _ int, what string) error {
		if what == "a" {
			return tx.Lock(ctx, "a")
		}
		_, err := forUpdate(ctx, tx, what)
		return err
	}},
}

// meeting returns a function that n goroutines call to wait for each other. They wait only a short time, because the
// store may run one transaction at a time.
func meeting(n int) (arrive func()) {
	var arrived atomic.Int64
	all := make(chan struct{})
	return func() {
		if arrived.Add(1) == int64(n) {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(glance):
		}
	}
}

// Two transactions that take the same things in opposite orders both end. The store retries the one that it aborts, or
// the suite does.
func waitCrossing(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	for _, c := range crossings {
		arrive := meeting(2)
		together(t, 2, func(ctx context.Context, i int) {
			order := []string{"a", "b"}
			if i == 1 {
				order = []string{"b", "a"}
			}
			met := false
			err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
				if err := c.take(ctx, tx, i, order[0]); err != nil {
					return err
				}
				if !met {
					met = true
					arrive()
				}
				return c.take(ctx, tx, i, order[1])
			})
			// Once one of them has committed, it is right to refuse the other one what it writes.
			if err != nil && !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrConflict) {
				t.Errorf("%s in opposite orders: %v; want success or %v", c.name, err, storage.ErrAborted)
			}
		})
		if t.Failed() {
			return
		}
	}
	n, err := s.Count(t.Context(), storage.Filter{EmailContains: "slot-"})
	if n != 2 || err != nil {
		t.Errorf("after the same Inserts in opposite orders, Count = %d, %v; want 2", n, err)
	}
	if a, b := get(t, s, "a"), get(t, s, "b"); a.Role != b.Role {
		t.Errorf("the transactions are mixed: roles %q and %q", a.Role, b.Role)
	}
}

// After ErrAborted every call of the transaction returns ErrAborted. So does RunInTx, even if fn ignores the error,
// unless the store has retried fn.
func waitAborted(t *trial, s storage.Storage) {
	areAborted(t, s, func(_ context.Context, tx storage.Storage, call func(storage.Storage) error) error {
		return call(tx)
	})
}

// An ErrAborted in a nested transaction concerns the outer one, too.
func waitAbortedNested(t *trial, s storage.Storage) {
	areAborted(t, s, func(ctx context.Context, tx storage.Storage, call func(storage.Storage) error) error {
		var aborted error
		err := tx.RunInTx(ctx, func(_ context.Context, nested storage.Storage) error {
			if aborted = call(nested); errors.Is(aborted, storage.ErrAborted) {
				staysAborted(t, "of the nested transaction", nested)
				return nil // ignored
			}
			return aborted
		})
		if errors.Is(aborted, storage.ErrAborted) {
			refused(t, "RunInTx of the nested transaction that was aborted", err, storage.ErrAborted)
			return aborted
		}
		return err
	})
}

func areAborted(t *trial, s storage.Storage,
	within func(ctx context.Context, tx storage.Storage, call func(storage.Storage) error) error) {
	t.Helper()
	// Every committed transaction gives a and b its own role.
	seed(t, s, record("a", role("none")), record("b", role("none")))
	write := func(ctx context.Context, tx storage.Storage, id string, who int) error {
		r, err := forUpdate(ctx, tx, id)
		if err != nil {
			return err
		}
		r.Role = fmt.Sprint(who)
		return tx.Update(ctx, r)
	}
	var committed atomic.Int64
	arrive := meeting(2)
	together(t, 2, func(ctx context.Context, i int) {
		order := []string{"a", "b"}
		if i == 1 {
			order = []string{"b", "a"}
		}
		met, ignored := false, false
		err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			again := ignored // only the first ErrAborted is ignored
			ignored = false
			if err := write(ctx, tx, order[0], i); err != nil {
				return err
			}
			if !met {
				met = true
				arrive()
			}
			err := within(ctx, tx, func(tx storage.Storage) error { return write(ctx, tx, order[1], i) })
			if errors.Is(err, storage.ErrAborted) && !again {
				ignored = true
				staysAborted(t, "of the transaction", tx)
				return nil
			}
			return err
		})
		switch {
		case err == nil && ignored:
			t.Errorf("RunInTx returned nil, although a call of its function returned %v", storage.ErrAborted)
		case err == nil:
			committed.Add(1)
		case !errors.Is(err, storage.ErrAborted):
			t.Errorf("RunInTx of a deadlock: %v; want success or %v", err, storage.ErrAborted)
		}
	})
	a, b := get(t, s, "a"), get(t, s, "b")
	if a.Role != b.Role || a.Version != b.Version || a.Version != 1+committed.Load() {
		t.Errorf("%d transactions were committed; the records have roles %q and %q, versions %d and %d",
			committed.Load(), a.Role, b.Role, a.Version, b.Version)
	}
	byID(t, s, storage.Filter{IDs: []string{"c", "d"}})
}

// staysAborted expects ErrAborted from every call on s.
func staysAborted(t *trial, what string, s storage.Storage) {
	t.Helper()
	for name, call := range calls(s) {
		refused(t, fmt.Sprintf("%s %s after %v", name, what, storage.ErrAborted), call(t.Context()), storage.ErrAborted)
	}
}
