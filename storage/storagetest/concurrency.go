package storagetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// ways lists the two ways to make a single write: alone and in a transaction.
var ways = []struct {
	name string
	run  func(ctx context.Context, s storage.Storage, write func(storage.Storage) error) error
}{
	{"alone", func(ctx context.Context, s storage.Storage, write func(storage.Storage) error) error {
		return persist(ctx, func() error { return write(s) })
	}},
	{"in a transaction", func(ctx context.Context, s storage.Storage, write func(storage.Storage) error) error {
		return transact(ctx, s, func(_ context.Context, tx storage.Storage) error { return write(tx) })
	}},
}

const rivals = 8

var concurrencyCases = []testCase{
	{name: "of concurrent Updates of one version exactly one wins", test: raceUpdates},
	{name: "of concurrent Inserts of one slot exactly one wins", test: raceSlot},
	{name: "of concurrent Inserts of one id exactly one wins", test: raceID},
	{name: "of concurrent Inserts of the same addresses in any order exactly one wins", test: raceOrders},
	{name: "the goroutines of a transaction share it", test: raceShared},
	{name: "of concurrent moves to one slot exactly one wins", test: raceMoves},
	{name: "of concurrent Deletes each record is counted once", test: raceDeletes},
	{name: "writers of different records do not disturb each other", test: raceApart},
	{name: "nobody sees half of a write", test: raceHalves},
	{name: "nobody sees what is not committed", test: raceUncommitted},
	{name: "readers and walkers beside writers see whole records", test: raceReaders},
}

// Of concurrent Updates of one version exactly one wins; the others get ErrConflict.
func raceUpdates(t *trial, s storage.Storage) {
	for _, way := range ways {
		for round := range 4 {
			id := fmt.Sprint(way.name, round)
			seed(t, s, record(id))
			var won atomic.Int64
			won.Store(-1)
			together(t, rivals, func(ctx context.Context, i int) {
				err := way.run(ctx, s, func(s storage.Storage) error {
					return s.Update(ctx, record(id, role(fmt.Sprint("role-", i))))
				})
				switch {
				case err == nil && !won.CompareAndSwap(-1, int64(i)):
					t.Errorf("%s: two Updates of one version succeeded", way.name)
				case err != nil && !errors.Is(err, storage.ErrConflict):
					t.Errorf("%s: %v; want %v", way.name, err, storage.ErrConflict)
				}
			})
			same(t, get(t, s, id), record(id, role(fmt.Sprint("role-", won.Load())), version(2)).Stored())
		}
	}
}

// Of concurrent Inserts into one slot exactly one wins; the others get ErrExists.
func raceSlot(t *trial, s storage.Storage) {
	for _, way := range ways {
		for round := range 4 {
			key := fmt.Sprint(way.name, round)
			var won atomic.Int64
			won.Store(-1)
			together(t, rivals, func(ctx context.Context, i int) {
				err := way.run(ctx, s, func(s storage.Storage) error {
					return s.Insert(ctx, record(fmt.Sprint(key, "-", i), to(key)))
				})
				switch {
				case err == nil && !won.CompareAndSwap(-1, int64(i)):
					t.Errorf("%s: two Inserts into one slot succeeded", way.name)
				case err != nil:
					taken(t, way.name, err, 0)
				}
			})
			byID(t, s, storage.Filter{EmailKeys: []string{key}}, fmt.Sprint(key, "-", won.Load()))
		}
	}
}

// Of concurrent Inserts of one id exactly one wins; the others get ErrExists.
func raceID(t *trial, s storage.Storage) {
	for _, way := range ways {
		for round := range 4 {
			id := fmt.Sprint(way.name, round)
			var won atomic.Int64
			won.Store(-1)
			together(t, rivals, func(ctx context.Context, i int) {
				err := way.run(ctx, s, func(s storage.Storage) error {
					other := record(fmt.Sprint(id, "-", i))
					return s.Insert(ctx, other, record(id, to(fmt.Sprint(id, "+", i)), role(fmt.Sprint(i))))
				})
				switch {
				case err == nil && !won.CompareAndSwap(-1, int64(i)):
					t.Errorf("%s: two Inserts of one id succeeded", way.name)
				case err != nil:
					taken(t, way.name, err, 1)
				}
			})
			if got := get(t, s, id).Role; got != fmt.Sprint(won.Load()) {
				t.Errorf("%s: the record was written by writer %s, but writer %d succeeded", way.name, got, won.Load())
			}
			byID(t, s, storage.Filter{EmailContains: id + "-"}, fmt.Sprint(id, "-", won.Load()))
		}
	}
}

// Inserts of the same addresses do not deadlock, whatever the order of their arguments. Exactly one wins, and the
// others get ErrExists for all of theirs.
func raceOrders(t *trial, s storage.Storage) {
	const addresses = 12
	var all []int
	for i := range addresses {
		all = append(all, i)
	}
	for _, way := range ways {
		for round := range 4 {
			key := fmt.Sprint(way.name, round)
			var won atomic.Int64
			won.Store(-1)
			together(t, rivals, func(ctx context.Context, i int) {
				var records []storage.Record
				for j := range addresses {
					records = append(records, record(fmt.Sprintf("%s-%d-%02d", key, i, j), to(fmt.Sprint(key, "+", j))))
				}
				order := roll(uint64(i)).Perm(addresses)
				shuffled := make([]storage.Record, addresses)
				for j, k := range order {
					shuffled[j] = records[k]
				}
				err := way.run(ctx, s, func(s storage.Storage) error { return s.Insert(ctx, shuffled...) })
				switch {
				case err == nil && !won.CompareAndSwap(-1, int64(i)):
					t.Errorf("%s: two Inserts of the same addresses succeeded", way.name)
				case err != nil:
					taken(t, way.name, err, all...)
				}
			})
			n, err := s.Count(t.Context(), storage.Filter{EmailContains: key + "+"})
			if n != addresses || err != nil || won.Load() < 0 {
				t.Errorf("%s: %d records, error %v; want %d of one Insert", way.name, n, err, addresses)
			}
		}
	}
}

// Several goroutines may use one transaction. Each call does what it would do alone.
func raceShared(t *trial, s storage.Storage) {
	const each = 6
	var want []storage.Record
	for i := range rivals {
		for j := range each {
			if j != 1 {
				want = append(want, record(fmt.Sprint(i, "-", j), role("x"), version(2)))
			}
		}
	}
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		var wg sync.WaitGroup
		errs := make([]error, rivals)
		for i := range rivals {
			wg.Go(func() {
				errs[i] = func() error {
					for j := range each {
						id := fmt.Sprint(i, "-", j)
						if err := tx.Lock(ctx, id); err != nil {
							return err
						}
						if err := tx.Insert(ctx, record(id)); err != nil {
							return err
						}
						if r, err := tx.Get(ctx, id); err != nil || r.ID != id {
							return fmt.Errorf("Get(%q) = %q, %w", id, r.ID, err)
						}
						if err := tx.Update(ctx, record(id, role("x"))); err != nil {
							return err
						}
						found, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{id}}, ForUpdate: j%2 == 0})
						if err != nil || len(found) != 1 || found[0].Role != "x" {
							return fmt.Errorf("List of %q = %q, %w", id, ids(found), err)
						}
						if n, err := tx.Count(ctx, storage.Filter{EmailKeys: []string{record(id).EmailKey}}); err != nil || n != 1 {
							return fmt.Errorf("Count of %q = %d, %w", id, n, err)
						}
					}
					n, err := tx.Delete(ctx, fmt.Sprint(i, "-1"))
					if err == nil && n != 1 {
						return fmt.Errorf("Delete = %d, want 1", n)
					}
					return err
				}()
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	holds(t, s, want...)
}

// Of concurrent Updates that move records to one slot exactly one wins; the others get ErrExists.
func raceMoves(t *trial, s storage.Storage) {
	for _, way := range ways {
		key := "one slot " + way.name
		for i := range rivals {
			seed(t, s, record(fmt.Sprint(way.name, i)))
		}
		var winners atomic.Int64
		together(t, rivals, func(ctx context.Context, i int) {
			err := way.run(ctx, s, func(s storage.Storage) error {
				return s.Update(ctx, record(fmt.Sprint(way.name, i), to(key)))
			})
			if err == nil {
				winners.Add(1)
			} else {
				taken(t, way.name, err, 0)
			}
		})
		n, err := s.Count(t.Context(), storage.Filter{EmailKeys: []string{key}})
		if n != 1 || err != nil || winners.Load() != 1 {
			t.Errorf("%s: %d records in the slot, error %v, %d successful Updates; want 1, nil, 1",
				way.name, n, err, winners.Load())
		}
	}
}

// Concurrent Deletes count each record exactly once.
func raceDeletes(t *trial, s storage.Storage) {
	var names []string
	for i := range 20 {
		names = append(names, number(i))
		seed(t, s, record(number(i)))
	}
	var gone atomic.Int64
	together(t, rivals, func(ctx context.Context, i int) {
		doomed := slices.Concat(names[i:], names[:i])
		n := 0
		err := ways[i%2].run(ctx, s, func(s storage.Storage) (err error) {
			n, err = s.Delete(ctx, doomed...) // a retry counts from zero
			return err
		})
		if err != nil {
			t.Errorf("Delete: %v", err)
		}
		gone.Add(int64(n))
	})
	if gone.Load() != 20 {
		t.Errorf("the Deletes counted %d records, want 20", gone.Load())
	}
	holds(t, s)
}

// Concurrent writers of different records all succeed.
func raceApart(t *trial, s storage.Storage) {
	var want []storage.Record
	for i := range rivals {
		for j := range 4 {
			id := fmt.Sprint(i, "-", j)
			if j < 3 {
				want = append(want, record(id, in(fmt.Sprint("org-", i)), version(2), role("x")))
			}
		}
	}
	together(t, rivals, func(ctx context.Context, i int) {
		one := func(j int, with ...func(*storage.Record)) storage.Record {
			return edit(record(fmt.Sprint(i, "-", j), in(fmt.Sprint("org-", i))), with...)
		}
		for _, write := range []func(s storage.Storage) error{
			func(s storage.Storage) error { return s.Insert(ctx, one(0), one(1), one(2), one(3)) },
			func(s storage.Storage) error { return s.Update(ctx, one(1, role("x")), one(0, role("x"))) },
			func(s storage.Storage) error { return s.Update(ctx, one(2, role("x"))) },
			func(s storage.Storage) error { _, err := s.Delete(ctx, fmt.Sprint(i, "-", 3)); return err },
		} {
			if err := ways[i%2].run(ctx, s, write); err != nil {
				t.Error(err)
			}
		}
	})
	holds(t, s, want...)
}

// A reader sees either all writes of a transaction or none.
func raceHalves(t *trial, s storage.Storage) {
	// Every commit keeps the roles of both records equal and the sum of both generations at 100.
	begin := func(id string) storage.Record {
		return record(id, role("0"), func(r *storage.Record) { r.Generation = 50 })
	}
	seed(t, s, begin("a"), begin("b"))
	pair := storage.Query{
		Filter: storage.Filter{IDs: []string{"a", "b"}}, Sort: []storage.Sort{{Field: storage.FieldEmailAddress}},
	}
	together(t, 6, func(ctx context.Context, n int) {
		for i := range 12 {
			if n > 1 {
				records, err := s.List(ctx, pair)
				if err != nil {
					t.Errorf("List: %v", err)
				} else if len(records) != 2 || records[0].Role != records[1].Role ||
					records[0].Generation+records[1].Generation != 100 {
					t.Error("List returns a partly written transaction")
				}
				continue
			}
			err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
				q := pair
				q.ForUpdate = true
				records, err := tx.List(ctx, q)
				if err != nil {
					return err
				}
				if len(records) != 2 {
					return fmt.Errorf("ForUpdate finds %d records, want 2", len(records))
				}
				a, b := records[0], records[1]
				a.Role, b.Role = fmt.Sprint(n, "-", i), fmt.Sprint(n, "-", i)
				a.Generation, b.Generation = a.Generation+1, b.Generation-1
				if i%2 == 0 {
					return tx.Update(ctx, b, a)
				}
				if err := tx.Update(ctx, a); err != nil {
					return err
				}
				return tx.Update(ctx, b)
			})
			if err != nil {
				t.Errorf("RunInTx: %v", err)
			}
		}
	})
	if r := get(t, s, "a"); r.Generation != 74 {
		t.Errorf("generation %d, want 74", r.Generation)
	}
}

// A reader sees no uncommitted writes.
func raceUncommitted(t *trial, s storage.Storage) {
	hidesUncommitted(t, s, func(tx storage.Storage) { seed(t, tx, record("d")) })
}

// hidesUncommitted expects readers to see no writes of an open transaction, neither its own nor those of more.
func hidesUncommitted(t *trial, s storage.Storage, more func(tx storage.Storage)) {
	t.Helper()
	seed(t, s, record("a"), record("b"))
	before := func(when string, limit time.Duration) {
		t.Helper()
		err, expired := aside(t, limit, func(ctx context.Context) error {
			records, err := s.List(ctx, storage.Query{Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}})
			if err != nil {
				return err
			}
			if !slices.Equal(ids(records), []string{"a", "b"}) {
				t.Errorf("%s List returns %q", when, ids(records))
			} else {
				same(t, records[0], record("a").Stored())
			}
			return nil
		})
		if err != nil && !expired {
			t.Errorf("%s List: %v", when, err)
		}
		err, expired = aside(t, limit, func(ctx context.Context) error {
			n, err := s.Count(ctx, storage.Filter{OrganizationID: "org-1", Statuses: []string{storage.Pending}, Now: epoch})
			if err == nil && n != 2 {
				t.Errorf("%s Count returns %d, want 2", when, n)
			}
			return err
		})
		if err != nil && !expired {
			t.Errorf("%s Count: %v", when, err)
		}
		err, expired = aside(t, limit, func(ctx context.Context) error {
			r, err := s.Get(ctx, "a")
			if err == nil {
				same(t, r, record("a").Stored())
			}
			return err
		})
		if err != nil && !expired {
			t.Errorf("%s Get: %v", when, err)
		}
	}
	writing := func(ctx context.Context, tx storage.Storage) error {
		finds(t, tx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true}, "a")
		before("while its row is locked,", glance)
		seed(t, tx, record("c"))
		update(t, tx, record("a", role("x")))
		if _, err := tx.Delete(ctx, "b"); err != nil {
			return err
		}
		more(tx)
		before("while a transaction is open,", glance)
		return errHost
	}
	refused(t, "RunInTx", s.RunInTx(t.Context(), writing), errHost)
	// A short limit could cut off a call that need not wait, and with it the store's only connection.
	before("after it was rolled back,", t.patience/2)
	holds(t, s, record("a"), record("b"))
}

// Readers beside writers see whole records, and paging by After neither skips nor repeats records.
func raceReaders(t *trial, s storage.Storage) {
	for i := range 12 {
		seed(t, s, record(number(i), created(i), role("0")))
	}
	together(t, 6, func(ctx context.Context, n int) {
		for i := range 10 {
			switch n % 3 {
			case 0:
				err := ways[i%2].run(ctx, s, func(s storage.Storage) error {
					return s.Insert(ctx, record(fmt.Sprintf("x-%d-%d", n, i), created(i)))
				})
				if err == nil {
					err = ways[i%2].run(ctx, s, func(s storage.Storage) error {
						_, err := s.Delete(ctx, fmt.Sprintf("x-%d-%d", n, i))
						return err
					})
				}
				if err != nil {
					t.Error(err)
				}
			case 1:
				var seen []string
				q := storage.Query{Filter: storage.Filter{OrganizationID: "org-1"}, Limit: 5}
				for {
					page, err := s.List(ctx, q)
					if err != nil {
						t.Error(err)
						return
					}
					for _, r := range page {
						if r.ID[0] == '0' {
							seen = append(seen, r.ID)
						}
					}
					if len(page) < q.Limit {
						break
					}
					q.After = &page[len(page)-1]
				}
				if len(seen) != 12 || !slices.IsSortedFunc(seen, func(a, b string) int { return cmp.Compare(b, a) }) {
					t.Errorf("paging beside writers returns %q", seen)
				}
			case 2:
				r, err := s.Get(ctx, number(i))
				if err != nil || r.Role != "0" {
					t.Errorf("Get: role %q, error %v; want role 0", r.Role, err)
				}
			}
		}
	})
	if got := all(t, s); len(got) != 12 {
		t.Errorf("the store contains %q, want 12 records", ids(got))
	}
}
