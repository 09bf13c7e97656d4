package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/orginvite/orginvite/storage"
)

var waitingCases = []testCase{
	{name: "a lock is held until the transaction ends, and waiting for it honours ctx", test: waitHeld},
	{name: "a lock taken in a nested transaction is held until the outer one ends", test: waitHeldNested, needs: Nesting},
	{name: "every key that a transaction has locked is held, the empty one too", test: waitKeys},
	{
		name: "a lock taken again after its nested transaction was rolled back is held", test: waitHeldAgain,
		needs: Nesting,
	},
	{name: "a lock shows what was committed since the transaction's first read", test: waitShows},
	{name: "a lock taken in a nested transaction shows what was committed before", test: waitShowsNested, needs: Nesting},
	{name: "a write that waits for a transaction honours ctx", test: waitWrite},
	{name: "an abandoned wait leaves nothing behind", test: waitAbandoned},
	{name: "a wait that is cancelled does not make RunInTx claim what it did not write", test: waitCancelled},
	{
		name: "a wait that is cancelled does not make a nested RunInTx claim what it did not write",
		test: waitCancelledNested, needs: Nesting,
	},
	{name: "a refusal after a wait leaves the transaction usable", test: waitRefused},
	{
		name: "a refusal after a wait leaves a nested transaction usable, and the outer one", test: waitRefusedNested,
		needs: Nesting,
	},
	{name: "two transactions that take the same in opposite orders both end", test: waitCrossing},
	{name: "an aborted transaction stays aborted, also if fn ignores the error", test: waitAborted},
	{name: "an abort in a nested transaction aborts the outer one", test: waitAbortedNested, needs: Nesting},
	{name: "Get, List and Count do not lock", test: waitReads},
	{name: "Get, List and Count do not wait for locks", test: waitReaders},
}

// Lock and ForUpdate are held until the transaction ends, however it ends, and waiting for them honours ctx.
func waitHeld(t *trial, s storage.Storage) { areHeld(t, s, locks) }

// Lock and ForUpdate in a nested transaction are held until the outermost one ends.
func waitHeldNested(t *trial, s storage.Storage) { areHeld(t, s, nestedLocks) }

func areHeld(t *trial, s storage.Storage, ways []lock) {
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
func waitShows(t *trial, s storage.Storage) { areCurrent(t, s, locks) }

// After a lock in a nested transaction, the commits of earlier holders are visible too.
func waitShowsNested(t *trial, s storage.Storage) { areCurrent(t, s, nestedLocks) }

func areCurrent(t *trial, s storage.Storage, ways []lock) {
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
func waitWrite(t *trial, s storage.Storage) {
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
func waitAbandoned(t *trial, s storage.Storage) {
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

// A transaction holds each key that it has locked, in whatever order it locked them.
func waitKeys(t *trial, s storage.Storage) {
	keys := []string{"b", "", "a"}
	for range 2 {
		slices.Reverse(keys)
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			for _, key := range keys {
				if err := tx.Lock(ctx, key); err != nil {
					return err
				}
			}
			for _, key := range keys {
				isLocked(t, s, fmt.Sprintf("Lock(%q), which another transaction holds with others", key), key, lockOnly)
			}
			return nil
		})
	}
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		for _, key := range keys {
			if err := tx.Lock(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// lockOnly locks a key and reads nothing.
func lockOnly(ctx context.Context, tx storage.Storage, key string) (storage.Record, error) {
	return storage.Record{}, tx.Lock(ctx, key)
}

// isLocked expects another transaction to get no lock while it waits a short time.
func isLocked(t *trial, s storage.Storage, what, id string, take lockedRead) {
	t.Helper()
	err, _ := aside(t, glance/4, func(ctx context.Context) error {
		return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := take(ctx, tx, id)
			return err
		})
	})
	refused(t, what, err, nil)
}

// Rolling back a nested transaction may free the locks taken in it. The outer transaction can take them again, and it
// keeps those that it had before.
func waitHeldAgain(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	for _, way := range []lock{{"Lock", false, lockKey}, {"ForUpdate", true, forUpdate}} {
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			if _, err := way.read(ctx, tx, "a"); err != nil {
				return err
			}
			nested := func(id string) error {
				return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					if _, err := way.read(ctx, tx, id); err != nil {
						return err
					}
					return errHost
				})
			}
			for _, id := range []string{"a", "b"} {
				if err := nested(id); !errors.Is(err, errHost) {
					return err
				}
			}
			isLocked(t, s, way.name+" that the outer transaction had before", "a", way.read)
			if _, err := way.read(ctx, tx, "b"); err != nil {
				return err
			}
			isLocked(t, s, way.name+" taken again by the outer transaction", "b", way.read)
			isLocked(t, s, way.name+" that the outer transaction had before", "a", way.read)
			return nil
		})
	}
}

// blocked lists calls that wait for a transaction that holds what blocking holds.
var blocked = []struct {
	name string
	call func(ctx context.Context, tx storage.Storage) error
}{
	{"Lock", func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "key") }},
	{"List for update", func(ctx context.Context, tx storage.Storage) error {
		_, err := forUpdate(ctx, tx, "held")
		return err
	}},
	{"Update", func(ctx context.Context, tx storage.Storage) error {
		return tx.Update(ctx, record("held", role("other")))
	}},
	{"Insert", func(ctx context.Context, tx storage.Storage) error {
		return tx.Insert(ctx, record("contender", to("slot")))
	}},
	{"Delete", func(ctx context.Context, tx storage.Storage) error {
		_, err := tx.Delete(ctx, "held")
		return err
	}},
}

// blocking locks and writes what the calls of blocked wait for.
func blocking(ctx context.Context, tx storage.Storage) error {
	if err := tx.Lock(ctx, "key"); err != nil {
		return err
	}
	if _, err := forUpdate(ctx, tx, "held"); err != nil {
		return err
	}
	if err := tx.Update(ctx, record("held", role("x"))); err != nil {
		return err
	}
	return tx.Insert(ctx, record("holder", to("slot")))
}

// beside calls f with a ctx that lasts a short time while the transaction of blocking is open. That transaction is
// rolled back.
func beside(t *trial, s storage.Storage, f func(ctx context.Context) error) error {
	t.Helper()
	var err error
	refused(t, "the transaction that others wait for", transact(t.Context(), s,
		func(ctx context.Context, tx storage.Storage) error {
			if err := blocking(ctx, tx); err != nil {
				return err
			}
			err, _ = aside(t, 8*glance, f)
			return errHost
		}), errHost)
	return err
}

// The ctx of a call may end while the call waits. Some databases then roll the transaction back. RunInTx must not
// return nil for that, even if fn ignores the error.
func waitCancelled(t *trial, s storage.Storage) {
	seed(t, s, record("held"))
	for _, b := range blocked {
		ran := false
		before, after := "before-"+b.name, "after-"+b.name
		wrote := []string{before}
		err := beside(t, s, func(ctx context.Context) error {
			return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				ran, wrote = true, []string{before}
				if err := tx.Insert(ctx, record(before)); err != nil {
					return err
				}
				inner, cancel := context.WithTimeout(ctx, glance)
				defer cancel()
				refused(t, b.name+" that waits", b.call(inner, tx), nil)
				if tx.Insert(ctx, record(after)) == nil {
					wrote = append(wrote, after)
				}
				return nil // whatever the calls returned
			})
		})
		if !ran {
			return // the store runs one transaction at a time
		}
		outcome(t, b.name, err, s, wrote...)
	}
}

// The same holds for a nested transaction.
func waitCancelledNested(t *trial, s storage.Storage) {
	seed(t, s, record("held"))
	for _, b := range blocked {
		ran := false
		var nestedErr error
		outer, nested := "outer-"+b.name, "nested-"+b.name
		err := beside(t, s, func(ctx context.Context) error {
			return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				ran = true
				if err := tx.Insert(ctx, record(outer)); err != nil {
					return err
				}
				nestedErr = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					if err := tx.Insert(ctx, record(nested)); err != nil {
						return err
					}
					inner, cancel := context.WithTimeout(ctx, glance)
					defer cancel()
					refused(t, b.name+" that waits", b.call(inner, tx), nil)
					return nil // whatever the call returned
				})
				return nil
			})
		})
		if !ran {
			return // the store runs one transaction at a time
		}
		outcome(t, b.name, err, s, outer)
		if err == nil {
			outcome(t, b.name+" in a nested transaction", nestedErr, s, nested)
		}
	}
}

// A call that waits for another transaction may be refused once that has been committed.
func waitRefused(t *trial, s storage.Storage) {
	areRefused(t, s, func(ctx context.Context, tx storage.Storage, call func(storage.Storage) error) error {
		return call(tx)
	})
}

// A nested transaction that was refused something may go on, or be rolled back.
func waitRefusedNested(t *trial, s storage.Storage) {
	for _, goOn := range []bool{true, false} {
		areRefused(t, s, func(ctx context.Context, tx storage.Storage, call func(storage.Storage) error) error {
			var refusal error
			err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				if refusal = call(tx); !goOn {
					return refusal
				}
				_, err := tx.Count(ctx, storage.Filter{})
				return err
			})
			if goOn && err != nil {
				return err
			}
			return refusal
		})
	}
}

// areRefused makes calls of transactions that wait for another one. within calls its function on tx.
func areRefused(t *trial, s storage.Storage,
	within func(ctx context.Context, tx storage.Storage, call func(storage.Storage) error) error) {
	t.Helper()
	for i, c := range []struct {
		what string
		want error
		// first writes what call waits for.
		first, call func(ctx context.Context, tx storage.Storage, id string) error
	}{
		{"Insert of the slot", storage.ErrExists, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Insert(ctx, record("holder-"+id, to("slot-"+id)))
		}, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Insert(ctx, record("late-"+id, to("slot-"+id)))
		}},
		{"Insert of the id", storage.ErrExists, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Insert(ctx, record("same-"+id))
		}, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Insert(ctx, record("same-"+id, to("other-"+id)))
		}},
		{"Update into the slot", storage.ErrExists, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Insert(ctx, record("holder-"+id, to("slot-"+id)))
		}, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Update(ctx, record("b-"+id, to("slot-"+id)))
		}},
		{"Update of the version", storage.ErrConflict, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Update(ctx, record("a-"+id, role("x")))
		}, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Update(ctx, record("a-"+id, role("y")))
		}},
		{"Update of a deleted record", storage.ErrNotFound, func(ctx context.Context, tx storage.Storage, id string) error {
			_, err := tx.Delete(ctx, "a-"+id)
			return err
		}, func(ctx context.Context, tx storage.Storage, id string) error {
			return tx.Update(ctx, record("a-"+id, role("y")))
		}},
	} {
		id := fmt.Sprint(i, "-", otherKeys.Add(1))
		seed(t, s, record("a-"+id), record("b-"+id))
		written, calling := make(chan struct{}), make(chan struct{})
		together(t, 2, func(ctx context.Context, n int) {
			wrote, called := sync.OnceFunc(func() { close(written) }), sync.OnceFunc(func() { close(calling) })
			if n == 0 {
				defer wrote()
				err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
					if err := c.first(ctx, tx, id); err != nil {
						return err
					}
					wrote()
					for _, wait := range []<-chan struct{}{calling, nil} { // until the call is on its way
						select {
						case <-wait:
						case <-time.After(glance):
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("the transaction before %s: %v", c.what, err)
				}
				return
			}
			select {
			case <-written:
			case <-ctx.Done():
				return
			}
			err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record("before-"+id)); err != nil {
					return err
				}
				called()
				err := within(ctx, tx, func(tx storage.Storage) error { return c.call(ctx, tx, id) })
				switch {
				case errors.Is(err, storage.ErrAborted):
					return err
				case err == nil:
					return fmt.Errorf("it succeeded; want %w", c.want)
				case !errors.Is(err, c.want):
					return fmt.Errorf("got %w; want %w", err, c.want)
				}
				if _, err := tx.Get(ctx, "before-"+id); err != nil {
					return fmt.Errorf("Get after the refusal: %w", err)
				}
				if err := tx.Insert(ctx, record("after-"+id)); err != nil {
					return fmt.Errorf("Insert after the refusal: %w", err)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s that another transaction has written: %v", c.what, err)
			}
		})
		byID(t, s, storage.Filter{IDs: []string{"before-" + id, "after-" + id}}, "after-"+id, "before-"+id)
	}
}

// While a transaction has read records, others write them without waiting. If the store runs one transaction at a time,
// this shows nothing.
func waitReads(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"))
	for i, read := range []struct {
		name string
		call func(ctx context.Context, tx storage.Storage) error
	}{
		{"Get", func(ctx context.Context, tx storage.Storage) error { _, err := tx.Get(ctx, "a"); return err }},
		{"List by id", func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a", "b"}}})
			return err
		}},
		{"List", func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.List(ctx, storage.Query{Filter: storage.Filter{OrganizationID: "org-1"}, Limit: 10})
			return err
		}},
		{"Count", func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Count(ctx, storage.Filter{EmailKeys: []string{record("a").EmailKey}})
			return err
		}},
	} {
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			// write changes a record in another transaction. It waits for at most limit.
			write := func(id string, limit time.Duration) error {
				return soon(t, limit, func(ctx context.Context) error {
					return transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
						r, err := forUpdate(ctx, tx, id)
						if err != nil {
							return err
						}
						return tx.Update(ctx, edit(r, role(fmt.Sprint(read.name))))
					})
				})
			}
			if write("c", glance) != nil {
				return nil // even before the read
			}
			if err := read.call(ctx, tx); err != nil {
				return err
			}
			if err := write("a", t.patience/2); err != nil {
				t.Errorf("Update of a record beside a transaction that has read it by %s: %v", read.name, err)
			}
			err := soon(t, t.patience/2, func(ctx context.Context) error {
				return s.Insert(ctx, record(fmt.Sprint("new-", i)))
			})
			if err != nil {
				t.Errorf("Insert beside a transaction that has called %s: %v", read.name, err)
			}
			return nil
		})
	}
}

// While a transaction has locked and written records, others read them without waiting. If the store runs one
// transaction or statement at a time, this shows nothing.
func waitReaders(t *trial, s storage.Storage) {
	seed(t, s, record("held"), record("b"))
	for _, read := range []struct {
		name string
		call func(ctx context.Context, s storage.Storage) error
	}{
		{"Get", func(ctx context.Context, s storage.Storage) error { _, err := s.Get(ctx, "held"); return err }},
		{"List by id", func(ctx context.Context, s storage.Storage) error {
			_, err := s.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"held", "holder"}}})
			return err
		}},
		{"List", func(ctx context.Context, s storage.Storage) error {
			_, err := s.List(ctx, storage.Query{Filter: storage.Filter{OrganizationID: "org-1"}})
			return err
		}},
		{"Count", func(ctx context.Context, s storage.Storage) error {
			_, err := s.Count(ctx, storage.Filter{Statuses: []string{storage.Pending}, Now: epoch})
			return err
		}},
	} {
		for _, within := range []struct {
			name string
			run  func(ctx context.Context) error
		}{
			{read.name, func(ctx context.Context) error { return read.call(ctx, s) }},
			{read.name + " in a transaction", func(ctx context.Context) error { return transact(ctx, s, read.call) }},
		} {
			refused(t, "RunInTx", transact(t.Context(), s, func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Lock(ctx, "other"); err != nil { // begins, even if the store begins late
					return err
				}
				if soon(t, glance, within.run) != nil {
					return errHost // even before the record is locked
				}
				if err := blocking(ctx, tx); err != nil {
					return err
				}
				if err := soon(t, t.patience/2, within.run); err != nil {
					t.Errorf("%s beside a transaction that has written the record: %v", within.name, err)
				}
				return errHost
			}), errHost)
		}
	}
}

// soon runs f with the time limit and returns its error.
func soon(t *trial, limit time.Duration, f func(ctx context.Context) error) error {
	t.Helper()
	err, expired := aside(t, limit, f)
	if err != nil && expired {
		return fmt.Errorf("not done after %v: %w", limit, err)
	}
	return err
}
