package bunstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// sqliteError is an error as the drivers return it.
type sqliteError struct {
	code int
	text string
}

func (e *sqliteError) Error() string { return e.text }
func (e *sqliteError) Code() int     { return e.code }

var (
	busy    = &sqliteError{517, "database is locked (517) (SQLITE_BUSY)"}
	locked  = &sqliteError{262, "database table is locked (262)"}
	full    = &sqliteError{13, "database or disk is full (13)"}
	errUndo = errors.New("undo")
)

// scripted fails the statements that begin with a text, a given number of times.
type scripted struct {
	mu    sync.Mutex
	begin string
	err   error
	times int
	onHit func()
}

func (f *scripted) set(begin string, err error, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin, f.err, f.times, f.onHit = begin, err, times, nil
}

func (f *scripted) fault(statement string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == 0 || !strings.HasPrefix(statement, f.begin) {
		return nil
	}
	f.times--
	if f.onHit != nil {
		f.onHit()
	}
	return f.err
}

func faulty(t *testing.T) (*bunstore.Store, *bun.DB, *scripted) {
	t.Helper()
	f := &scripted{}
	db := engines.Faulty(t, engines.File(t), engines.Recommended, 2, f.fault)
	return newStore(t, db), db, f
}

// everyCall calls each method of s, and passes its error to fn.
func everyCall(ctx context.Context, s storage.Storage, fn func(name string, err error)) {
	_, err := s.Get(ctx, "a")
	fn("Get", err)
	_, err = s.List(ctx, storage.Query{})
	fn("List", err)
	_, err = s.Count(ctx, storage.Filter{})
	fn("Count", err)
	fn("Insert", s.Insert(ctx, record("x")))
	fn("Insert of two", s.Insert(ctx, record("x"), record("y")))
	fn("Insert of none", s.Insert(ctx))
	fn("Update", s.Update(ctx, record("a")))
	fn("Update of two", s.Update(ctx, record("a"), record("b")))
	_, err = s.Delete(ctx, "a")
	fn("Delete", err)
	fn("Lock", s.Lock(ctx, "k"))
	fn("RunInTx", s.RunInTx(ctx, func(context.Context, storage.Storage) error { return nil }))
}

// A transaction that the engine aborted stays aborted, even if fn ignores the error.
func TestAbortCannotBeSwallowed(t *testing.T) {
	for _, c := range []struct {
		name, statement string
		err             error
		aborted, again  bool
	}{
		{"busy at a write", "INSERT", busy, true, true},
		{"locked at a read", "SELECT", locked, true, true},
		{"busy, of a driver without codes", "INSERT", errors.New("database is locked"), true, true},
		{"busy at a savepoint", "SAVEPOINT", busy, true, true},
		{"connection lost", "INSERT", driver.ErrBadConn, true, false},
		{"connection lost in an answer", "INSERT", io.ErrUnexpectedEOF, true, false},
		{"connection lost before an answer", "INSERT", io.EOF, true, false},
		{"connection closed", "INSERT", net.ErrClosed, true, false},
		{"connection reset", "INSERT", &net.OpError{Op: "write", Err: errors.New("reset")}, true, false},
		{"disk full", "INSERT", full, false, false},
		{"disk broken", "INSERT", &sqliteError{10, "disk I/O error"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			s, db, f := faulty(t)
			try := func(ctx context.Context, tx storage.Storage) error {
				first := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					_, _ = tx.Get(ctx, "a")
					_ = tx.Insert(ctx, record("a"))
					return nil
				})
				if first != nil {
					is.True(errors.Is(first, c.err))
					is.Equal(errors.Is(first, storage.ErrAborted), c.aborted)
					everyCall(ctx, tx, func(name string, err error) {
						if !errors.Is(err, c.err) || errors.Is(err, storage.ErrAborted) != c.aborted {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
				return nil
			}
			// In our own transaction.
			runs := 0
			f.set(c.statement, c.err, 1)
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				runs++
				return try(ctx, tx)
			})
			if c.again {
				is.NoErr(err)
				is.Equal(runs, 2)
				n, err := s.Delete(t.Context(), "a")
				is.NoErr(err)
				is.Equal(n, 1)
			} else {
				is.True(errors.Is(err, c.err))
				is.Equal(runs, 1)
			}
			// In the host's transaction, which is never retried.
			for _, lib := range []library{withBun, withSQL} {
				tx, err := lib.begin(t.Context(), t, db, nil)
				is.NoErr(err)
				in := tx.join(s)
				f.set(c.statement, c.err, 1)
				is.NoErr(try(t.Context(), in))
				is.True(errors.Is(in.Lock(t.Context(), "k"), c.err))
				_ = tx.Rollback()
				f.set("", nil, 0)
				is.Equal(count(t, s), 0)
			}
		})
	}
}

// If the engine aborts an operation outside a transaction, or at its BEGIN or COMMIT, it is retried, within bounds and
// only while the context lasts.
func TestRetry(t *testing.T) {
	for _, statement := range []string{"INSERT", "BEGIN", "UPDATE", "COMMIT"} {
		t.Run(statement, func(t *testing.T) {
			is := is.New(t)
			s, _, f := faulty(t)
			f.set(statement, busy, 3)
			is.NoErr(s.Insert(t.Context(), record("a")))
			is.NoErr(s.Insert(t.Context(), record("b"), record("c")))
			is.Equal(count(t, s), 3)
			is.Equal(f.times, 0)
		})
	}
	t.Run("of a read", func(t *testing.T) {
		is := is.New(t)
		s, _, f := faulty(t)
		f.set("SELECT", busy, 2)
		is.Equal(count(t, s), 0)
		is.Equal(f.times, 0)
	})
	t.Run("of a statement of the host's", func(t *testing.T) {
		is := is.New(t)
		s, _, f := faulty(t)
		f.set("DROP", busy, 1)
		runs := 0
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			runs++
			return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				_, err := bunstore.DB(tx).ExecContext(ctx, "DROP TABLE IF EXISTS none_such")
				return err
			})
		}))
		is.Equal(runs, 2)
	})
	t.Run("of a stale connection at BEGIN", func(t *testing.T) {
		is := is.New(t)
		s, _, f := faulty(t)
		f.set("BEGIN", driver.ErrBadConn, 2)
		is.NoErr(s.Insert(t.Context(), record("a"), record("b")))
	})
	t.Run("not of an error of the host's that has a Code", func(t *testing.T) {
		is := is.New(t)
		s, _, _ := faulty(t)
		theirs, runs := &sqliteError{5, "over quota"}, 0
		err := s.RunInTx(t.Context(), func(context.Context, storage.Storage) error { runs++; return theirs })
		is.True(err == error(theirs)) // unchanged
		is.Equal(runs, 1)
	})
	t.Run("not after ctx is done", func(t *testing.T) {
		is := is.New(t)
		s, _, f := faulty(t)
		ctx, cancel := context.WithCancel(t.Context())
		f.set("INSERT", busy, -1)
		runs := 0
		err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			if runs++; runs == 3 {
				cancel()
			}
			_ = tx.Insert(ctx, record("a"))
			_, err := tx.Count(ctx, storage.Filter{})
			return err
		})
		is.True(errors.Is(err, context.Canceled))
		is.Equal(runs, 3)
		f.set("INSERT", busy, -1)
		ctx, cancel = context.WithCancel(t.Context())
		f.onHit = cancel
		is.True(errors.Is(s.Insert(ctx, record("a")), context.Canceled))
	})
}

// A connection lost during a commit leaves the outcome unknown.
func TestOutcomeUnknown(t *testing.T) {
	is := is.New(t)
	s, _, f := faulty(t)
	f.set("COMMIT", driver.ErrBadConn, 1)
	runs := 0
	err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		runs++
		return tx.Insert(ctx, record("a"))
	})
	is.True(errors.Is(err, storage.ErrOutcomeUnknown))
	is.True(errors.Is(err, driver.ErrBadConn))
	is.True(!errors.Is(err, storage.ErrAborted))
	is.Equal(runs, 1)
	f.set("COMMIT", errors.New("whatever else is not the database's own answer"), 1)
	is.True(errors.Is(s.Insert(t.Context(), record("a")), storage.ErrOutcomeUnknown))
	f.set("INSERT", driver.ErrBadConn, -1)
	err = s.Insert(t.Context(), record("a"))
	is.True(errors.Is(err, storage.ErrAborted)) // nothing was committed without COMMIT
	is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
	f.set("COMMIT", full, 1)
	err = s.Insert(t.Context(), record("a"), record("b"))
	is.True(errors.Is(err, full) && errors.Is(err, storage.ErrUnavailable))
	is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
}

// If a nested transaction cannot be rolled back, the whole transaction is.
func TestFailedUndo(t *testing.T) {
	for _, statement := range []string{"ROLLBACK TO", "RELEASE"} {
		t.Run(statement, func(t *testing.T) {
			is := is.New(t)
			s, _, f := faulty(t)
			refused := errors.New("no such savepoint")
			f.set(statement, refused, 1)
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, record("a")))
				_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					is.NoErr(tx.Insert(ctx, record("b")))
					return errUndo
				})
				everyCall(ctx, tx, func(name string, err error) {
					is.True(errors.Is(err, storage.ErrAborted))
				})
				return nil
			})
			is.True(errors.Is(err, storage.ErrAborted))
			is.True(errors.Is(err, refused))
			is.Equal(count(t, s), 0)
		})
	}
	t.Run("a nested transaction that is not released is rolled back", func(t *testing.T) {
		is := is.New(t)
		s, _, f := faulty(t)
		refused := errors.New("refused")
		f.set("RELEASE", refused, 1)
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			is.True(errors.Is(tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				return tx.Insert(ctx, record("b"))
			}), refused))
			return nil
		}))
		is.Equal(count(t, s), 1)
	})
}

// If the context of a nested transaction is cancelled, only that transaction is rolled back. bun would send its
// ROLLBACK TO with the cancelled context, and the outer transaction would commit the writes.
func TestCancelledLevel(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		for _, fail := range []error{errUndo, nil} {
			id := fmt.Sprint(fail)
			is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, record(id)))
				inner, cancel := context.WithCancel(ctx)
				err := tx.RunInTx(inner, func(ctx context.Context, tx storage.Storage) error {
					is.NoErr(tx.Insert(ctx, record("lost")))
					cancel()
					is.True(errors.Is(tx.Insert(ctx, record("more")), context.Canceled))
					return fail
				})
				if fail == nil {
					is.True(errors.Is(err, context.Canceled))
				} else {
					is.Equal(err, fail)
				}
				is.Equal(count(t, tx), count(t, tx))
				return nil
			}))
			_, err := s.Get(t.Context(), id)
			is.NoErr(err)
		}
		is.Equal(count(t, s), 2)
	})
}

// A context that ends in the middle of a write does not roll back the transaction.
func TestCancelledInWrite(t *testing.T) {
	is := is.New(t)
	s, _, f := faulty(t)
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("a")))
		inner, cancel := context.WithCancel(ctx)
		f.set("INSERT", nil, 1)
		f.onHit = cancel
		is.NoErr(tx.Insert(inner, record("b"))) // it was sent in time, and is written
		f.set("SELECT", nil, 1)
		inner, cancel = context.WithCancel(ctx)
		f.onHit = cancel
		_, err := tx.Get(inner, "a")
		is.True(errors.Is(err, context.Canceled))
		return tx.Insert(ctx, record("c"))
	}))
	is.Equal(count(t, s), 3)

	ctx, cancel := context.WithCancel(t.Context())
	err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("d")))
		cancel()
		return nil
	})
	is.True(errors.Is(err, context.Canceled))
	is.Equal(count(t, s), 3) // not committed after the caller has left
}

// A nested transaction ends when its fn does, however fn ends.
func TestPanicAndGoexit(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		for _, end := range []func(){func() { panic("fn") }, runtime.Goexit} {
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_ = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					_ = tx.Insert(ctx, record("a"))
					return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						_ = tx.Insert(ctx, record("b"))
						end()
						return nil
					})
				})
			}()
			<-done
			is.Equal(count(t, s), 0)
		}
	})
}

func TestFinishedHandle(t *testing.T) {
	is := is.New(t)
	s, _, _ := faulty(t)
	var left []storage.Storage
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		left = append(left, tx)
		return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			left = append(left, tx)
			return nil
		})
	}))
	for _, tx := range left {
		everyCall(t.Context(), tx, func(name string, err error) {
			if err == nil || !strings.Contains(err.Error(), "has returned") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// If a nested transaction is open, the outer handle returns an error to its callers inside, and makes others wait.
func TestOuterHandle(t *testing.T) {
	is := is.New(t)
	conn, err := engines.SQLite(t, engines.File(t), engines.Recommended, 1).Conn(t.Context())
	is.NoErr(err)
	defer func() { _ = conn.Close() }()
	s := newStore(t, conn)
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		return tx.RunInTx(ctx, func(ctx context.Context, _ storage.Storage) error {
			for _, outer := range []storage.Storage{s, tx} {
				everyCall(ctx, outer, func(name string, err error) {
					if err == nil || !strings.Contains(err.Error(), "a nested transaction is open") {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			short, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := tx.Count(short, storage.Filter{})
			is.True(errors.Is(err, context.Canceled))
			return nil
		})
	}))
}

func TestGoroutinesShareATransaction(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					is.NoErr(tx.Insert(ctx, record(fmt.Sprint("a", i))))
					_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						is.NoErr(tx.Insert(ctx, record(fmt.Sprint("b", i)), record(fmt.Sprint("c", i))))
						if i%2 == 0 {
							return errUndo
						}
						return nil
					})
				})
			}
			wg.Wait()
			return nil
		}))
		is.Equal(count(t, s), 12+12) // every a, and half of b and c
	})
}

// Sixteen writers read before they write, on a file without busy_timeout: all succeed, and no write is lost.
func TestConcurrentWriters(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("a")))
		const writers, rounds = 16, 5
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range rounds {
					is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
						list, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
						if err != nil {
							return err
						}
						list[0].Generation++
						return tx.Update(ctx, list[0])
					}))
					is.NoErr(s.Insert(t.Context(), record(fmt.Sprint(w, "-", i))))
				}
			})
		}
		wg.Wait()
		r, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		is.Equal(r.Generation, int64(writers*rounds))
		is.Equal(count(t, s), 1+writers*rounds)
	})
}

// A host's transaction that has read cannot take the lock if others have written to the file since.
func TestOldSnapshot(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, engines.File(t), engines.Plain, 4)
	s := newStore(t, db)
	for _, lock := range []func(*bunstore.Store) error{
		func(s *bunstore.Store) error { return s.Lock(t.Context(), "k") },
		func(s *bunstore.Store) error {
			_, err := s.List(t.Context(), storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
			return err
		},
		func(s *bunstore.Store) error { return s.Update(t.Context(), record("a"), record("b")) },
	} {
		for _, lib := range []library{withBun, withSQL} {
			tx, err := lib.begin(t.Context(), t, db, nil)
			is.NoErr(err)
			in := tx.join(s)
			n := count(t, in)
			is.NoErr(s.Insert(t.Context(), record(fmt.Sprint(n))))
			is.True(errors.Is(lock(in), storage.ErrAborted))
			_, err = in.Count(t.Context(), storage.Filter{})
			is.True(errors.Is(err, storage.ErrAborted)) // it stays aborted
			is.NoErr(tx.Rollback())
		}
	}
}

// With one connection no call in a transaction asks the pool for another.
func TestOneConnection(t *testing.T) {
	is := is.New(t)
	s := newStore(t, engines.SQLite(t, engines.File(t), engines.Recommended, 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	is.NoErr(s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("a"), record("b")))
		is.NoErr(tx.(*bunstore.Store).Check(ctx))
		is.NoErr(tx.(*bunstore.Store).Migrate(ctx))
		everyCall(ctx, tx, func(name string, err error) { is.True(!errors.Is(err, context.DeadlineExceeded)) })

		// A call that waits for the one connection stops when its ctx does.
		waiting, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		is.True(errors.Is(s.RunInTx(waiting, nil), context.DeadlineExceeded))
		is.True(errors.Is(s.Insert(waiting, record("c")), context.DeadlineExceeded))
		return nil
	}))
}

// Records that cannot be stored together are rolled back, even if some of them were already written.
func TestLargeInsertIsAllOrNone(t *testing.T) {
	is := is.New(t)
	s, _, _ := faulty(t)
	records := make([]storage.Record, 200)
	for i := range records {
		records[i] = record(fmt.Sprintf("r%03d", i))
		records[i].PublicMetadata = []byte(`{"k":"` + strings.Repeat("x", 8000) + `"}`)
	}
	last := records[199]
	is.NoErr(s.Insert(t.Context(), last))
	check := func(err error, want ...int) {
		t.Helper()
		exists, ok := errors.AsType[*storage.ExistsError](err)
		is.True(ok)
		is.Equal(exists.Indexes, want)
	}
	check(s.Insert(t.Context(), records...), 199)
	is.Equal(count(t, s), 1)
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("before")))
		check(tx.Insert(ctx, records...), 199)
		is.Equal(count(t, tx), 2)
		return tx.Insert(ctx, records[:199]...)
	}))
	is.Equal(count(t, s), 201)

	stored, err := s.List(t.Context(), storage.Query{Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}})
	is.NoErr(err)
	stored = stored[1:]                                 // without "before"
	stored[150].EmailKey = record("before").EmailKey    // held by one outside the call
	stored[3].EmailKey, stored[4].EmailKey = "x3", "x3" // held by an earlier one
	check(s.Update(t.Context(), stored...), 4, 150)
	stored[4].EmailKey, stored[150].EmailKey = stored[5].EmailKey, "x150"
	stored[5].EmailKey = "x5"
	check(s.Update(t.Context(), stored...), 4) // it cannot take what another one releases in the same call
	stored[4].EmailKey = "x4"
	is.NoErr(s.Update(t.Context(), stored...))
}

// If a statement of the host's ends the transaction unnoticed, the Store finds out at the end of the nested
// transaction.
func TestTransactionEndedByHost(t *testing.T) {
	is := is.New(t)
	s, db, _ := faulty(t)
	for _, result := range []error{nil, errUndo} {
		err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				_, err := bunstore.DB(tx).ExecContext(ctx, "ROLLBACK") // as SQLite does when the disk is full
				is.NoErr(err)
				return result
			})
			is.True(errors.Is(err, storage.ErrAborted))
			is.True(errors.Is(tx.Insert(ctx, record("b")), storage.ErrAborted)) // otherwise it would commit by itself
			return nil
		})
		is.True(errors.Is(err, storage.ErrAborted))
		is.Equal(count(t, s), 0)
	}
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error { // the connection still works
		return tx.Insert(ctx, record("a"))
	}))
	is.Equal(db.Stats().InUse, 0)
}
