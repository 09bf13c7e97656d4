package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

type contextKey struct{}

var errHost = errors.New("the host's error")

// calls returns calls of all methods of s. On an open transaction, each succeeds. Records a and b must exist; c and d
// must not.
func calls(s storage.Storage) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"Get":  func(ctx context.Context) error { _, err := s.Get(ctx, "a"); return err },
		"List": func(ctx context.Context) error { _, err := s.List(ctx, storage.Query{}); return err },
		"List for update": func(ctx context.Context) error {
			_, err := s.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
			return err
		},
		"Count":  func(ctx context.Context) error { _, err := s.Count(ctx, storage.Filter{}); return err },
		"Insert": func(ctx context.Context) error { return s.Insert(ctx, record("c")) },
		"Update": func(ctx context.Context) error { return s.Update(ctx, record("a", role("changed"))) },
		"Delete": func(ctx context.Context) error { _, err := s.Delete(ctx, "b"); return err },
		"Lock":   func(ctx context.Context) error { return s.Lock(ctx, "key") },
		"RunInTx": func(ctx context.Context) error {
			return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Insert(ctx, record("d")) })
		},
		"empty RunInTx": func(ctx context.Context) error {
			return s.RunInTx(ctx, func(context.Context, storage.Storage) error { return nil })
		},
	}
}

// panics runs f and returns the value that it panicked with, or nil.
func panics(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// ends lists the ways in which a transaction can fail: by an error or a panic of fn. If cancel is set, fn cancels its
// ctx first.
var ends = []struct {
	name   string
	cancel bool
	panics bool
}{
	{"an error", false, false},
	{"a panic", false, true},
	{"an error after its ctx was cancelled", true, false},
	{"a panic after its ctx was cancelled", true, true},
}

var transactionCases = []testCase{
	{name: "what fn wrote is committed when it returns nil", test: txCommits},
	{name: "a transaction reads its own writes", test: txReadsOwnWrites},
	{name: "RunInTx returns fn's error and passes on its panic, and rolls everything back", test: txFails},
	{name: "the storage errors of fn come back as they are", test: txErrors},
	{name: "a refused call leaves the transaction usable and its earlier work alone", test: txRefusals},
	{name: "fn's ctx has the values of the caller's, and is alive", test: txContextValues},
	{name: "fn's ctx is cancelled with the caller's", test: txContextEnds},
	{name: "a ctx cancelled before a call is an error and changes nothing", test: txCancelled, outermost: true},
	{name: "RunInTx calls fn again only after ErrAborted", test: txRunsOnce},
	{name: "invalid arguments are refused, and the transaction stays usable", test: txInvalid},
	{
		name: "a call cancelled in flight does not make RunInTx claim what it did not write", test: txCancelledInFlight,
		outermost: true,
	},
	{name: "RunInTx says whether it committed, also when ctx is cancelled in fn", test: txOutcome},
	{name: "a handle is of no use once its fn has returned", test: txHandleEnds},
}

// RunInTx commits the writes of fn when fn returns nil.
func txCommits(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		if err := tx.Insert(ctx, record("c")); err != nil {
			return err
		}
		if err := tx.Update(ctx, record("a", role("x"))); err != nil {
			return err
		}
		_, err := tx.Delete(ctx, "b")
		return err
	})
	holds(t, s, record("a", role("x"), version(2)), record("c"))
}

// A transaction sees its own writes.
func txReadsOwnWrites(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		holds(t, tx, record("a"), record("b"))
		seed(t, tx, record("c"))
		holds(t, tx, record("a"), record("b"), record("c"))
		update(t, tx, record("a", role("x")))
		holds(t, tx, record("a", role("x"), version(2)), record("b"), record("c"))
		if n, err := tx.Delete(ctx, "b"); n != 1 || err != nil {
			t.Errorf("Delete = %d, %v", n, err)
		}
		holds(t, tx, record("a", role("x"), version(2)), record("c"))
		finds(t, tx, storage.Query{Filter: storage.Filter{IDs: []string{"a", "b", "c"}}, ForUpdate: true}, "c", "a")
		missing(t, tx, "b")
		return nil
	})
	holds(t, s, record("a", role("x"), version(2)), record("c"))
}

// RunInTx returns fn's error or passes on its panic, and rolls everything back, even if ctx is cancelled by then.
func txFails(t *trial, s storage.Storage) {
	rollsBackEverything(t, s, func(tx storage.Storage) { seed(t, tx, record("d")) })
}

// rollsBackEverything runs transactions that write, call more and fail. It expects none of their writes to remain.
func rollsBackEverything(t *trial, s storage.Storage, more func(tx storage.Storage)) {
	t.Helper()
	seed(t, s, record("a"), record("b"))
	for _, end := range ends {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var err error
		value := panics(func() {
			err = s.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error {
				seed(t, tx, record("c"))
				update(t, tx, record("a", role("x")))
				if n, err := tx.Delete(t.Context(), "b"); n != 1 || err != nil {
					t.Errorf("Delete = %d, %v", n, err)
				}
				more(tx)
				if end.cancel {
					cancel()
				}
				if end.panics {
					panic(&end)
				}
				return fmt.Errorf("wrapped: %w", errHost)
			})
		})
		switch {
		case end.panics && value != any(&end):
			t.Errorf("%s: RunInTx panicked with %v, want the value of fn's panic", end.name, value)
		case !end.panics && value != nil:
			t.Errorf("%s: RunInTx panicked: %v", end.name, value)
		case !end.panics:
			refused(t, end.name, err, errHost)
		}
		holds(t, s, record("a"), record("b"))
	}
	insertInTx(t, s, record("c"))
	holds(t, s, record("a"), record("b"), record("c"))
}

// RunInTx returns the storage errors of fn unchanged.
func txErrors(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	taken(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		return tx.Insert(ctx, record("b"), record("a"))
	}), 1)
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		return tx.Update(ctx, record("a", version(3)))
	}), storage.ErrConflict)
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		_, err := tx.Get(ctx, "none")
		return err
	}), storage.ErrNotFound)
	holds(t, s, record("a"))
}

// After ErrNotFound, ErrConflict or ErrExists the transaction remains usable and keeps its earlier writes.
func txRefusals(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		seed(t, tx, record("c"))
		update(t, tx, record("a", role("x")))
		inside := []storage.Record{record("a", role("x"), version(2)), record("b"), record("c")}
		for range 2 {
			missing(t, tx, "none")
			refused(t, "Update", tx.Update(ctx, record("b", role("y")), record("none")), storage.ErrNotFound)
			refused(t, "Update", tx.Update(ctx, record("b", role("y")), record("a")), storage.ErrConflict)
			taken(t, "Insert", tx.Insert(ctx, record("d"), record("a")), 1)
			taken(t, "Insert", tx.Insert(ctx, record("d"), record("e", to(record("c").EmailKey))), 1)
			taken(t, "Update", tx.Update(ctx, record("a", role("z"), version(2)), record("b", to(record("c").EmailKey))), 1)
			holds(t, tx, inside...)
		}
		seed(t, tx, record("d"))
		return nil
	})
	holds(t, s, record("a", role("x"), version(2)), record("b"), record("c"), record("d"))
}

// RunInTx passes fn a ctx that has the values of the caller's ctx.
func txContextValues(t *trial, s storage.Storage) {
	ctx := context.WithValue(t.Context(), contextKey{}, "value")
	ran := 0
	err := transact(ctx, s, func(ctx context.Context, _ storage.Storage) error {
		ran++
		if ctx.Value(contextKey{}) != "value" || ctx.Err() != nil {
			t.Errorf("fn's ctx has the value %v and the error %v", ctx.Value(contextKey{}), ctx.Err())
		}
		return nil
	})
	if err != nil || ran < 1 {
		t.Errorf("RunInTx: error %v after %d calls of fn", err, ran)
	}
}

// When the caller's ctx is cancelled, the ctx of fn is cancelled too, and nothing is committed.
func txContextEnds(t *trial, s storage.Storage) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		seed(t, tx, record("a"))
		cancel()
		if ctx.Err() == nil {
			t.Error("fn's ctx is not cancelled with the caller's")
		}
		return tx.Insert(ctx, record("b"))
	})
	refused(t, "RunInTx", err, nil)
	holds(t, s)
}

// Every call with a ctx that is already cancelled fails and changes nothing.
func txCancelled(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(s) {
		refused(t, name, call(cancelled), nil)
	}
	refused(t, "RunInTx", s.RunInTx(cancelled, func(context.Context, storage.Storage) error {
		t.Error("fn was called although ctx is cancelled")
		return nil
	}), nil)
	holds(t, s, record("a"), record("b"))
	for name := range calls(s) {
		refused(t, name, s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
			refused(t, name+" inside a transaction", calls(tx)[name](cancelled), nil)
			return errHost
		}), errHost)
	}
	holds(t, s, record("a"), record("b"))
	insertInTx(t, s, record("c"))
	holds(t, s, record("a"), record("b"), record("c"))
}

// RunInTx returns nil if and only if it committed, even if ctx is cancelled in fn.
func txOutcome(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error {
		update(t, tx, record("a", role("x")))
		seed(t, tx, record("b"))
		cancel()
		return nil
	})
	want := []storage.Record{record("a")}
	if err == nil {
		want = []storage.Record{record("a", role("x"), version(2)), record("b")}
	}
	holds(t, s, want...)
}

// Every call on a transaction's handle fails once its fn has returned.
func txHandleEnds(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	var handle storage.Storage
	commit(t, s, func(_ context.Context, tx storage.Storage) error { handle = tx; return nil })
	unusable(t, "a committed transaction", handle)
	refused(t, "RunInTx", s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
		handle = tx
		return errHost
	}), errHost)
	unusable(t, "a failed transaction", handle)
	panics(func() {
		_ = s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error { handle = tx; panic("fn") })
	})
	unusable(t, "a transaction that panicked", handle)
	holds(t, s, record("a"), record("b"))
}

// unusable expects every call on the handle of an ended transaction to fail.
func unusable(t *trial, what string, handle storage.Storage) {
	t.Helper()
	for name, call := range calls(handle) {
		refused(t, name+" on the handle of "+what, call(t.Context()), nil)
	}
	refused(t, "RunInTx on the handle of "+what,
		handle.RunInTx(t.Context(), func(context.Context, storage.Storage) error {
			t.Errorf("RunInTx on the handle of %s called fn", what)
			return nil
		}), nil)
}

// RunInTx calls fn once if it ends with any other error than ErrAborted, or with none.
func txRunsOnce(t *trial, s storage.Storage) { runsOnce(t, s) }

func runsOnce(t *trial, s storage.Storage) {
	t.Helper()
	seed(t, s, record("a"))
	for i, c := range []struct {
		what string
		want error
		fn   func(ctx context.Context, tx storage.Storage) error
	}{
		{"nil", nil, func(context.Context, storage.Storage) error { return nil }},
		{"an error of the application", errHost, func(context.Context, storage.Storage) error { return errHost }},
		{"ErrNotFound", storage.ErrNotFound, func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Get(ctx, "none")
			return err
		}},
		{"ErrConflict", storage.ErrConflict, func(ctx context.Context, tx storage.Storage) error {
			return tx.Update(ctx, record("a", version(9)))
		}},
		{"ErrExists", storage.ErrExists, func(ctx context.Context, tx storage.Storage) error {
			return tx.Insert(ctx, record("a"))
		}},
		{"an invalid argument", nil, func(ctx context.Context, tx storage.Storage) error {
			return tx.Insert(ctx, storage.Record{})
		}},
		{"ErrUnavailable", storage.ErrUnavailable, func(context.Context, storage.Storage) error {
			return storage.ErrUnavailable
		}},
		{"ErrOutcomeUnknown", storage.ErrOutcomeUnknown, func(context.Context, storage.Storage) error {
			return storage.ErrOutcomeUnknown
		}},
		{"an error of a ctx", context.DeadlineExceeded, func(context.Context, storage.Storage) error {
			return context.DeadlineExceeded
		}},
		{"an error that speaks of a deadlock", nil, func(context.Context, storage.Storage) error {
			return errors.New("deadlock detected; database is locked; restart transaction")
		}},
	} {
		runs := 0
		err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			runs++
			seed(t, tx, record(fmt.Sprint("new-", i, "-", runs)))
			return c.fn(ctx, tx)
		})
		if runs != 1 {
			t.Errorf("fn, which returns %s, was called %d times", c.what, runs)
		}
		if c.what == "nil" && err != nil || c.what != "nil" && err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("RunInTx: %v; fn returned %s", err, c.what)
		}
	}
	holds(t, s, record("a"), record("new-0-1"))
}

// A call whose arguments are invalid has written nothing, and its transaction goes on.
func txInvalid(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	commit(t, s, func(ctx context.Context, tx storage.Storage) error {
		seed(t, tx, record("b"))
		refused(t, "Insert", tx.Insert(ctx, record("c"), record("d", role("a\x00"))), nil)
		refused(t, "Insert", tx.Insert(ctx, record("c", func(r *storage.Record) { r.ExpiresAt = farFuture })), nil)
		refused(t, "Update", tx.Update(ctx, record("a", role("x")), record("b", to("\xff"))), nil)
		refused(t, "Lock", tx.Lock(ctx, "a\x00"), nil)
		refused(t, "Lock", tx.Lock(ctx, strings.Repeat("k", storage.MaxReference+1)), nil)
		for _, q := range []storage.Query{
			{Limit: -1}, {ForUpdate: true}, {After: &storage.Record{ID: "\xff"}}, {After: &storage.Record{CreatedAt: farPast}},
			{Sort: []storage.Sort{{Field: "role"}}},
		} {
			_, err := tx.List(ctx, q)
			refused(t, "List", err, nil)
		}
		missing(t, tx, "\xff")
		holds(t, tx, record("a"), record("b"))
		seed(t, tx, record("c"))
		return nil
	})
	holds(t, s, record("a"), record("b"), record("c"))
}

// A call may fail because its ctx ends while the call is running. Some databases then roll the transaction back.
// RunInTx must not return nil for that, even if fn ignores the error.
func txCancelledInFlight(t *trial, s storage.Storage) {
	var batch []storage.Record
	for i := range 200 {
		batch = append(batch, record("batch-"+number(i)))
	}
	for name, call := range map[string]func(ctx context.Context, tx storage.Storage) error{
		"Insert": func(ctx context.Context, tx storage.Storage) error { return tx.Insert(ctx, batch...) },
		"List": func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.List(ctx, storage.Query{})
			return err
		},
		"Lock": func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "k") },
	} {
		for i := range 4 {
			id := fmt.Sprint(name, "-", i)
			outcome(t, id, s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record(id)); err != nil {
					return err
				}
				inner, cancel := context.WithCancel(ctx)
				defer cancel()
				if i == 0 {
					cancel()
				}
				stop := time.AfterFunc(time.Duration(i*i)*50*time.Microsecond, cancel)
				defer stop.Stop()
				if err := call(inner, tx); err == nil && name == "Insert" {
					_, err := tx.Delete(ctx, ids(batch)...)
					return err
				}
				return nil // whatever call returned
			}), s, id)
		}
	}
}

// outcome expects the records with these ids to be stored if err, the error of a RunInTx that wrote them, is nil. None
// of them may be stored if err says that nothing was written.
func outcome(t *trial, what string, err error, s storage.Storage, written ...string) {
	t.Helper()
	n, countErr := s.Count(t.Context(), storage.Filter{IDs: written})
	switch {
	case countErr != nil:
		t.Errorf("%s: Count: %v", what, countErr)
	case err == nil && n != len(written):
		t.Errorf("%s: RunInTx returned nil, but %d of its %d records are stored", what, n, len(written))
	case err != nil && n != 0 && !errors.Is(err, storage.ErrOutcomeUnknown):
		t.Errorf("%s: RunInTx returned an error, but %d of its %d records are stored: %v", what, n, len(written), err)
	}
}

// insertInTx inserts r in a transaction of its own, which is a nested one if s is in a transaction.
func insertInTx(t *trial, s storage.Storage, r storage.Record) {
	t.Helper()
	commit(t, s, func(ctx context.Context, tx storage.Storage) error { return tx.Insert(ctx, r) })
}
