package bunstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/storage"
)

// calls are the calls to a driver that concern the invitations.
type calls struct {
	mu        sync.Mutex
	list      []faults.Call
	fails     int    // how many of the next Prepares fail
	onPrepare func() // is called before each
}

func (c *calls) decide(call faults.Call) faults.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.Op == faults.Prepare && c.onPrepare != nil {
		c.onPrepare()
	}
	if call.Op == faults.Prepare && c.fails > 0 {
		c.fails--
		return faults.Fault{Kind: faults.Fail, Err: errors.New("not now")}
	}
	if strings.Contains(call.Statement, "organization_invitations") {
		c.list = append(c.list, call)
	}
	return faults.Fault{}
}

// take returns the statements that were prepared and those that were run, since it was last called.
func (c *calls) take() (prepared, run []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.list {
		if call.Op == faults.Prepare {
			prepared = append(prepared, call.Statement)
		} else {
			run = append(run, call.Statement)
		}
	}
	c.list = nil
	return prepared, run
}

func boundEngines(t *testing.T) []engines.Engine {
	return []engines.Engine{engines.Named(t, "sqlite-one-connection"), engines.Bound()}
}

// boundWork calls everything that has arguments, and compares what it reads with what it wrote.
func boundWork(t *testing.T, s storage.Storage, id string) {
	t.Helper()
	is := is.New(t)
	r := record(id)
	r.Generation = int64(id[0]) // numbers and times are bound, too
	is.NoErr(s.Insert(t.Context(), r))
	r, err := s.Get(t.Context(), id)
	is.NoErr(err)
	r.PublicMetadata, r.Role = []byte(`{"a":"\\?$1'"}`), `?'\$1`
	r.ResolvedAt = now.Add(time.Duration(id[0]) * time.Second)
	is.NoErr(s.Update(t.Context(), r))
	r.Version++
	f := storage.Filter{OrganizationID: "o", Roles: []string{r.Role}, CreatedFrom: r.CreatedAt, EmailContains: id}
	again, err := s.List(t.Context(), storage.Query{Filter: f, Limit: 2})
	is.NoErr(err)
	is.Equal(again, []storage.Record{r})
	n, err := s.Count(t.Context(), f)
	is.NoErr(err)
	is.Equal(n, 1)
	n, err = s.Delete(t.Context(), id)
	is.NoErr(err)
	is.Equal(n, 1)
}

// A statement first runs as text, which bun's hooks see. Then it is prepared once on each connection, and runs with
// other arguments, which they do not see. Statements without arguments, and with lists of values, stay text.
func TestBoundArguments(t *testing.T) {
	engines.On(t, boundEngines(t), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		seen, texts := &calls{}, &texts{}
		address := e.New(t)
		db := e.Wrapped(t, address, func(c driver.Connector) driver.Connector { return faults.Wrap(c, seen.decide) })
		db.SetMaxOpenConns(1) // also where there is no second connection to prepare on
		db = db.WithQueryHook(texts)
		s := newStore(t, db)
		hooked := func() (n int) {
			for _, text := range texts.all {
				if strings.Contains(text, "organization_invitations") {
					n++
				}
			}
			texts.all = nil
			return n
		}
		seen.take()
		hooked()

		const statements, searches = 6, 2
		boundWork(t, s, "a")
		prepared, run := seen.take()
		is.Equal(len(run), statements)
		is.Equal(hooked(), statements)
		is.Equal(len(prepared), statements-searches)
		bound := func(run []string) []string { // without the list and the count
			is.Equal(len(run), statements)
			is.True(strings.Contains(run[3], "'o'") && strings.Contains(run[4], "'o'"))
			return slices.Delete(run, 3, 5)
		}
		for _, text := range prepared {
			is.True(!strings.Contains(text, "'a'") && (strings.Contains(text, "$1") || strings.Contains(text, "?")))
		}
		boundWork(t, s, "b")
		again, run := seen.take()
		is.Equal(len(again), 0)
		is.Equal(bound(run), prepared)
		is.Equal(hooked(), searches)

		// In transactions of the pool, too.
		is.NoErr(db.RunInTx(t.Context(), nil, func(_ context.Context, tx bun.Tx) error {
			boundWork(t, s.WithTx(tx), "c")
			return nil
		}))
		_, run = seen.take()
		is.Equal(bound(run), prepared)
		tx, err := db.DB.BeginTx(t.Context(), nil)
		is.NoErr(err)
		boundWork(t, s.WithSQLTx(tx), "d")
		is.NoErr(tx.Commit())
		_, run = seen.take()
		is.Equal(bound(run), prepared)
		is.Equal(hooked(), 2*searches)

		// Text: lists of values, what has no arguments, one connection, and the transactions of another pool.
		for range 2 { // not only the first time
			x, y := record("x"), record("y")
			is.NoErr(s.Insert(t.Context(), x, y))
			x.Version, y.Version = 1, 1
			texts.all = nil
			is.NoErr(s.Update(t.Context(), x, y))
			is.True(slices.ContainsFunc(texts.all, func(q string) bool { return strings.HasPrefix(q, "UPDATE") }))
			hooked()
			_, err = s.Delete(t.Context(), "x", "y")
			is.NoErr(err)
			_, err = s.Count(t.Context(), storage.Filter{})
			is.NoErr(err)
			is.Equal(hooked(), 2)
		}
		conn, err := db.Conn(t.Context())
		is.NoErr(err)
		on, err := bunstore.New(conn, configFor(db))
		is.NoErr(err)
		boundWork(t, on, "e")
		is.NoErr(conn.Close())
		is.Equal(hooked(), statements)
		if !e.Single {
			tx, err := e.Connect(t, address).DB.BeginTx(t.Context(), nil)
			is.NoErr(err)
			boundWork(t, s.WithSQLTx(tx), "f")
			is.NoErr(tx.Rollback())
		}
	})
}

// A statement that cannot be prepared runs as text, and is tried again later. Many different statements are not all
// kept.
func TestPreparing(t *testing.T) {
	engines.On(t, boundEngines(t), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		seen := &calls{}
		s := newStore(t, e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, seen.decide)
		}))
		get := func() (prepared []string) {
			_, err := s.Get(t.Context(), "a")
			is.True(errors.Is(err, storage.ErrNotFound))
			prepared, run := seen.take()
			is.Equal(len(run), 1)
			return prepared
		}
		seen.take()
		seen.fails = 1
		is.Equal(len(get()), 0)
		is.Equal(len(get()), 1)
		is.Equal(len(get()), 0)
		seen.fails = 9 // a statement is tried three times
		for range 5 {
			_, err := s.Delete(t.Context(), "a")
			is.NoErr(err)
		}
		is.Equal(seen.fails, 9-3)
		seen.fails = 0
		seen.take()
		// A context that ends after the call does not matter.
		ctx, cancel := context.WithCancel(t.Context())
		seen.onPrepare = cancel
		byID := storage.Query{Filter: storage.Filter{IDs: []string{"a"}}}
		_, err := s.List(ctx, byID)
		is.NoErr(err)
		seen.onPrepare = nil
		_, err = s.List(t.Context(), byID)
		is.NoErr(err)
		prepared, run := seen.take()
		is.Equal(len(prepared), 1)
		is.Equal(run[1:], prepared)
	})
}

// Only so many different statements are kept.
func TestPreparedStatementsAreBounded(t *testing.T) {
	is := is.New(t)
	e, seen := engines.Named(t, "sqlite-one-connection"), &calls{}
	s := newStore(t, e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector {
		return faults.Wrap(c, seen.decide)
	}))
	is.NoErr(s.Insert(t.Context(), record("a")))
	seen.take()
	for n := range 300 { // each changes other columns
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			list, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
			is.NoErr(err)
			r := list[0]
			for bit, field := range []*string{&r.Role, &r.RedirectURL, &r.InviterUserID, &r.ResolvedBy, &r.OrganizationDomainID,
				&r.EmailAddress} {
				if n>>bit&1 != 0 {
					*field = fmt.Sprint("x", n)
				}
			}
			for bit, field := range []*[]byte{&r.PublicMetadata, &r.PrivateMetadata} {
				if n>>(6+bit)&1 != 0 {
					*field = fmt.Appendf(nil, `{"n":%d}`, n)
				}
			}
			if n>>8 != 0 {
				r.Generation++
			}
			return tx.Update(ctx, r)
		}))
	}
	prepared, _ := seen.take()
	is.True(len(prepared) > 200 && len(prepared) <= 250)
	boundWork(t, s, "b")
}

// On MariaDB a prepared statement would stay in its database after a USE.
func TestBindArgumentsElsewhere(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		seen := &calls{}
		db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector { return faults.Wrap(c, seen.decide) })
		s, err := bunstore.New(db, &bunstore.Config{BindArguments: true})
		is.NoErr(err)
		is.NoErr(s.Migrate(t.Context()))
		for range 2 {
			boundWork(t, s, "a")
		}
		prepared, _ := seen.take()
		is.Equal(len(prepared), 0)
	})
}

// A prepared statement that the server has dropped, or that no longer fits the table, runs as text again.
func TestPreparedStatementIsGone(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Bound()}, func(t *testing.T, e engines.Engine) {
		address := e.New(t)
		const changed = `ALTER TABLE organization_invitations ALTER COLUMN %s TYPE varchar(300) COLLATE "C"`
		db := e.Connect(t, address)
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		is := is.New(t)
		is.NoErr(s.Insert(t.Context(), record("a")))
		get := func(s storage.Storage) error {
			_, err := s.Get(t.Context(), "a")
			return err
		}
		inTx := func() error {
			return s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error { return get(tx) })
		}
		for _, spoil := range [][2]string{
			{"DEALLOCATE ALL", "DEALLOCATE ALL"}, {fmt.Sprintf(changed, "role"), fmt.Sprintf(changed, "resolved_by")},
		} {
			for range 2 { // to prepare it
				is.NoErr(get(s))
			}
			_, err := db.ExecContext(t.Context(), spoil[0])
			is.NoErr(err)
			is.NoErr(get(s))
			is.NoErr(get(s))
			is.NoErr(inTx())
			_, err = db.ExecContext(t.Context(), spoil[1])
			is.NoErr(err)
			is.NoErr(inTx())
			is.NoErr(get(s))
		}

		is.NoErr(get(s)) // it is prepared again
		tx, err := db.BeginTx(t.Context(), nil)
		is.NoErr(err)
		_, err = tx.ExecContext(t.Context(), "DEALLOCATE ALL")
		is.NoErr(err)
		is.True(errors.Is(get(s.WithTx(tx)), storage.ErrAborted)) // the host's transaction cannot go on
		is.NoErr(tx.Rollback())
		is.NoErr(get(s))
	})
}

// A statement takes memory only once in a transaction, however often it runs there.
func TestPreparedInALongTransaction(t *testing.T) {
	is := is.New(t)
	s := newStore(t, engines.Named(t, "sqlite-one-connection").Open(t))
	is.NoErr(s.Insert(t.Context(), record("a")))
	_, err := s.Get(t.Context(), "a")
	is.NoErr(err)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		before := heap()
		for range 10_000 {
			_, err := tx.Get(ctx, "a")
			is.NoErr(err)
		}
		is.True(heap() < before+1<<20) // a statement for each call would take 2.5 MB
		return nil
	}))
}

// Preparing waits for no connection. In a transaction of the host's it needs an idle one. The Store's own transactions
// prepare after their end.
func TestPreparingInTransactions(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Bound()},
		func(t *testing.T, e engines.Engine) {
			is := is.New(t)
			seen := &calls{}
			db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector { return faults.Wrap(c, seen.decide) })
			s := newStore(t, db)
			waited := func() int64 { return db.Stats().WaitCount }
			get := func(s storage.Storage) (prepared []string) {
				seen.take()
				_, err := s.Get(t.Context(), "a")
				is.True(errors.Is(err, storage.ErrNotFound))
				prepared, _ = seen.take()
				return prepared
			}
			insert := func(s storage.Storage) (prepared []string) {
				seen.take()
				is.NoErr(s.Insert(t.Context(), record("b")))
				prepared, _ = seen.take()
				return prepared
			}
			tx := func(fn func(tx storage.Storage)) {
				t.Helper()
				host, err := db.BeginTx(t.Context(), nil)
				is.NoErr(err)
				fn(s.WithTx(host))
				is.NoErr(host.Rollback())
			}

			db.SetMaxOpenConns(1)
			before := waited()
			tx(func(tx storage.Storage) {
				is.Equal(len(get(tx)), 0)
				is.Equal(len(insert(tx)), 0)
			})
			is.NoErr(s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
				_, err := tx.Count(t.Context(), storage.Filter{OrganizationID: "o"})
				return err
			}))
			is.Equal(waited(), before)

			s = newStore(t, db)
			db.SetMaxOpenConns(2)
			db.SetMaxIdleConns(2)
			other, err := db.Conn(t.Context())
			is.NoErr(err)
			one, err := db.Conn(t.Context())
			is.NoErr(err)
			is.NoErr(other.Close())
			is.NoErr(one.Close())
			is.NoErr(s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
				is.Equal(len(get(tx)), 0)
				return nil
			}))
			s = newStore(t, db)
			tx(func(tx storage.Storage) {
				is.Equal(len(get(tx)), 1)
				is.Equal(len(insert(tx)), 1)
			})
		})
}
