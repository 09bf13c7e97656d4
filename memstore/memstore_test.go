package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagetest"
)

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return memstore.New() })
}

// flat is a store that does not nest transactions.
type flat struct{ storage.Storage }

func (f flat) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return f.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return fn(ctx, inner{tx}) })
}

type inner struct{ storage.Storage }

func (inner) RunInTx(context.Context, func(ctx context.Context, tx storage.Storage) error) error {
	return errors.New("transactions do not nest")
}

// A store that does not nest transactions passes every other group.
func TestStorageWithoutNesting(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return flat{memstore.New()} },
		storagetest.Without(storagetest.Nesting))
}

func BenchmarkStorage(b *testing.B) {
	storagetest.RunBenchmarks(b, func(*testing.B) storage.Storage { return memstore.New() })
}

func ExampleNew() {
	ctx := context.Background()
	store := memstore.New()
	err := store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return tx.Insert(ctx, storage.Record{
			ID: "orginv_1", OrganizationID: "org_1", EmailKey: "ann@example.com", Status: storage.Pending,
			ExpiresAt: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := store.Count(ctx, storage.Filter{
		OrganizationID: "org_1", Statuses: []string{storage.Expired}, Now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// Readers do not wait for an open transaction, and see the last commit.
func TestReadersDoNotWait(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	is.NoErr(s.Insert(ctx, numbered(0), numbered(1)))
	err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		if _, err := tx.Delete(ctx, numberedID(0)); err != nil {
			return err
		}
		if err := tx.Insert(ctx, numbered(2)); err != nil {
			return err
		}
		_, err := s.Get(ctx, numberedID(0))
		is.NoErr(err)
		_, err = s.Get(ctx, numberedID(2))
		is.True(errors.Is(err, storage.ErrNotFound))
		for _, q := range []storage.Query{{}, {Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}}} {
			records, err := s.List(ctx, q)
			is.NoErr(err)
			is.Equal(len(records), 2)
		}
		n, err := s.Count(ctx, storage.Filter{OrganizationID: numbered(2).OrganizationID})
		is.NoErr(err)
		is.Equal(n, 0)
		return nil
	})
	is.NoErr(err)
	_, err = s.Get(ctx, numberedID(0))
	is.True(errors.Is(err, storage.ErrNotFound))
}

// Concurrent readers see each commit as a whole.
func TestSnapshots(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				records, err := s.List(ctx, storage.Query{})
				if err != nil || len(records)%100 != 0 {
					t.Errorf("a reader sees %d records, %v", len(records), err)
					return
				}
			}
		})
	}
	for round := range 10 {
		is.NoErr(s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			for i := range 100 {
				if err := tx.Insert(ctx, numbered(round*100+i)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	close(done)
	wg.Wait()
}

// A waiting transaction stops when its ctx is done, and does not block the next one.
func TestWaitingHonoursContext(t *testing.T) {
	is := is.New(t)
	s := memstore.New()
	cause := errors.New("the host cancelled")
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		waiting, cancel := context.WithCancelCause(ctx)
		errs := make(chan error)
		go func() {
			errs <- s.RunInTx(waiting, func(context.Context, storage.Storage) error { return nil })
		}()
		go func() { errs <- s.Insert(waiting, numbered(1)) }()
		go func() { _, err := s.Delete(waiting, numberedID(1)); errs <- err }()
		cancel(cause)
		for range 3 {
			is.True(errors.Is(<-errs, context.Canceled))
		}
		return nil
	}))
	is.NoErr(s.Insert(t.Context(), numbered(1)))
}

// Several goroutines may share a transaction. While a nested one is open, a call on the outer one waits, or returns an
// error if it would wait for itself.
func TestTransactionIsShared(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	is.NoErr(s.RunInTx(ctx, func(outer context.Context, tx storage.Storage) error {
		var later sync.WaitGroup
		err := tx.RunInTx(outer, func(ctx context.Context, inner storage.Storage) error {
			later.Go(func() {
				if err := tx.Insert(outer, numbered(20)); err != nil {
					t.Error(err)
				}
			})
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if err := inner.Insert(ctx, numbered(i)); err != nil {
						t.Error(err)
					}
					if _, err := inner.Get(ctx, numberedID(i)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			is.True(tx.Insert(ctx, numbered(21)) != nil)
			n, err := inner.Count(ctx, storage.Filter{})
			is.NoErr(err)
			is.Equal(n, 20)
			return nil
		})
		later.Wait()
		return err
	}))
	n, err := s.Count(ctx, storage.Filter{})
	is.NoErr(err)
	is.Equal(n, 21)
}

// If the goroutine ends inside fn, as with t.FailNow, the transaction is rolled back and the next one can begin.
func TestGoexit(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, numbered(1)))
				runtime.Goexit()
				return nil
			})
			return nil
		})
	})
	wg.Wait()
	is.NoErr(s.Insert(ctx, numbered(1)))
}

// Errors start with the name of the package and match the errors that they wrap.
func TestErrors(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	is.NoErr(s.Insert(ctx, numbered(1)))
	_, notFound := s.Get(ctx, "none")
	_, negative := s.List(ctx, storage.Query{Limit: -1})
	_, outside := s.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
	stale := numbered(1)
	for _, c := range []struct{ err, target error }{
		{notFound, storage.ErrNotFound},
		{s.Insert(ctx, numbered(1)), storage.ErrExists},
		{s.Update(ctx, stale), storage.ErrConflict},
		{s.Update(ctx, numbered(2)), storage.ErrNotFound},
		{s.Insert(cancelled, numbered(2)), context.Canceled},
		{s.Insert(ctx, storage.Record{}), nil},
		{negative, nil},
		{outside, nil},
		{s.Lock(ctx, "key"), nil},
	} {
		is.True(c.err != nil)
		is.True(strings.HasPrefix(c.err.Error(), "memstore: "))
		is.True(c.target == nil || errors.Is(c.err, c.target))
	}
}

// RunInTx returns the error of its function as it is, nested or not.
func TestErrorOfTheFunction(t *testing.T) {
	is := is.New(t)
	boom := errors.New("boom")
	fail := func(context.Context, storage.Storage) error { return boom }
	s := memstore.New()
	is.True(s.RunInTx(t.Context(), fail) == boom)
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		is.True(tx.RunInTx(ctx, fail) == boom)
		return nil
	}))
}

// The invitations of an organization to one address are in the order of the query, whatever their ids.
func TestOrderOfAnAddress(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	now := time.Now()
	for i, id := range []string{"b", "c", "a"} {
		r := numbered(0)
		r.ID, r.Status, r.CreatedAt = id, "revoked", now.Add(time.Duration(i)*time.Second)
		is.NoErr(s.Insert(ctx, r))
	}
	r := numbered(0)
	list, err := s.List(ctx, storage.Query{Filter: storage.Filter{
		OrganizationID: r.OrganizationID, EmailKeys: []string{r.EmailKey},
	}})
	is.NoErr(err)
	ids := ""
	for _, r := range list {
		ids += r.ID
	}
	is.Equal(ids, "acb") // newest first
}

// The Now of a filter may be any time.
func TestFarNow(t *testing.T) {
	is := is.New(t)
	ctx, s := t.Context(), memstore.New()
	a, b := numbered(0), numbered(1) // both pending
	b.OrganizationID = a.OrganizationID
	is.NoErr(s.Insert(ctx, a, b))
	for now, want := range map[time.Time]int{time.Unix(-1<<60, 0): 0, time.Unix(1<<60, 0): 2} {
		f := storage.Filter{OrganizationID: a.OrganizationID, Statuses: []string{storage.Expired}, Now: now}
		n, err := s.Count(ctx, f)
		is.NoErr(err)
		is.Equal(n, want)
		list, err := s.List(ctx, storage.Query{Filter: f, Limit: 10})
		is.NoErr(err)
		is.Equal(len(list), want)
	}
}
