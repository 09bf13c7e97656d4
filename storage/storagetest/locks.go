package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// patience is how long a case waits for what a correct store does soon: long enough for any machine. Only a wrong
// store makes a case wait that long.
const patience = time.Minute

// glance is how long a case waits for what a correct store may, but need not, let through.
const glance = 30 * time.Millisecond

// locked are the ways a transaction gets a record for itself.
var locked = []struct {
	name string
	read func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error)
}{
	{"Lock", func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if err := tx.Lock(ctx, id); err != nil {
			return storage.Record{}, err
		}
		return tx.Get(ctx, id)
	}},
	{"Lock in a level", func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, id) })
		if err != nil {
			return storage.Record{}, err
		}
		return tx.Get(ctx, id)
	}},
	{"Lock, taken twice", func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		for range 2 {
			if err := tx.Lock(ctx, id); err != nil {
				return storage.Record{}, err
			}
		}
		return tx.Get(ctx, id)
	}},
	{"Lock after a read", func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if _, err := tx.Get(ctx, id); err != nil {
			return storage.Record{}, err
		}
		if err := tx.Lock(ctx, id); err != nil {
			return storage.Record{}, err
		}
		return tx.Get(ctx, id)
	}},
	{"ForUpdate", forUpdate},
	{"ForUpdate in a level", func(ctx context.Context, tx storage.Storage, id string) (r storage.Record, err error) {
		err = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			r, err = forUpdate(ctx, tx, id)
			return err
		})
		return r, err
	}},
	{"ForUpdate after a read", func(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
		if _, err := tx.Get(ctx, id); err != nil {
			return storage.Record{}, err
		}
		return forUpdate(ctx, tx, id)
	}},
}

func forUpdate(ctx context.Context, tx storage.Storage, id string) (storage.Record, error) {
	records, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{id}}, ForUpdate: true})
	if err == nil && len(records) != 1 {
		err = fmt.Errorf("ForUpdate finds %d records", len(records))
	}
	if err != nil {
		return storage.Record{}, err
	}
	return records[0], nil
}

// aside runs f on another goroutine and waits until it returns, which it has to do when its ctx is done.
func aside(t *testing.T, limit time.Duration, f func(ctx context.Context) error) (err error, expired bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err, ctx.Err() != nil
	case <-time.After(limit + patience):
		t.Fatal("a call does not return though its ctx is done")
		return nil, true
	}
}

// together runs f n times at once and waits for all of them.
func together(t *testing.T, n int, f func(ctx context.Context, i int)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(ctx, i)
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
	{name: "a lock is held until the transaction ends, and waiting for it honours ctx", test: waitHeld},
	{name: "a lock shows what was committed since the transaction's first read", test: waitShows},
}

// Lock and Query.ForUpdate outside a transaction are errors.
func lockOutside(t *testing.T, s storage.Storage) {
	seed(t, s, record("a"))
	refused(t, "Lock", s.Lock(t.Context(), "key"), nil)
	refused(t, "Lock of the empty key", s.Lock(t.Context(), ""), nil)
	for _, list := range [][]string{{"a"}, {"none"}, {}} {
		_, err := s.List(t.Context(), storage.Query{Filter: storage.Filter{IDs: list}, ForUpdate: true})
		refused(t, "List", err, nil)
	}
}

// Lock takes any text of up to [storage.MaxReference] bytes, the empty text included.
func lockKeys(t *testing.T, s storage.Storage) {
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

// Lock refuses what is no text, and text that is too long.
func lockInvalidKeys(t *testing.T, s storage.Storage) {
	for _, key := range append(impossible, strings.Repeat("k", storage.MaxReference+1), strings.Repeat("\u00e9", 65)) {
		refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			refused(t, fmt.Sprintf("Lock(%q)", key), tx.Lock(ctx, key), nil)
			return errHost
		}), errHost)
	}
}

// List with ForUpdate answers as without, in the order of Sort, and needs IDs.
func lockForUpdate(t *testing.T, s storage.Storage) {
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

// A read, a change and a write under Lock or ForUpdate lose no change of another transaction.
func lockNoLostUpdate(t *testing.T, s storage.Storage) {
	const workers, rounds = 6, 4
	for i, way := range locked {
		// Two records, each under its own lock.
		pair := []string{fmt.Sprint("a-", i), fmt.Sprint("b-", i)}
		seed(t, s, record(pair[0]), record(pair[1]))
		together(t, workers, func(ctx context.Context, n int) {
			for range rounds {
				id := pair[n%2]
				err := transact(ctx, s, func(ctx context.Context, tx storage.Storage) error {
					r, err := way.read(ctx, tx, id)
					if err != nil {
						return err
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
				t.Errorf("%s: generation %d, version %d; want %d", way.name, r.Generation, r.Version, 1+workers/2*rounds)
			}
		}
	}
}

// A count and an insert under Lock keep to a limit, however many come at once.
func lockLimit(t *testing.T, s storage.Storage) {
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

// Lock and ForUpdate hold until the transaction ends, however it ends, and waiting for them honours ctx.
func waitHeld(t *testing.T, s storage.Storage) {
	seed(t, s, record("a"))
	for i, way := range locked {
		commit(t, s, func(ctx context.Context, tx storage.Storage) error {
			if _, err := way.read(ctx, tx, "a"); err != nil {
				return err
			}
			for j, other := range locked {
				if (j < 4) != (i < 4) {
					continue // Lock and ForUpdate do not shut each other out
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
	// It is free again when the transaction has ended, however it ended.
	for _, way := range locked {
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
		for _, way := range locked {
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

// After Lock and ForUpdate a transaction sees the commits of earlier holders, or is [storage.ErrAborted].
func waitShows(t *testing.T, s storage.Storage) {
	for i, way := range locked {
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
				return lockErr // ErrAborted: once more; anything else fails the case
			}
			if err == nil && r.Version < before {
				t.Errorf("%s shows version %d although %d was committed before", way.name, r.Version, before)
			}
			r.Generation++
			return tx.Update(ctx, r)
		})
		if r := get(t, s, id); r.Version != r.Generation {
			t.Errorf("%s: generation %d at version %d, an update was lost", way.name, r.Generation, r.Version)
		}
	}
}
