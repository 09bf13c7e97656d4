package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

var waitingCases = []testCase{
	{name: "a lock is held until the transaction ends, and waiting for it honours ctx", test: waitHeld},
	{name: "a lock taken in a nested transaction is held until the outer one ends", test: waitHeldNested, needs: Nesting},
	{name: "a lock shows what was committed since the transaction's first read", test: waitShows},
	{name: "a lock taken in a nested transaction shows what was committed before", test: waitShowsNested, needs: Nesting},
	{name: "a write that waits for a transaction honours ctx", test: waitWrite},
	{name: "an abandoned wait leaves nothing behind", test: waitAbandoned},
}

// Lock and ForUpdate are held until the transaction ends, however it ends, and waiting for them honours ctx.
func waitHeld(t *testing.T, s storage.Storage) { areHeld(t, s, locks) }

// Lock and ForUpdate in a nested transaction are held until the outermost one ends.
func waitHeldNested(t *testing.T, s storage.Storage) { areHeld(t, s, nestedLocks) }

func areHeld(t *testing.T, s storage.Storage, ways []lock) {
	t.Helper()
	seed(t, s, record("a"))
	for _, way := range ways {
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			if _, err := way.read(ctx, tx, "a"); err != nil {
				return err
			}
			for _, other := range ways {
				if other.rows != way.rows {
					continue // Lock and ForUpdate do not exclude each other
				}
				err, _ := aside(t, glance/4, func(ctx context.Context) error {
					return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						_, err := other.read(ctx, tx, "a")
						return err
					})
				})
				refused(t, other.name+" while another transaction holds "+way.name, err, nil)
			}
			return nil
		})
	}
	// The lock is free again when the transaction has ended, however it ended.
	for _, way := range ways {
		_ = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			_, _ = way.read(ctx, tx, "a")
			return errHost
		})
		panics(func() {
			_ = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				_, _ = way.read(ctx, tx, "a")
				panic("fn")
			})
		})
	}
	together(t, 2, func(ctx context.Context, _ int) {
		for _, way := range ways {
			err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
				_, err := way.read(ctx, tx, "a")
				return err
			})
			if err != nil {
				t.Errorf("%s: %v", way.name, err)
			}
		}
	})
	holds(t, s, record("a"))
}

// After Lock or ForUpdate a transaction sees the commits of earlier holders, or fails with [storage.ErrAborted].
func waitShows(t *testing.T, s storage.Storage) { areCurrent(t, s, locks) }

// After a lock in a nested transaction, the commits of earlier holders are visible too.
func waitShowsNested(t *testing.T, s storage.Storage) { areCurrent(t, s, nestedLocks) }

func areCurrent(t *testing.T, s storage.Storage, ways []lock) {
	t.Helper()
	for i, way := range ways {
		id := number(i)
		seed(t, s, record(id))
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			if _, err := tx.Get(ctx, id); err != nil {
				return err
			}
			before := int64(0)
			// Another transaction changes the record, if the store lets two run at a time.
			err, expired := aside(t, glance, func(ctx context.Context) error {
				return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					r, err := way.read(ctx, tx, id)
					if err != nil {
						return err
					}
					r.Generation++
					before = r.Version + 1
					return tx.Update(ctx, r)
				})
			})
			if err != nil && !expired && !errors.Is(err, storage.ErrAborted) {
				t.Errorf("%s beside a reader: %v", way.name, err)
			}
			r, lockErr := way.read(ctx, tx, id)
			if lockErr != nil {
				return lockErr // ErrAborted: retried; any other error fails the case
			}
			if err == nil && r.Version < before {
				t.Errorf("%s: read version %d although version %d was committed before", way.name, r.Version, before)
			}
			r.Generation++
			return tx.Update(ctx, r)
		})
		if r := get(t, s, id); r.Version != r.Generation {
			t.Errorf("%s: generation %d at version %d: an update was lost", way.name, r.Generation, r.Version)
		}
	}
}

// A write that waits for an open transaction honours ctx.
func waitWrite(t *testing.T, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		update(t, tx, record("a", role("x")))
		seed(t, tx, record("c", to("slot")))
		for name, write := range map[string]func(ctx context.Context) error{
			"Update of a record": func(ctx context.Context) error { return s.Update(ctx, record("a", role("other"))) },
			"Delete of a record": func(ctx context.Context) error { _, err := s.Delete(ctx, "a"); return err },
			"Insert of the slot": func(ctx context.Context) error { return s.Insert(ctx, record("d", to("slot"))) },
			"Insert of the id":   func(ctx context.Context) error { return s.Insert(ctx, record("c")) },
		} {
			err, _ := aside(t, glance, write)
			refused(t, name+" that an open transaction wrote", err, nil)
		}
		return nil
	})
	holds(t, s, record("a", role("x"), version(2)), record("b"), record("c", to("slot")))
}

// A transaction whose wait was cancelled writes nothing and holds nothing.
func waitAbandoned(t *testing.T, s storage.Storage) {
	seed(t, s, record("a"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		update(t, tx, record("a", role("x")))
		together(t, 4, func(_ context.Context, i int) {
			waiting, cancel := context.WithTimeout(ctx, glance)
			defer cancel()
			err := s.RunInTx(waiting, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(tx.Insert(ctx, record(fmt.Sprint("b-", i))), tx.Update(ctx, record("a", role("other"))))
			})
			refused(t, "RunInTx", err, nil)
		})
		return nil
	})
	holds(t, s, record("a", role("x"), version(2)))
	insertInTx(t, s, record("c"))
	holds(t, s, record("a", role("x"), version(2)), record("c"))
}
