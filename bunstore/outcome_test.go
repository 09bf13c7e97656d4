package bunstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/storage"
)

// onServers returns the engines whose servers can be put behind a proxy.
func onServers() []engines.Engine {
	var list []engines.Engine
	for _, e := range engines.All() {
		if e.Variable != "" {
			list = append(list, e)
		}
	}
	return list
}

// The statements that end and nest transactions, as the drivers send them.
func onTheWire(e engines.Engine, statement string) string {
	if strings.HasPrefix(e.Name, "postgres") {
		return statement + "\x00" // the end of a simple query
	}
	return "\x03" + statement // COM_QUERY
}

// behindProxy returns a store behind a proxy, and one that is connected directly to the server.
func behindProxy(t *testing.T, e engines.Engine) (s, direct *bunstore.Store, db *bun.DB, p *faults.Proxy) {
	t.Helper()
	address := e.New(t)
	direct = newStore(t, e.Connect(t, address))
	if e.Name == "galera" { // a single node, so that both stores see the same at once
		address, _, _ = strings.Cut(address, ",")
	}
	p, through := e.Proxied(t, address)
	if !strings.HasPrefix(e.Name, "postgres") {
		// The driver runs COMMIT and ROLLBACK without a context, so only its own timeout bounds them.
		cfg, err := gomysql.ParseDSN(through)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ReadTimeout = time.Second
		through = cfg.FormatDSN()
	}
	db = e.Connect(t, through)
	s, err := bunstore.New(db, configFor(db))
	if err != nil {
		t.Fatal(err)
	}
	count(t, s) // the connection is open, and was checked
	return s, direct, db, p
}

// idle waits until no connection of db is in use.
func idle(t *testing.T, db *bun.DB) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); db.Stats().InUse > 0; {
		if time.Now().After(until) {
			t.Fatalf("%d connections are still in use", db.Stats().InUse)
		}
		time.Sleep(time.Millisecond)
	}
}

// The outcome of a COMMIT is unknown if its answer is lost, whatever error the driver returns, and also if the COMMIT
// itself is lost.
func TestLostCommit(t *testing.T) {
	engines.On(t, onServers(), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		s, direct, db, p := behindProxy(t, e)
		for i, lost := range []faults.Cut{faults.CutAfter, faults.CutBefore} {
			p.Set(1, lost, onTheWire(e, "commit"))
			id := fmt.Sprint(lost)
			err := s.Insert(t.Context(), record(id))
			is.True(p.Hit())
			is.True(errors.Is(err, storage.ErrOutcomeUnknown))
			is.True(!errors.Is(err, storage.ErrAborted))
			_, err = direct.Get(t.Context(), id)
			is.Equal(err == nil, lost == faults.CutAfter)
			is.Equal(count(t, s), i+1-i) // the pool still works
			idle(t, db)
		}
	})
}

// The server closes a connection while it is in the pool. Calls do not fail: nothing was sent on that connection.
func TestStaleConnection(t *testing.T) {
	engines.On(t, onServers(), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		s, _, db, p := behindProxy(t, e)
		p.Set(1, faults.CutBefore, "") // BEGIN, or what the driver sends before it
		is.NoErr(s.Insert(t.Context(), record("a")))
		is.True(p.Hit())
		p.Set(1, faults.CutBefore, "") // of a read, which may be repeated
		is.Equal(count(t, s), 1)
		is.True(p.Hit())
		idle(t, db)
	})
}

// A connection lost at any other statement aborts the transaction.
func TestLostStatement(t *testing.T) {
	engines.On(t, onServers(), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		s, direct, db, p := behindProxy(t, e)
		for _, lost := range []faults.Cut{faults.CutBefore, faults.CutAfter} {
			for _, statement := range []string{"insert into", "savepoint", "release"} {
				p.Set(1, lost, statement)
				err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						return tx.Insert(ctx, record("a"))
					})
				})
				is.True(p.Hit())
				is.True(errors.Is(err, storage.ErrAborted))
				is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
				is.Equal(count(t, direct), 0)
				idle(t, db)
			}
		}
	})
}

// On a network that loses packets every call returns soon after its deadline, and keeps no connection.
func TestSilentNetwork(t *testing.T) {
	engines.On(t, onServers(), func(t *testing.T, e engines.Engine) {
		if e.Name == "postgres-pq" {
			return // this driver waits for an answer without a limit
		}
		is := is.New(t)
		s, _, db, p := behindProxy(t, e)
		undo := errors.New("undo")
		statements := []string{"", "insert into", "savepoint", "release", "rollback to", "rollback", "commit"}
		for _, statement := range bySize(statements[5:], statements, statements) {
			with := statement
			if statement == "commit" || statement == "rollback" {
				with = onTheWire(e, statement)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			p.Set(1, faults.Silence, with)
			answer := make(chan error, 1)
			go func() {
				answer <- s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						if err := tx.Insert(ctx, record("a")); err != nil {
							return err
						}
						if statement == "rollback to" {
							return undo
						}
						return nil
					})
					if err == nil && statement == "rollback" {
						err = undo
					}
					return err
				})
			}()
			select {
			case err := <-answer:
				is.True(p.Hit()) // statement
				is.True(err != nil)
				is.Equal(errors.Is(err, storage.ErrOutcomeUnknown), statement == "commit")
				if statement == "savepoint" || statement == "release" {
					is.True(errors.Is(err, storage.ErrAborted) && errors.Is(err, context.DeadlineExceeded))
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%q hung", statement)
			}
			cancel()
			p.Heal()
			idle(t, db)
			is.Equal(count(t, s), 0) // the pool still works
		}
	})
}

// serverError is an error as pgx and pgdriver return it, identified by its SQLSTATE.
type serverError string

func (e serverError) Error() string {
	return "FATAL: server conn crashed? (SQLSTATE " + string(e) + ")"
}
func (e serverError) SQLState() string { return string(e) }

// At COMMIT only the server's own refusal proves that nothing was committed. The answer of a proxy such as PgBouncer,
// or of a server that is shutting down, proves nothing.
func TestCommitAnswers(t *testing.T) {
	type answer struct {
		err     error
		want    error // ErrOutcomeUnknown, ErrAborted, or nil for any other error
		retried bool
	}
	mysqlError := func(n uint16) error { return &gomysql.MySQLError{Number: n, Message: "as the server says"} }
	for name, answers := range map[string][]answer{
		"postgres": {
			{err: serverError("08P01"), want: storage.ErrOutcomeUnknown},
			{err: serverError("08006"), want: storage.ErrOutcomeUnknown},
			{err: serverError("57P01"), want: storage.ErrOutcomeUnknown},
			{err: serverError("57P03"), want: storage.ErrOutcomeUnknown},
			{err: serverError("58030"), want: storage.ErrOutcomeUnknown},
			{err: serverError("XX000"), want: storage.ErrOutcomeUnknown},
			{err: faults.ErrClosed, want: storage.ErrOutcomeUnknown},
			{err: driver.ErrBadConn, want: storage.ErrOutcomeUnknown},
			{err: context.DeadlineExceeded, want: storage.ErrOutcomeUnknown},
			{err: serverError("23503")}, // a deferred constraint
			{err: errors.New("commit unexpectedly resulted in rollback")},
			{err: serverError("40001"), retried: true},
		},
		"mariadb": {
			{err: mysqlError(1047), want: storage.ErrOutcomeUnknown},
			{err: mysqlError(1053), want: storage.ErrOutcomeUnknown},
			{err: mysqlError(1105), want: storage.ErrOutcomeUnknown}, // a cluster may answer this to a COMMIT
			{err: mysqlError(1180), want: storage.ErrOutcomeUnknown},
			{err: mysqlError(1317), want: storage.ErrOutcomeUnknown},
			{err: mysqlError(1927), want: storage.ErrOutcomeUnknown},
			{err: mysqlError(2013), want: storage.ErrOutcomeUnknown},
			{err: gomysql.ErrInvalidConn, want: storage.ErrOutcomeUnknown},
			{err: faults.ErrClosed, want: storage.ErrOutcomeUnknown},
			{err: mysqlError(1452)},
			{err: mysqlError(1213), retried: true},
		},
		"sqlite": {
			{err: &sqliteError{10, "disk I/O error"}, want: storage.ErrOutcomeUnknown},
			{err: &sqliteError{11, "database disk image is malformed"}, want: storage.ErrOutcomeUnknown},
			{err: faults.ErrClosed, want: storage.ErrOutcomeUnknown},
			{err: errors.New("FOREIGN KEY constraint failed")}, // from a driver without codes
			{err: &sqliteError{1, "SQL logic error"}},
			{err: &sqliteError{19, "FOREIGN KEY constraint failed"}},
			{err: &sqliteError{13, "database or disk is full"}, want: storage.ErrUnavailable},
			{err: &sqliteError{5, "database is locked"}, retried: true},
		},
	} {
		engines.On(t, []engines.Engine{engines.Named(t, name)}, func(t *testing.T, e engines.Engine) {
			is := is.New(t)
			f := &scripted{}
			s := newStore(t, e.Faulty(t, e.New(t), f.fault))
			for i, a := range answers {
				f.set("COMMIT", a.err, 1)
				id := fmt.Sprint(i)
				err := s.Insert(t.Context(), record(id))
				if a.retried {
					is.NoErr(err)
					continue
				}
				is.True(errors.Is(err, a.err)) // the cause is in the chain
				is.Equal(errors.Is(err, storage.ErrOutcomeUnknown), a.want == storage.ErrOutcomeUnknown)
				is.True(a.want == nil || errors.Is(err, a.want))
				is.True(!errors.Is(err, storage.ErrAborted))
				_, err = s.Get(t.Context(), id)
				is.True(errors.Is(err, storage.ErrNotFound))
			}
		})
	}
}

// At a statement, every code of class 08 means a lost connection.
func TestClassOfConnections(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "postgres")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		for _, state := range []string{"08P01", "08000", "08004", "57P01", "57P02"} {
			f.set("INSERT", serverError(state), 1)
			err := s.Insert(t.Context(), record(state))
			is.True(errors.Is(err, storage.ErrAborted))
			is.True(errors.Is(err, serverError(state)))
			f.set("BEGIN", serverError(state), 1) // nothing was done on this connection, and another one serves
			is.NoErr(s.Insert(t.Context(), record(state)))
		}
	})
}

// A connection whose ROLLBACK or COMMIT failed may still be in a transaction: it never goes back to the pool.
func TestConnectionsInDoubt(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Single {
			t.Skip("the database is lost with its connection, see TestMemoryOutlivesAFailure")
		}
		is := is.New(t)
		address := e.New(t)
		newStore(t, e.Connect(t, address))
		var connects atomic.Int32
		plan := &faults.Plan{}
		db := e.Wrapped(t, address, func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, func(call faults.Call) faults.Fault {
				if call.Op == faults.Connect {
					connects.Add(1)
				}
				return plan.Decide(call)
			})
		})
		db.SetMaxOpenConns(1)
		s, err := bunstore.New(db, configFor(db))
		is.NoErr(err)
		undo, refused := errors.New("undo"), errors.New("refused, the transaction stays open")
		sqlite := strings.HasPrefix(e.Name, "sqlite")
		for _, op := range []faults.Op{faults.Rollback, faults.Commit} {
			is.NoErr(s.RunInTx(t.Context(), func(context.Context, storage.Storage) error { return nil }))
			before := connects.Load()
			plan.Set(1, faults.Fault{Kind: faults.Fail, Err: refused}, func(c faults.Call) bool { return c.Op == op })
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, record("a")))
				if op == faults.Rollback {
					return undo
				}
				return nil
			})
			_, hit := plan.Hit()
			is.True(hit)
			is.Equal(errors.Is(err, undo), op == faults.Rollback)
			is.Equal(errors.Is(err, storage.ErrOutcomeUnknown), op == faults.Commit)
			is.NoErr(s.Insert(t.Context(), record("b")))
			is.Equal(connects.Load() == before, sqlite) // SQLite's connection was rolled back and kept
			is.Equal(count(t, s), 1)                    // nothing of the transactions in doubt
			n, err := s.Delete(t.Context(), "b")
			is.NoErr(err)
			is.Equal(n, 1)
		}
	})
}

// MariaDB's transactions are rolled back as soon as they are aborted. If the rollback is confirmed, the connection is
// kept. Otherwise it may still be in its transaction, and is closed.
func TestConnectionAfterAbort(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		var refused atomic.Bool
		givenUp := &gomysql.MySQLError{Number: 1206, Message: "The total number of locks exceeds the lock table size"}
		db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, func(call faults.Call) faults.Fault {
				switch {
				case strings.HasPrefix(call.Statement, "DELETE"):
					return faults.Fault{Kind: faults.Fail, Err: givenUp}
				case call.Op == faults.Rollback && refused.Load():
					return faults.Fault{Kind: faults.Fail, Err: errors.New("refused")}
				}
				return faults.Fault{}
			})
		})
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		for _, confirmed := range []bool{true, false} {
			refused.Store(!confirmed)
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, record("a")))
				_, err := tx.Delete(ctx, "a")
				return err
			})
			is.True(errors.Is(err, givenUp))
			is.Equal(db.Stats().OpenConnections == 1, confirmed)
			is.Equal(count(t, s), 0)
		}
	})
}

// Only its Store ends a transaction. A context that is done interrupts no statement that runs without it, and costs no
// connection.
func TestContextDoesNotEndTransaction(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		address := e.New(t)
		var connects atomic.Int32
		db := e.Wrapped(t, address, func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, func(call faults.Call) faults.Fault {
				if call.Op == faults.Connect {
					connects.Add(1)
				}
				return faults.Fault{}
			})
		})
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		before := connects.Load()
		ctx, cancel := context.WithCancel(t.Context())
		err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			cancel()
			for range 20 { // database/sql would end it at some point
				is.Equal(count(t, tx), 1)
			}
			return nil
		})
		is.True(errors.Is(err, context.Canceled))
		is.Equal(count(t, s), 0)
		is.Equal(connects.Load(), before)
	})
}

// An aborted transaction keeps saying so, and also says that its context has ended.
func TestAbortedAndCancelled(t *testing.T) {
	for _, lib := range []library{withBun, withSQL} {
		is := is.New(t)
		s, db, f := faulty(t)
		tx, err := lib.begin(t.Context(), t, db, nil)
		is.NoErr(err)
		defer func() { _ = tx.Rollback() }()
		in := tx.join(s)
		f.set("INSERT", busy, 1)
		is.True(errors.Is(in.Insert(t.Context(), record("a")), storage.ErrAborted))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		everyCall(ctx, in, func(name string, err error) {
			if !errors.Is(err, storage.ErrAborted) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s, with %s: %v", name, lib, err)
			}
		})
	}
}

// A failed transaction does not close a database in memory.
func TestMemoryOutlivesAFailure(t *testing.T) {
	is := is.New(t)
	e := engines.Named(t, "sqlite-memory")
	f := &scripted{}
	s := newStore(t, e.Faulty(t, e.New(t), f.fault))
	is.NoErr(s.Insert(t.Context(), record("a")))
	for _, statement := range []string{"COMMIT", "ROLLBACK", "BEGIN"} {
		f.set(statement, errors.New("refused"), 1)
		_ = s.Insert(t.Context(), record("a")) // it exists already
		_ = s.Insert(t.Context(), record(statement))
	}
	_, err := s.Get(t.Context(), "a")
	is.NoErr(err)
}

// A connection that was returned to the pool inside a transaction is not used: BEGIN would fail there, or commit that
// transaction.
func TestPollutedPool(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		for range 3 {
			_, err := db.ExecContext(t.Context(), "START TRANSACTION")
			is.NoErr(err)
			is.NoErr(s.Insert(t.Context(), record(fmt.Sprint(count(t, s)))))
		}
		is.Equal(count(t, s), 3)
	})
}

// If a row that is read is newer than the transaction's snapshot, the call is aborted: the host's other reads there
// show an older state.
func TestRowNewerThanSnapshot(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if e.Single || e.Name == "sqlite-one-connection" {
			t.Skip("the engine has a single connection")
		}
		levels := []sql.IsolationLevel{sql.LevelDefault}
		if !strings.HasPrefix(e.Name, "sqlite") {
			levels = []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead}
		}
		is := is.New(t)
		address := e.New(t)
		if e.Name == "galera" {
			address, _, _ = strings.Cut(address, ",")
		}
		if e.Name == "sqlite" { // an immediate transaction allows no other writer
			address = strings.Replace(address, "_txlock=immediate", "_txlock=deferred", 1)
		}
		db := e.Connect(t, address)
		s := newStore(t, db)
		for _, level := range levels {
			for _, change := range []string{"updated", "deleted", "inserted", "resolved"} {
				id := fmt.Sprint(level, change)
				if change != "inserted" {
					is.NoErr(s.Insert(t.Context(), record(id)))
				}
				tx, err := lib.begin(t.Context(), t, db, &sql.TxOptions{Isolation: level})
				is.NoErr(err)
				in := tx.join(s)
				count(t, in) // takes the snapshot
				r := record(id)
				r.Version = 1
				switch change {
				case "inserted":
					err = s.Insert(t.Context(), r)
				case "deleted":
					_, err = s.Delete(t.Context(), id)
				case "resolved":
					r.Status = "accepted"
					err = s.Update(t.Context(), r)
				default:
					err = s.Update(t.Context(), r)
				}
				is.NoErr(err)
				got, err := in.List(t.Context(), storage.Query{ForUpdate: true, Filter: storage.Filter{
					IDs: []string{id}, StoredStatuses: []string{storage.Pending}}})
				if level == sql.LevelReadCommitted {
					is.NoErr(err)
					is.Equal(len(got) == 1, change == "updated" || change == "inserted")
				} else if change == "inserted" && err == nil {
					is.Equal(len(got), 0) // PostgreSQL: as if it had come later
				} else {
					is.True(errors.Is(err, storage.ErrAborted))
				}
				_ = tx.Rollback() // on MariaDB an aborted transaction is already rolled back
			}
		}
	})
}

// An error of BEGIN shows whether another connection of the pool may succeed. A Store on the host's connection has no
// other connection.
func TestBeginAnswers(t *testing.T) {
	odd := errors.New("nothing a server says")
	for _, c := range []struct {
		name    string
		err     error
		conn    bool  // a Store on a bun.Conn
		cancels bool  // the context ends at this moment
		want    error // ErrUnavailable, or nil if the error is returned unchanged
		retried bool
	}{
		{"lost", net.ErrClosed, false, false, nil, true},
		{"lost, for nobody", net.ErrClosed, false, true, storage.ErrUnavailable, false},
		{"lost, of the host's", net.ErrClosed, true, false, storage.ErrUnavailable, false},
		{"odd", odd, false, false, nil, true},
		{"odd, of the host's", odd, true, false, nil, false},
		{"refused", &sqliteError{1, "SQL logic error"}, false, false, nil, false},
		{"cancelled", context.Canceled, false, true, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			s, db, f := faulty(t)
			if c.conn {
				conn, err := db.Conn(t.Context())
				is.NoErr(err)
				defer func() { _ = conn.Close() }()
				s, err = bunstore.New(conn, configFor(conn))
				is.NoErr(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.set("BEGIN", c.err, 2)
			if c.cancels {
				f.onHit = cancel
			}
			err := s.Insert(ctx, record("a"))
			if c.retried {
				is.NoErr(err)
				is.Equal(f.times, 0)
				return
			}
			is.Equal(f.times, 1) // tried once
			is.True(errors.Is(err, c.err))
			is.Equal(errors.Is(err, storage.ErrUnavailable), c.want != nil)
			is.Equal(errors.Is(err, context.Canceled), c.cancels)
		})
	}
}

// If no connection can be made, the call fails at once: another attempt would not help.
func TestConnectAnswers(t *testing.T) {
	for err, unavailable := range map[error]bool{errors.New("no such certificate"): false, net.ErrClosed: true} {
		is := is.New(t)
		e, tries := engines.Named(t, "sqlite"), 0
		s, failed := bunstore.New(e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, func(call faults.Call) faults.Fault {
				if call.Op != faults.Connect {
					return faults.Fault{}
				}
				tries++
				return faults.Fault{Kind: faults.Fail, Err: err}
			})
		}), nil)
		is.NoErr(failed)
		got := s.Insert(t.Context(), record("a"))
		is.True(errors.Is(got, err))
		is.Equal(errors.Is(got, storage.ErrUnavailable), unavailable)
		is.Equal(tries, 1)
	}
}

// If BEGIN fails on the host's connection, the connection stays as it is, and so does the host's work on it.
func TestHostsOwnTransactionOnConn(t *testing.T) {
	is := is.New(t)
	s, db, _ := faulty(t)
	conn, err := db.Conn(t.Context())
	is.NoErr(err)
	defer func() { _ = conn.Close() }()
	on, err := bunstore.New(conn, configFor(conn))
	is.NoErr(err)
	_, err = conn.ExecContext(t.Context(), "CREATE TABLE kept (id TEXT)")
	is.NoErr(err)
	for _, statement := range []string{"BEGIN", "INSERT INTO kept (id) VALUES ('k')"} {
		_, err = conn.ExecContext(t.Context(), statement)
		is.NoErr(err)
	}
	is.True(on.Insert(t.Context(), record("a")) != nil) // a transaction within a transaction
	_, err = conn.ExecContext(t.Context(), "COMMIT")
	is.NoErr(err)
	n, err := conn.NewSelect().Table("kept").Count(t.Context())
	is.NoErr(err)
	is.True(n == 1)
	is.Equal(count(t, s), 0)
}

// A COMMIT whose outcome is unknown also says that its context has ended.
func TestUnknownAndCancelled(t *testing.T) {
	is := is.New(t)
	s, _, f := faulty(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.set("COMMIT", faults.ErrClosed, 1)
	f.onHit = cancel
	err := s.Insert(ctx, record("a"))
	is.True(errors.Is(err, storage.ErrOutcomeUnknown))
	is.True(errors.Is(err, context.Canceled))
	is.True(errors.Is(err, faults.ErrClosed))
}

// The same holds for a connection that is lost just before COMMIT.
func TestLostBeforeCommitAndCancelled(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "postgres-pq")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		ctx, cancel := context.WithCancel(t.Context())
		err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			f.set(beforeCommit, serverError("57P01"), 1)
			f.onHit = cancel
			bunstore.DB(tx)
			return nil
		})
		is.True(errors.Is(err, storage.ErrAborted) && errors.Is(err, context.Canceled))
		is.Equal(count(t, s), 0)
	})
}

// If the database cannot execute a statement of the host's now, the error says so, and nothing is written.
func TestHostsStatementUnavailable(t *testing.T) {
	is := is.New(t)
	s, _, f := faulty(t)
	f.set("DROP", full, 1)
	err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("a")))
		_, err := bunstore.DB(tx).ExecContext(ctx, "DROP TABLE IF EXISTS none_such")
		return err
	})
	is.True(errors.Is(err, full) && errors.Is(err, storage.ErrUnavailable))
	is.Equal(count(t, s), 0)
}

// A node that is not part of its cluster now may be part of it soon: the transaction is retried.
func TestUnreadyNode(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		f.set("INSERT", &gomysql.MySQLError{Number: 1047, Message: "WSREP has not yet prepared node"}, 2)
		is.NoErr(s.Insert(t.Context(), record("a")))
		is.Equal(f.times, 0)
	})
}

// A SQLite connection is closed if no way of rolling it back succeeds.
func TestConnectionThatKeepsItsTransaction(t *testing.T) {
	is := is.New(t)
	s, db, f := faulty(t)
	f.set("ROLLBACK", errors.New("refused"), -1)
	err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		is.NoErr(tx.Insert(ctx, record("a")))
		return errUndo
	})
	is.True(errors.Is(err, errUndo))
	is.Equal(db.Stats().OpenConnections, 0)
	f.set("", nil, 0)
	is.Equal(count(t, s), 0)
}

// Rows read with a lock contradict the snapshot if they differ from the rows it shows, even if their number is the
// same.
func TestOtherRowsThanSnapshot(t *testing.T) {
	onLibraries(t, enginesNamed(t, "mariadb"), func(t *testing.T, e engines.Engine, lib library) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("a")))
		tx, err := lib.begin(t.Context(), t, db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		is.NoErr(err)
		defer func() { _ = tx.Rollback() }()
		in := tx.join(s)
		is.Equal(count(t, in), 1) // takes the snapshot
		_, err = s.Delete(t.Context(), "a")
		is.NoErr(err)
		is.NoErr(s.Insert(t.Context(), record("b")))
		_, err = in.List(t.Context(), storage.Query{ForUpdate: true, Filter: storage.Filter{IDs: []string{"a", "b"}}})
		is.True(errors.Is(err, storage.ErrAborted))
	})
}

// Check warns if COMMIT may wait forever, and returns its connection to the pool.
func TestCheckWarns(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		var log strings.Builder
		before := slog.Default()
		defer slog.SetDefault(before)
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		address := e.New(t)
		for _, timeout := range []time.Duration{time.Minute, 0} {
			cfg, err := gomysql.ParseDSN(address)
			is.NoErr(err)
			cfg.ReadTimeout = timeout
			db := e.Connect(t, cfg.FormatDSN())
			s := newStore(t, db)
			is.NoErr(s.Check(t.Context()))
			is.Equal(strings.Contains(log.String(), "set readTimeout"), timeout == 0)
			is.Equal(db.Stats().InUse, 0)
		}
	})
}

// deadlines is a hook that keeps the deadline of each statement by its first word. The query before COMMIT is a
// SAVEPOINT, as for a nested transaction, so it is stored by its full text.
type deadlines map[string]time.Time

const beforeCommit = "SAVEPOINT orginvite_end"

func (d deadlines) BeforeQuery(ctx context.Context, event *bun.QueryEvent) context.Context {
	name := event.Operation()
	if event.Query == beforeCommit {
		name = beforeCommit
	}
	d[name], _ = ctx.Deadline()
	return ctx
}

func (deadlines) AfterQuery(context.Context, *bun.QueryEvent) {}

// A statement that begins, nests or ends a transaction has 2 seconds more than the caller's context; any other
// statement in a transaction has 250 milliseconds more. Calls may take that long on a network that loses packets.
func TestDeadlinesOfStatements(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "postgres-pq"),
		engines.Named(t, "mariadb")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		newStore(t, db)
		seen := deadlines{}
		s, err := bunstore.New(db.WithQueryHook(seen), configFor(db))
		is.NoErr(err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		at, _ := ctx.Deadline()
		for _, undo := range []error{nil, errUndo} {
			clear(seen)
			err = s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					is.NoErr(tx.Insert(ctx, record(fmt.Sprint(undo))))
					return undo
				})
				is.Equal(err, undo)
				bunstore.DB(tx)
				return nil
			})
			is.NoErr(err)
			want := map[string]time.Duration{"BEGIN": 2 * time.Second, "SAVEPOINT": 2 * time.Second,
				"INSERT": 250 * time.Millisecond, "RELEASE": 2 * time.Second}
			if undo != nil {
				want["ROLLBACK"] = 2 * time.Second // ROLLBACK TO SAVEPOINT
			}
			if strings.HasSuffix(e.Name, "-pq") {
				want[beforeCommit] = 2 * time.Second // asks whether the host's statements left anything to commit
			}
			for operation, more := range want {
				t.Log(operation)
				is.Equal(seen[operation].Sub(at), more)
			}
		}
	})
}

// If a nested transaction cannot be released, it is rolled back, and the outer one stays usable.
func TestReleaseThatSpoils(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "postgres")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		f.set("RELEASE", serverError("22000"), 1)
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				return tx.Insert(ctx, record("a"))
			})
			is.True(errors.Is(err, serverError("22000")))
			return tx.Insert(ctx, record("b"))
		}))
		is.Equal(count(t, s), 1)
	})
}
