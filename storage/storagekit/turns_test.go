package storagekit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

var errOther = errors.New("other")

// ending counts how a transaction has ended.
type ending struct {
	commits, rollbacks       int
	commitError, rollBackErr error
}

func (e *ending) commit(context.Context) error   { e.commits++; return e.commitError }
func (e *ending) rollBack(context.Context) error { e.rollbacks++; return e.rollBackErr }

func run(ctx context.Context, t *storagekit.Turns, e *ending, fn func(ctx context.Context) error) error {
	return t.Run(ctx, fn, e.commit, e.rollBack)
}

func nothing(context.Context) error { return nil }
func ok() error                     { return nil }

// Every Run ends with one commit or one rollback, and returns nil only after a commit.
func TestRun(t *testing.T) {
	aborted := fmt.Errorf("%w: deadlock", storage.ErrAborted)
	for name, c := range map[string]struct {
		fn                       func(ctx context.Context, tx *storagekit.Turns, cancel func()) error
		commitError, rollBackErr error
		want                     error // in the chain
		unchanged                bool  // want is the result
		commits, rollbacks       int
	}{
		"nil": {commits: 1},
		"an error": {
			fn:   func(context.Context, *storagekit.Turns, func()) error { return errOther },
			want: errOther, unchanged: true, rollbacks: 1,
		},
		"an error, and ctx has ended": {
			fn: func(_ context.Context, _ *storagekit.Turns, cancel func()) error {
				cancel()
				return errOther
			},
			want: errOther, unchanged: true, rollbacks: 1,
		},
		"ctx has ended": {
			fn: func(_ context.Context, _ *storagekit.Turns, cancel func()) error {
				cancel()
				return nil
			},
			want: context.Canceled, unchanged: true, rollbacks: 1,
		},
		"commit fails":   {commitError: errOther, want: errOther, unchanged: true, commits: 1, rollbacks: 1},
		"rollback fails": {commitError: errOther, rollBackErr: aborted, want: errOther, commits: 1, rollbacks: 1},
		"a call fails, and its error is ignored": {
			fn: func(ctx context.Context, tx *storagekit.Turns, _ func()) error {
				_ = tx.Do(ctx, func() error { return errOther })
				return nil
			},
			want: errOther, rollbacks: 1,
		},
		"a call is refused": {
			fn: func(ctx context.Context, tx *storagekit.Turns, _ func()) error {
				for _, refusal := range []error{storage.ErrNotFound, storage.ErrConflict, &storage.ExistsError{}} {
					if err := tx.Do(ctx, func() error { return fmt.Errorf("x: %w", refusal) }); !errors.Is(err, refusal) {
						return errOther
					}
				}
				return tx.Do(ctx, ok)
			},
			commits: 1,
		},
		"aborted, and ignored": {
			fn: func(ctx context.Context, tx *storagekit.Turns, _ func()) error {
				_ = tx.Do(ctx, func() error { return aborted })
				return nil
			},
			want: aborted, unchanged: true, rollbacks: 1,
		},
		"aborted, and replaced": {
			fn: func(ctx context.Context, tx *storagekit.Turns, _ func()) error {
				_ = tx.Do(ctx, func() error { return aborted })
				return errOther
			},
			want: errors.Join(aborted, errOther), rollbacks: 1,
		},
		"aborted, and wrapped": {
			fn: func(ctx context.Context, tx *storagekit.Turns, _ func()) error {
				return fmt.Errorf("mine: %w", tx.Do(ctx, func() error { return aborted }))
			},
			want: aborted, rollbacks: 1,
		},
		"aborted by a ctx that has ended, and wrapped": {
			fn: func(ctx context.Context, tx *storagekit.Turns, cancel func()) error {
				return fmt.Errorf("mine: %w", tx.Do(ctx, func() error { cancel(); return aborted }))
			},
			want: errors.Join(aborted, context.Canceled), rollbacks: 1,
		},
		"aborted by a ctx that has ended": {
			fn: func(ctx context.Context, tx *storagekit.Turns, cancel func()) error {
				_ = tx.Do(ctx, func() error { cancel(); return aborted })
				return nil
			},
			want: errors.Join(aborted, context.Canceled), rollbacks: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tx, e := storagekit.NewTurns(nil), &ending{commitError: c.commitError, rollBackErr: c.rollBackErr}
			err := run(ctx, tx, e, func(ctx context.Context) error {
				if c.fn == nil {
					return nil
				}
				return c.fn(ctx, tx, cancel)
			})
			is.Equal(err == nil, c.want == nil)
			wanted := []error{c.want}
			if joined, ok := c.want.(interface{ Unwrap() []error }); ok {
				wanted = joined.Unwrap()
			}
			for _, want := range wanted {
				is.True(errors.Is(err, want))
			}
			is.True(!c.unchanged || err == c.want)
			is.Equal(e.commits, c.commits)
			is.Equal(e.rollbacks, c.rollbacks)
			is.True(tx.Do(t.Context(), ok) != nil) // after the end
		})
	}
}

// A panic and the end of the goroutine roll back, and give the turn back.
func TestRunPanicAndGoexit(t *testing.T) {
	is := is.New(t)
	for _, leave := range []func(){func() { panic("x") }, runtime.Goexit} {
		outer, e := storagekit.NewTurns(nil), &ending{}
		nested := outer.Nested()
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			is.NoErr(outer.Enter(t.Context()))
			defer outer.Leave()
			_ = run(t.Context(), nested, e, func(context.Context) error { leave(); return nil })
		})
		wg.Wait()
		is.Equal(e.rollbacks, 1)
		is.True(nested.Do(t.Context(), ok) != nil)
		is.NoErr(outer.Do(t.Context(), ok))
	}
}

// What makes a nested transaction unusable does not touch the outer one, unless it is ErrAborted or the nested
// transaction cannot be rolled back.
func TestNested(t *testing.T) {
	is := is.New(t)
	nest := func(outer *storagekit.Turns, e *ending, call error) error {
		is.NoErr(outer.Enter(t.Context()))
		defer outer.Leave()
		nested := outer.Nested()
		return run(t.Context(), nested, e, func(ctx context.Context) error {
			return nested.Do(ctx, func() error { return call })
		})
	}
	outer := storagekit.NewTurns(nil)
	is.True(errors.Is(nest(outer, &ending{}, errOther), errOther))
	is.NoErr(outer.Do(t.Context(), ok))
	is.NoErr(nest(outer, &ending{}, nil))
	is.True(errors.Is(nest(outer, &ending{}, storage.ErrAborted), storage.ErrAborted))
	is.True(errors.Is(outer.Do(t.Context(), ok), storage.ErrAborted))
	is.True(errors.Is(run(t.Context(), outer, &ending{}, nothing), storage.ErrAborted))

	outer, lost := storagekit.NewTurns(nil), errors.New("savepoint is gone")
	err := nest(outer, &ending{rollBackErr: lost}, errOther)
	for _, err := range []error{err, outer.Do(t.Context(), ok)} {
		is.True(errors.Is(err, storage.ErrAborted))
		is.True(errors.Is(err, lost))
	}
	is.True(errors.Is(err, errOther))

	outer, lost = storagekit.NewTurns(nil), fmt.Errorf("savepoint is gone: %w", storage.ErrAborted)
	_ = nest(outer, &ending{rollBackErr: lost}, errOther)
	is.Equal(outer.Aborted(), lost) // it says so itself

	// The error of an outermost rollback is ignored, on a connection with turns too.
	outer = storagekit.NewTurns(storagekit.NewTurns(nil))
	fail := func(context.Context) error { return errOther }
	is.Equal(run(t.Context(), outer, &ending{rollBackErr: lost}, fail), errOther)
	is.NoErr(outer.Aborted())
}

// The error of a call in an aborted transaction tells that ctx has ended, once.
func TestAbortedAndEnded(t *testing.T) {
	is := is.New(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tx := storagekit.NewTurns(nil)
	tx.Abort(storage.ErrAborted)
	err := tx.Do(ended, ok)
	is.True(errors.Is(err, storage.ErrAborted))
	is.True(errors.Is(err, context.Canceled))

	tx = storagekit.NewTurns(nil)
	tx.Abort(err)
	is.Equal(tx.Do(ended, ok), err)
}

// The first Abort is kept.
func TestAbort(t *testing.T) {
	is := is.New(t)
	outer := storagekit.NewTurns(nil)
	is.NoErr(outer.Aborted())
	is.True(outer.Nested().Abort(storage.ErrAborted))
	is.True(!outer.Abort(errOther))
	is.Equal(outer.Aborted(), storage.ErrAborted)

	// A connection outlives its transactions.
	connection := storagekit.NewTurns(nil)
	storagekit.NewTurns(connection).Abort(storage.ErrAborted)
	is.NoErr(connection.Do(t.Context(), ok))
}

// Only the first failed call is remembered, with its cause.
func TestFail(t *testing.T) {
	is := is.New(t)
	tx := storagekit.NewTurns(nil)
	second := errors.New("second")
	is.NoErr(tx.Enter(t.Context()))
	tx.Fail(errOther)
	tx.Fail(second)
	tx.Leave()
	err := tx.Do(t.Context(), ok)
	is.True(errors.Is(err, errOther) && !errors.Is(err, second))
	is.True(!errors.Is(err, storage.ErrAborted))
}

// A call waits for its turn, and stops waiting when its ctx ends. A call that would wait for itself is an error.
func TestTurnsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		outer := storagekit.NewTurns(nil)
		is.NoErr(outer.Enter(t.Context()))
		ended, cancel := context.WithCancel(t.Context())
		var waited, gaveUp error
		go func() { waited = outer.Do(t.Context(), ok) }()
		go func() { gaveUp = outer.Do(ended, ok) }()
		nested := outer.Nested()
		is.NoErr(run(t.Context(), nested, &ending{}, func(ctx context.Context) error {
			is.True(outer.Do(ctx, ok) != nil)
			is.NoErr(nested.Enter(ctx))
			defer nested.Leave()
			innermost := nested.Nested()
			return run(ctx, innermost, &ending{}, func(ctx context.Context) error {
				is.True(outer.Do(ctx, ok) != nil)
				is.True(nested.Do(ctx, ok) != nil)
				return innermost.Do(ctx, ok)
			})
		}))
		waited = errOther
		cancel()
		synctest.Wait()
		is.True(errors.Is(gaveUp, context.Canceled))
		is.Equal(waited, errOther) // still waits
		outer.Leave()
		synctest.Wait()
		is.NoErr(waited)
		is.True(errors.Is(outer.Do(ended, ok), context.Canceled))
	})
}

// Run waits for the call that a goroutine of its function still makes, and takes its failure into account.
func TestRunWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		tx, e := storagekit.NewTurns(nil), &ending{}
		goOn := make(chan struct{})
		var result error
		go func() {
			result = run(t.Context(), tx, e, func(ctx context.Context) error {
				entered := make(chan struct{})
				go func() { _ = tx.Do(ctx, func() error { close(entered); <-goOn; return errOther }) }()
				<-entered
				return nil
			})
		}()
		synctest.Wait()
		is.Equal(e.commits+e.rollbacks, 0)
		close(goOn)
		synctest.Wait()
		is.True(errors.Is(result, errOther))
		is.Equal(e.rollbacks, 1)
	})
}

// commit and rollBack may take 2 seconds more than the caller has.
func TestRunEnds(t *testing.T) {
	for _, fails := range []error{nil, errOther} {
		synctest.Test(t, func(t *testing.T) {
			is := is.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := func(ctx context.Context) error {
				cancel()
				began := time.Now()
				<-ctx.Done()
				is.Equal(time.Since(began), 2*time.Second)
				return nil
			}
			err := storagekit.NewTurns(nil).Run(ctx, func(context.Context) error { return fails }, ended, ended)
			is.Equal(err, fails)
		})
	}
}

// If rollBack aborts the transaction, the error of Run says so.
func TestRollBackAborts(t *testing.T) {
	is := is.New(t)
	tx := storagekit.NewTurns(nil)
	err := tx.Run(t.Context(), func(context.Context) error { return errOther }, nil, func(context.Context) error {
		is.True(tx.Abort(storage.ErrAborted))
		return nil
	})
	is.True(errors.Is(err, storage.ErrAborted))
	is.True(errors.Is(err, errOther))
}

// Only the error of commit tells the outcome of the transaction, even if a hook has called Abort for it.
func TestCommitAborts(t *testing.T) {
	is := is.New(t)
	tx := storagekit.NewTurns(nil)
	err := tx.Run(t.Context(), nothing, func(context.Context) error {
		tx.Abort(storage.ErrAborted)
		return storage.ErrOutcomeUnknown
	}, func(context.Context) error { return nil })
	is.Equal(err, storage.ErrOutcomeUnknown)
}
