package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/orginvite/orginvite/storage"
)

var nestingCases = []testCase{
	{name: "a failed nested transaction rolls back exactly its own work", test: nestFails},
	{name: "nested transactions fail and succeed at any depth", test: nestDepth},
	{name: "a failed transaction rolls back its nested ones", test: nestRolledBack},
	{name: "a nested transaction reads the writes of the outer one, and its own", test: nestReadsWrites},
	{name: "the storage errors of a nested fn come back as they are", test: nestErrors},
	{name: "the ctx of a nested fn has the values of the caller's, and is alive", test: nestContextValues},
	{name: "a nested transaction says whether it was rolled back, also if ctx is cancelled in fn", test: nestOutcome},
	{name: "the handle of a nested transaction is unusable once its fn has returned", test: nestHandleEnds},
	{name: "a nested RunInTx calls fn once", test: nestRunsOnce},
	{
		name: "other goroutines use the outer transaction while a nested one is open", test: nestBeside,
	},
	{
		name: "read, change and write under a lock taken in a nested transaction loses nothing",
		test: nestNoLostUpdate, needs: Locks,
	},
	{
		name: "nobody sees what a nested transaction wrote before the outer one is committed", test: nestUncommitted,
		needs: Concurrency,
	},
}

// An error or panic in a nested transaction rolls back exactly its own work, even if its ctx is cancelled.
func nestFails(t *trial, s storage.Storage) {
	for i, end := range ends {
		id := func(name string) string { return fmt.Sprint(name, "-", i) }
		seed(t, s, record(id("kept")), record(id("gone")))
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			seed(t, tx, record(id("before")))
			update(t, tx, record(id("kept"), role("before")))
			insertInTx(t, tx, record(id("sibling")))
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			var err error
			value := panics(func() {
				err = tx.RunInTx(inner, func(ctx context.Context, nested storage.Storage) error {
					seed(t, nested, record(id("inside")))
					update(t, nested,
						record(id("kept"), role("inside"), version(2)), record(id("before"), role("inside")))
					if n, err := nested.Delete(ctx, id("gone"), id("sibling")); n != 2 || err != nil {
						t.Errorf("Delete = %d, %v", n, err)
					}
					insertInTx(t, nested, record(id("deep")))
					if end.cancel {
						cancel()
					}
					if end.panics {
						panic(&end)
					}
					return errHost
				})
			})
			if end.panics && value != any(&end) || !end.panics && value != nil {
				t.Errorf("%s: RunInTx panicked with %v", end.name, value)
			}
			if !end.panics {
				refused(t, end.name, err, errHost)
			}
			same(t, get(t, tx, id("kept")), edit(record(id("kept"), role("before"), version(2)).Stored()))
			missing(t, tx, id("inside"))
			missing(t, tx, id("deep"))
			byID(t, tx, storage.Filter{OrganizationID: "org-1", IDs: []string{
				id("before"), id("deep"), id("gone"), id("inside"), id("kept"), id("sibling"), id("after"),
			}}, id("before"), id("gone"), id("kept"), id("sibling"))
			// The slots are unchanged, too.
			taken(t, "Insert", tx.Insert(ctx, record(id("other"), to(record(id("gone")).EmailKey))), 0)
			seed(t, tx, record(id("after"), to(record(id("inside")).EmailKey)))
			return nil
		})
		byID(t, s, storage.Filter{IDs: []string{
			id("before"), id("deep"), id("gone"), id("inside"), id("kept"), id("sibling"), id("after"),
		}}, id("after"), id("before"), id("gone"), id("kept"), id("sibling"))
		same(t, get(t, s, id("kept")), record(id("kept"), role("before"), version(2)).Stored())
		same(t, get(t, s, id("before")), record(id("before")).Stored())
	}
}

// Transactions nest to any depth, and each fails or succeeds on its own.
func nestDepth(t *trial, s storage.Storage) {
	commit(t, s, func(ctx context.Context, tx1 storage.Storage) error {
		seed(t, tx1, record("1"))
		err := tx1.RunInTx(ctx, func(ctx context.Context, tx2 storage.Storage) error {
			seed(t, tx2, record("2"))
			err := tx2.RunInTx(ctx, func(ctx context.Context, tx3 storage.Storage) error {
				seed(t, tx3, record("3"))
				err := tx3.RunInTx(ctx, func(_ context.Context, tx4 storage.Storage) error {
					seed(t, tx4, record("4"))
					holds(t, tx4, record("1"), record("2"), record("3"), record("4"))
					return nil
				})
				if err != nil {
					t.Errorf("transaction 4: %v", err)
				}
				return errHost
			})
			refused(t, "transaction 3", err, errHost)
			holds(t, tx2, record("1"), record("2"))
			err = tx2.RunInTx(ctx, func(_ context.Context, tx3 storage.Storage) error {
				seed(t, tx3, record("3", role("again")))
				return nil
			})
			holds(t, tx2, record("1"), record("2"), record("3", role("again")))
			return err
		})
		holds(t, tx1, record("1"), record("2"), record("3", role("again")))
		return err
	})
	holds(t, s, record("1"), record("2"), record("3", role("again")))
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
		insertInTx(t, tx, record("4"))
		return errHost
	}), errHost)
	holds(t, s, record("1"), record("2"), record("3", role("again")))
}

// The writes of a committed nested transaction are rolled back with the outer one.
func nestRolledBack(t *trial, s storage.Storage) {
	rollsBackEverything(t, s, func(tx storage.Storage) { insertInTx(t, tx, record("d")) })
}

// A nested transaction sees the writes of the outer one, and the outer one sees the writes of the nested one.
func nestReadsWrites(t *trial, s storage.Storage) {
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		seed(t, tx, record("a"), record("b"))
		update(t, tx, record("a", role("x")))
		err := tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error {
			holds(t, tx, record("a", role("x"), version(2)), record("b"))
			update(t, tx, record("b", role("y")))
			holds(t, tx, record("a", role("x"), version(2)), record("b", role("y"), version(2)))
			return nil
		})
		holds(t, tx, record("a", role("x"), version(2)), record("b", role("y"), version(2)))
		return err
	})
	holds(t, s, record("a", role("x"), version(2)), record("b", role("y"), version(2)))
}

// A nested RunInTx returns the storage errors of fn unchanged, and the outer transaction stays usable.
func nestErrors(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Get(ctx, "none")
			return err
		})
	}), storage.ErrNotFound)
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		for range 2 {
			taken(t, "RunInTx", tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				return tx.Insert(ctx, record("d"), record("a"))
			}), 1)
			refused(t, "RunInTx", tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				return tx.Update(ctx, record("a", version(3)))
			}), storage.ErrConflict)
			holds(t, tx, record("a"))
		}
		seed(t, tx, record("d"))
		return nil
	})
	holds(t, s, record("a"), record("d"))
}

// A nested RunInTx passes fn a ctx that has the values of the caller's ctx.
func nestContextValues(t *trial, s storage.Storage) {
	ran := 0
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		return tx.RunInTx(context.WithValue(ctx, contextKey{}, "inner"), func(ctx context.Context, _ storage.Storage) error {
			ran++
			if ctx.Value(contextKey{}) != "inner" || ctx.Err() != nil {
				t.Errorf("the nested ctx has the value %v and the error %v", ctx.Value(contextKey{}), ctx.Err())
			}
			return nil
		})
	})
	if ran < 1 {
		t.Error("fn was not called")
	}
}

// A nested RunInTx returns nil if and only if its writes are kept, even if its ctx is cancelled in fn.
func nestOutcome(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	commit(t, s, func(outer context.Context, tx storage.Storage) error {
		ctx, cancel := context.WithCancel(outer)
		defer cancel()
		err := tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error {
			seed(t, tx, record("c"))
			cancel()
			return nil
		})
		if err == nil {
			holds(t, tx, record("a"), record("c"))
		} else {
			holds(t, tx, record("a"))
		}
		_, err = tx.Delete(outer, "c")
		return err
	})
	holds(t, s, record("a"))
}

// Every call on a nested transaction's handle fails once its fn has returned.
func nestHandleEnds(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	var handle storage.Storage
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		err := tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error { handle = tx; return nil })
		if err != nil {
			return err
		}
		unusable(t, "a committed nested transaction", handle)
		_ = tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error { handle = tx; return errHost })
		unusable(t, "a failed nested transaction", handle)
		panics(func() {
			_ = tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error { handle = tx; panic("fn") })
		})
		unusable(t, "a nested transaction that panicked", handle)
		holds(t, tx, record("a"), record("b"))
		return nil
	})
	unusable(t, "a committed nested transaction after the outer one has ended", handle)
	holds(t, s, record("a"), record("b"))
}

// A lock that was taken in a nested transaction protects the outer one too.
func nestNoLostUpdate(t *trial, s storage.Storage) { losesNothing(t, s, nestedLocks) }

// A reader sees no writes of a committed nested transaction before the outermost one is committed.
func nestUncommitted(t *trial, s storage.Storage) {
	hidesUncommitted(t, s, func(tx storage.Storage) { insertInTx(t, tx, record("d")) })
}

// A nested RunInTx calls fn exactly once, also if fn returns ErrAborted.
func nestRunsOnce(t *trial, s storage.Storage) {
	commit(t, s, func(_ context.Context, tx storage.Storage) error {
		runsOnce(t, tx)
		return nil
	})
	runs := 0
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		runs = 0
		refused(t, "nested RunInTx", tx.RunInTx(ctx, func(context.Context, storage.Storage) error {
			runs++
			return fmt.Errorf("wrapped: %w", storage.ErrAborted)
		}), storage.ErrAborted)
		return errHost
	}), nil)
	if runs != 1 {
		t.Errorf("the nested fn, which returns ErrAborted, was called %d times", runs)
	}
}

// While one goroutine has a nested transaction open, others may use the outer one. Their calls may have to wait. What
// they have written is not part of the nested transaction, so rolling that back does not undo it.
func nestBeside(t *trial, s storage.Storage) {
	const others = 3
	var want []storage.Record
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		want = nil
		for round := range 4 {
			kept := round%2 == 0
			outer := func(i int) storage.Record { return record(fmt.Sprintf("outer-%d-%d", round, i)) }
			nested := func(i int) storage.Record { return record(fmt.Sprintf("nested-%d-%d", round, i)) }
			var beside sync.WaitGroup
			var failed [others]error
			err := tx.RunInTx(ctx, func(inner context.Context, tx2 storage.Storage) error {
				if err := tx2.Insert(inner, nested(0)); err != nil {
					return err
				}
				for i := range others {
					beside.Go(func() { failed[i] = tx.Insert(ctx, outer(i)) })
				}
				written := make(chan struct{})
				go func() { beside.Wait(); close(written) }()
				select {
				case <-written:
				case <-time.After(glance / 4): // they wait for the nested transaction
				}
				if err := tx2.Insert(inner, nested(1)); err != nil {
					return err
				}
				if !kept {
					return errHost
				}
				return nil
			})
			beside.Wait()
			if err := errors.Join(failed[:]...); err != nil {
				return fmt.Errorf("Insert beside a nested transaction: %w", err)
			}
			if kept && err != nil || !kept && !errors.Is(err, errHost) {
				return fmt.Errorf("nested RunInTx: %w", err)
			}
			for i := range others {
				want = append(want, outer(i))
			}
			if kept {
				want = append(want, nested(0), nested(1))
			}
			holds(t, tx, want...)
		}
		return nil
	})
	holds(t, s, want...)
}
