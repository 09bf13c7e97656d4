package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// glance is how long a case waits for a call that a correct store may block.
const glance = 30 * time.Millisecond

// A lock is a way for a transaction to lock a record and read it.
type lock struct {
	name string
	rows bool // whether it locks the record's row instead of a key
	read lockedRead
}

var locks = []lock{
	{"Lock", false, lockKey},
	{"Lock, taken twice", false, func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if err := tx.Lock(ctx, id); err != nil {
			return storage.Record{}, err
		}
		return lockKey(ctx, tx, id)
	}},
	{"Lock after a read", false, afterRead(lockKey)},
	{"ForUpdate", true, forUpdate},
	{"ForUpdate after a read", true, afterRead(forUpdate)},
}

// looseLocks are taken beside other keys. They exclude each other, but not those of locks.
var looseLocks = []lock{
	{"Lock of the empty key", false, func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if err := tx.Lock(ctx, ""); err != nil {
			return storage.Record{}, err
		}
		return tx.Get(ctx, id)
	}},
	{"Lock after another key", false, func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if err := tx.Lock(ctx, fmt.Sprint("other-", otherKeys.Add(1))); err != nil {
			return storage.Record{}, err
		}
		return lockKey(ctx, tx, id)
	}},
	{"Lock before another key", false, func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if err := tx.Lock(ctx, id); err != nil {
			return storage.Record{}, err
		}
		if err := tx.Lock(ctx, fmt.Sprint("other-", otherKeys.Add(1))); err != nil {
			return storage.Record{}, err
		}
		return tx.Get(ctx, id)
	}},
}

// otherKeys counts keys that no other transaction locks.
var otherKeys atomic.Int64

// nestedLocks are taken in a nested transaction. When that commits, the outer transaction keeps them.
var nestedLocks = []lock{
	{"Lock in a nested transaction", false, lockKeyNested},
	{"Lock in a nested transaction after a read", false, afterRead(lockKeyNested)},
	{"ForUpdate in a nested transaction", true, forUpdateNested},
	{"ForUpdate in a nested transaction after a read", true, afterRead(forUpdateNested)},
}

type lockedRead = func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error)

func lockKey(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
	if err := tx.Lock(ctx, id); err != nil {
		return storage.Record{}, err
	}
	return tx.Get(ctx, id)
}

func afterRead(read lockedRead) lockedRead {
	return func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if _, err := tx.Get(ctx, id); err != nil {
			return storage.Record{}, err
		}
		return read(ctx, tx, id)
	}
}

func lockKeyNested(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
	err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, id) })
	if err != nil {
		return storage.Record{}, err
	}
	return tx.Get(ctx, id)
}

func forUpdateNested(ctx context.Context, tx storage.Storage, id string) (r storage.Record, err error) {
	err = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		r, err = forUpdate(ctx, tx, id)
		return err
	})
	return r, err
}

func forUpdate(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
	records, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{id}}, ForUpdate: true})
	if err == nil && len(records) != 1 {
		err = fmt.Errorf("ForUpdate finds %d records, want 1", len(records))
	}
	if err != nil {
		return storage.Record{}, err
	}
	return records[0], nil
}

// aside runs f with the time limit. f must return when its ctx is done. expired reports whether the limit was reached.
func aside(t *trial, limit time.Duration, f func(ctx context.Context) error) (err error, expired bool) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err = f(ctx)
	return err, ctx.Err() != nil
}

// together runs n calls of f at once and waits for all of them.
func together(t *trial, n int, f func(ctx context.Context, i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(t.Context(), i)
		})
	}
	close(start)
	wg.Wait()
}

var lockCases = []testCase{
	{name: "Lock and ForUpdate outside a transaction are errors", test: lockOutside},
	{name: "any text up to 128 bytes is a key", test: lockKeys},
	{name: "what is no key is refused", test: lockInvalidKeys},
	{name: "ForUpdate answers as List does, in the order of Sort", test: lockForUpdate},
	{name: "read, change and write under a lock loses nothing", test: lockNoLostUpdate},
	{name: "count and insert under Lock keep to a limit", test: lockLimit},
}

// Lock and Query.ForUpdate outside a transaction are errors.
func lockOutside(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	refused(t, "Lock", s.Lock(t.Context(), "key"), nil)
	refused(t, "Lock of the empty key", s.Lock(t.Context(), ""), nil)
	for _, list := range [][]string{{"a"}, {"none"}, {}} {
		_, err := s.List(t.Context(), storage.Query{Filter: storage.Filter{IDs: list}, ForUpdate: true})
		refused(t, "List", err, nil)
	}
}

// Lock takes any text of up to [storage.MaxReference] bytes, the empty text included.
func lockKeys(t *trial, s storage.Storage) {
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		for _, key := range append(confusing, "", strings.Repeat("k", storage.MaxReference),
			strings.Repeat("\U0001F600", storage.MaxReference/4)) {
			if err := tx.Lock(ctx, key); err != nil {
				return fmt.Errorf("Lock(%q): %w", key, err)
			}
		}
		return nil
	})
	holds(t, s)
}

// Lock refuses keys that are not valid text, and keys that are too long.
func lockInvalidKeys(t *trial, s storage.Storage) {
	for _, key := range append(impossible, strings.Repeat("k", storage.MaxReference+1), strings.Repeat("\u00e9", 65)) {
		refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			refused(t, fmt.Sprintf("Lock(%q)", key), tx.Lock(ctx, key), nil)
			return errHost
		}), errHost)
	}
}

// List with ForUpdate returns the same records as without it, in the order of Sort, and requires IDs.
func lockForUpdate(t *trial, s storage.Storage) {
	seed(t, s, record("a", created(2)), record("b", created(3)), record("c", created(1)), record("d", created(0)))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		q := storage.Query{Filter: storage.Filter{IDs: []string{"d", "b", "none", "a", "c", "b"}}, ForUpdate: true}
		finds(t, tx, q, "b", "a", "c", "d")
		q.Sort = []storage.Sort{{Field: storage.FieldCreatedAt}}
		finds(t, tx, q, "d", "c", "a", "b")
		q.Limit, q.Offset = 2, 1
		finds(t, tx, q, "c", "a")
		q.Limit, q.After, q.Offset = 0, &storage.Record{ID: "c", CreatedAt: at(1)}, 0
		finds(t, tx, q, "a", "b")
		q.After, q.OrganizationID = nil, "other"
		finds(t, tx, q)
		q.OrganizationID, q.Statuses, q.Now = "", []string{storage.Expired}, at(999)
		finds(t, tx, q)
		q.Statuses = []string{storage.Pending}
		q.Direct, q.EmailContains = true, ".b@"
		finds(t, tx, q, "b")
		finds(t, tx, storage.Query{Filter: storage.Filter{IDs: []string{}}, ForUpdate: true})
		finds(t, tx, storage.Query{Filter: storage.Filter{IDs: []string{"none", "\xff"}}, ForUpdate: true})
		_, err := tx.List(ctx, storage.Query{ForUpdate: true, Limit: 1})
		refused(t, "ForUpdate without IDs", err, nil)
		for _, r := range list(t, tx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true}) {
			same(t, r, record("a", created(2)).Stored())
		}
		return nil
	})
}

// A transaction that reads, changes and writes a record under Lock or ForUpdate loses no update of another one.
func lockNoLostUpdate(t *trial, s storage.Storage) {
	losesNothing(t, s, slices.Concat(locks, looseLocks))
}

func losesNothing(t *trial, s storage.Storage, ways []lock) {
	t.Helper()
	const workers, rounds = 6, 4
	for i, way := range ways {
		// Two records, each with its own lock.
		pair := []string{fmt.Sprint("a-", i), fmt.Sprint("b-", i)}
		seed(t, s, record(pair[0]), record(pair[1]))
		arrive := meeting(2) // of two transactions that have read the same record; the lock must prevent it
		together(t, workers, func(ctx context.Context, n int) {
			for round := range rounds {
				id := pair[n%2]
				meets := round == 0 && n < 4 && n%2 == 0
				err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
					r, err := way.read(ctx, tx, id)
					if err != nil {
						return err
					}
					if meets {
						meets = false
						arrive()
					}
					r.Generation++
					return tx.Update(ctx, r)
				})
				if err != nil {
					t.Errorf("%s: %v", way.name, err)
				}
			}
		})
		for _, id := range pair {
			if r := get(t, s, id); r.Generation != 1+workers/2*rounds || r.Version != r.Generation {
				t.Errorf("%s: generation %d, version %d; want %d for both",
					way.name, r.Generation, r.Version, 1+workers/2*rounds)
			}
		}
	}
}

// Transactions that count and insert under Lock keep to a limit, however many run at once.
func lockLimit(t *trial, s storage.Storage) {
	const workers, most = 10, 4
	full := errors.New("full")
	together(t, workers, func(ctx context.Context, n int) {
		err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
			if err := tx.Lock(ctx, "org-1"); err != nil {
				return err
			}
			found, err := tx.Count(ctx, storage.Filter{
				OrganizationID: "org-1", Statuses: []string{storage.Pending}, Now: epoch,
			})
			if err != nil {
				return err
			}
			if found >= most {
				return full
			}
			return tx.Insert(ctx, record(number(n)))
		})
		if err != nil && !errors.Is(err, full) {
			t.Error(err)
		}
	})
	if n, err := s.Count(t.Context(), storage.Filter{}); n != most || err != nil {
		t.Errorf("Count = %d, %v; want %d", n, err, most)
	}
}
