package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// onPostgres runs fn with every PostgreSQL driver.
func onPostgres(t *testing.T, fn func(t *testing.T, e engines.Engine)) {
	t.Helper()
	engines.On(t, drivers(t), fn)
}

// drivers returns PostgreSQL with each driver.
func drivers(t *testing.T) []engines.Engine {
	t.Helper()
	return append(enginesNamed(t, "postgres", "postgres-pq"), engines.PgxDefault())
}

// with returns address with one more setting.
func with(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

// A host's transaction whose snapshot is older than the writes of the last holder of the lock gets neither the lock nor
// the rows. A transaction that has read nothing yet gets both.
func TestPostgresOldSnapshot(t *testing.T) {
	onLibraries(t, drivers(t), func(t *testing.T, e engines.Engine, lib library) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("a"), record("b")))
		change := func() { // under the lock, as the service does
			is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Lock(ctx, "k"))
				r, err := tx.Get(ctx, "a")
				is.NoErr(err)
				return tx.Update(ctx, r)
			}))
		}
		for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
			for name, call := range map[string]func(*bunstore.Store) error{
				"Lock": func(in *bunstore.Store) error { return in.Lock(t.Context(), "k") },
				"ForUpdate": func(in *bunstore.Store) error {
					_, err := in.List(t.Context(), storage.Query{Filter: storage.Filter{IDs: []string{"a", "b"}}, ForUpdate: true})
					return err
				},
				"Update": func(in *bunstore.Store) error { return in.Update(t.Context(), record("a"), record("b")) },
				"Insert": func(in *bunstore.Store) error { return in.Insert(t.Context(), record("new")) },
			} {
				t.Run(fmt.Sprint(name, " ", level), func(t *testing.T) {
					is := is.New(t)
					begin := func() (*bunstore.Store, hostTx) {
						tx, err := lib.begin(t.Context(), t, db, &sql.TxOptions{Isolation: level})
						is.NoErr(err)
						return tx.join(s), tx
					}
					in, tx := begin()
					is.NoErr(in.Lock(t.Context(), "k")) // first of all: it sees everything
					is.NoErr(tx.Rollback())

					in, tx = begin()
					defer func() { _ = tx.Rollback() }()
					count(t, in) // takes the snapshot
					change()
					if name == "Insert" {
						is.NoErr(s.Insert(t.Context(), record("new")))
						defer func() { _, _ = s.Delete(t.Context(), "new") }()
					}
					is.True(errors.Is(call(in), storage.ErrAborted))
					_, err := in.Count(t.Context(), storage.Filter{})
					is.True(errors.Is(err, storage.ErrAborted)) // it stays aborted
				})
			}
		}
	})
}

// The number of seats is exact in a host's transaction at every isolation level: they are counted under Lock, or the
// transaction is aborted.
func TestPostgresSeatsInHostsTransactions(t *testing.T) {
	onLibraries(t, drivers(t), func(t *testing.T, e engines.Engine, lib library) {
		for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
			t.Run(level.String(), func(t *testing.T) {
				is := is.New(t)
				db := e.Open(t)
				s := newStore(t, db)
				const seats = 5
				full := errors.New("full")
				taken := atOnce(t, 12, full, func(i int) error {
					for {
						opts := &sql.TxOptions{Isolation: level}
						err := lib.runInTx(t.Context(), t, db, opts, func(ctx context.Context, tx hostTx) error {
							in := tx.join(s)
							if i%2 == 0 { // a transaction that has read before may have an old snapshot
								if _, err := in.Count(ctx, storage.Filter{}); err != nil {
									return err
								}
							}
							if err := in.Lock(ctx, "o"); err != nil {
								return err
							}
							n, err := in.Count(ctx, storage.Filter{OrganizationID: "o"})
							if err != nil {
								return err
							}
							if n >= seats {
								return full
							}
							return in.Insert(ctx, record(fmt.Sprint(i)))
						})
						if !errors.Is(err, storage.ErrAborted) && !strings.Contains(fmt.Sprint(err), "40001") {
							return err
						}
					}
				})
				is.Equal(taken, seats)
				is.Equal(count(t, s), seats)
			})
		}
	})
}

// If the context of a statement ends, the statement may still complete within a short time. Only its nested transaction
// is rolled back.
func TestPostgresCancelledInFlight(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			for _, statement := range []string{"INSERT", "SELECT"} {
				inner, cancel := context.WithCancel(ctx)
				err := tx.RunInTx(inner, func(ctx context.Context, tx storage.Storage) error {
					f.set(statement, nil, 1)
					f.onHit = cancel
					is.NoErr(tx.Insert(ctx, record("lost")))
					if statement == "SELECT" {
						_, err := tx.Get(ctx, "a")
						is.NoErr(err)
					}
					return ctx.Err()
				})
				is.True(errors.Is(err, context.Canceled))
				is.Equal(count(t, tx), 1)
			}
			return tx.Insert(ctx, record("b"))
		}))
		is.Equal(count(t, s), 2)
	})
}

// holding holds a lock and a row until the function it returns is called.
func holding(t *testing.T, s *bunstore.Store) (release func()) {
	t.Helper()
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.RunInTx(context.Background(), func(ctx context.Context, tx storage.Storage) error {
			err := errors.Join(tx.Lock(ctx, "k"), tx.Insert(ctx, record("held")))
			close(held)
			<-free
			return errors.Join(err, errUndo)
		})
	}()
	<-held
	return func() {
		close(free)
		if err := <-done; !errors.Is(err, errUndo) || errors.Is(err, storage.ErrAborted) {
			t.Error(err)
		}
	}
}

// A call that waits for a lock stops waiting when its context ends. Its connection is closed, and the whole transaction
// is rolled back with it. The error says so.
func TestPostgresCancelledWhileWaiting(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		release := holding(t, s)
		for name, call := range map[string]func(context.Context, storage.Storage) error{
			"Lock":   func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "k") },
			"Insert": func(ctx context.Context, tx storage.Storage) error { return tx.Insert(ctx, record("held")) },
		} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				began, runs := time.Now(), 0
				err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					runs++
					is.NoErr(tx.Insert(ctx, record(name))) // lib/pq may leave the server waiting, with this insert
					inner, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
					err := tx.RunInTx(inner, func(ctx context.Context, tx storage.Storage) error { return call(ctx, tx) })
					is.True(errors.Is(err, context.DeadlineExceeded))
					is.True(errors.Is(err, storage.ErrAborted))
					everyCall(ctx, tx, func(name string, err error) { is.True(errors.Is(err, storage.ErrAborted)) })
					return nil // the error is ignored
				})
				is.True(errors.Is(err, storage.ErrAborted))
				is.Equal(runs, 1)
				is.True(time.Since(began) < 5*time.Second)
				is.Equal(count(t, s), 0)

				inner, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				is.True(errors.Is(s.Insert(inner, record("held")), context.DeadlineExceeded)) // outside a transaction
				cancel()
			})
		}
		release()
		is.Equal(count(t, s), 0) // nothing happens later for a call that has returned
		is.NoErr(s.Insert(t.Context(), record("held")))
	})
}

// With pgx set to send cancel requests to the server, the connection stays, and only the nested transaction is rolled
// back.
func TestPostgresCancelRequest(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "postgres")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		address := e.New(t)
		s := newStore(t, e.Connect(t, address))
		cfg, err := pgx.ParseConfig(address)
		is.NoErr(err)
		cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: time.Minute}
		}
		db := bun.NewDB(stdlib.OpenDB(*cfg), pgdialect.New())
		defer func() { _ = db.Close() }()
		asking, err := bunstore.New(db, configFor(db))
		is.NoErr(err)
		release := holding(t, s)
		is.NoErr(asking.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			inner, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			err := tx.RunInTx(inner, func(ctx context.Context, tx storage.Storage) error {
				is.NoErr(tx.Insert(ctx, record("lost")))
				return tx.Lock(ctx, "k")
			})
			is.True(errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, storage.ErrAborted))
			return tx.Insert(ctx, record("b"))
		}))
		release()
		is.Equal(count(t, s), 2)
	})
}

// A failed statement makes its nested transaction unusable, whichever handle it ran on. Nothing of that transaction is
// committed, even if fn ignores the error. No other transaction is affected.
func TestPostgresFailedStatement(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		f := &scripted{}
		s := newStore(t, e.Faulty(t, e.New(t), f.fault))
		refused := &pgconn.PgError{Code: "42501", Message: "permission denied"}
		swallow := func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("lost")))
			f.set("INSERT", refused, 1)
			is.True(errors.Is(tx.Insert(ctx, record("more")), refused))
			_, err := tx.Get(ctx, "a")
			is.True(errors.Is(err, refused) && strings.Contains(err.Error(), "rolled back"))
			return nil
		}
		host := func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("lost")))
			_, err := bunstore.DB(tx).ExecContext(ctx, "SELECT no_such_column")
			is.True(err != nil)
			return nil
		}
		is.True(errors.Is(s.RunInTx(t.Context(), swallow), refused))
		is.Equal(count(t, s), 0)
		plain := newStore(t, e.Connect(t, e.New(t)))
		is.True(plain.RunInTx(t.Context(), host) != nil)
		is.Equal(count(t, plain), 0)

		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			is.True(errors.Is(tx.RunInTx(ctx, swallow), refused))
			return tx.Insert(ctx, record("b"))
		}))
		is.Equal(count(t, s), 2)
	})
}

// A transaction that the server ends returns ErrAborted and is not retried; at COMMIT the error is ErrOutcomeUnknown.
func TestPostgresLostConnection(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		for _, at := range []string{"a statement", "COMMIT", "nothing"} {
			runs := 0
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				runs++
				is.NoErr(tx.Insert(ctx, record("lost")))
				var pid int
				is.NoErr(bunstore.DB(tx).QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid))
				if at != "nothing" {
					var gone bool // waits until the connection is gone
					is.NoErr(db.QueryRowContext(ctx, "SELECT pg_terminate_backend(?, 10000)", pid).Scan(&gone))
					is.True(gone)
				}
				if at == "a statement" {
					err := tx.Insert(ctx, record("more"))
					is.True(errors.Is(err, storage.ErrAborted))
				}
				return nil
			})
			is.Equal(runs, 1)
			switch at {
			case "a statement":
				is.True(errors.Is(err, storage.ErrAborted) && !errors.Is(err, storage.ErrOutcomeUnknown))
			case "COMMIT":
				// With lib/pq the Store first checks whether the transaction is usable, and so finds out before COMMIT.
				is.True(errors.Is(err, storage.ErrOutcomeUnknown) ||
					e.Name == "postgres-pq" && errors.Is(err, storage.ErrAborted))
			default:
				is.NoErr(err)
			}
		}
		is.Equal(count(t, s), 1)
	})
}

// A transaction that the engine aborts is retried, whether at a statement or at COMMIT.
func TestPostgresRetry(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		for _, code := range []string{"40001", "40P01"} {
			for _, statement := range []string{"INSERT", "SELECT", "COMMIT", "SAVEPOINT"} {
				t.Run(code+" at "+statement, func(t *testing.T) {
					is := is.New(t)
					f := &scripted{}
					s := newStore(t, e.Faulty(t, e.New(t), f.fault))
					runs := 0
					f.set(statement, &pgconn.PgError{Code: code}, 2)
					is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
						runs++
						_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
							_, _ = tx.Get(ctx, "a")
							return nil
						})
						_ = tx.Insert(ctx, record("a"))
						return nil
					}))
					is.Equal(runs, 3)
					is.Equal(count(t, s), 1)
				})
			}
		}
	})
}

// Two transactions that take two locks in opposite order both succeed.
func TestPostgresDeadlock(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "postgres")}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		s := newStore(t, e.Open(t))
		var both sync.WaitGroup
		both.Add(2)
		keys := []string{"a", "b"}
		is.Equal(atOnce(t, 2, errUndo, func(i int) error {
			first := true
			return s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Lock(ctx, keys[i]); err != nil {
					return err
				}
				if first { // both hold one lock
					first = false
					both.Done()
					both.Wait()
				}
				if err := tx.Lock(ctx, keys[1-i]); err != nil {
					return err
				}
				return tx.Insert(ctx, record(fmt.Sprint(i)))
			})
		}), 2)
		is.Equal(count(t, s), 2)
	})
}

// Literals are not written if the settings make them unsafe, and the error says how to fix it.
func TestPostgresUnsafeConnection(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		for _, c := range []struct{ name, value string }{
			{"standard_conforming_strings", "off"}, {"client_encoding", "LATIN1"},
		} {
			t.Run(c.name, func(t *testing.T) {
				is := is.New(t)
				address := e.New(t)
				newStore(t, e.Connect(t, address))
				db := e.Connect(t, address)
				// Settings are made by a statement, because drivers refuse some of them in a DSN.
				db.SetMaxOpenConns(1)
				_, err := db.ExecContext(t.Context(), "SET "+c.name+" = '"+c.value+"'")
				is.NoErr(err)
				s, err := bunstore.New(db, configFor(db))
				is.NoErr(err)
				refused := func(name string, err error) {
					t.Helper()
					text := fmt.Sprint(err) // pgx itself refuses simple queries with these settings
					if !strings.Contains(text, c.name) || e.Name != "postgres" && !strings.Contains(text, "ALTER ROLE") {
						t.Errorf("%s: %v", name, err)
					}
				}
				refused("Check", s.Check(t.Context()))
				refused("Migrate", s.Migrate(t.Context()))
				is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					everyCall(ctx, tx, func(name string, err error) {
						if name != "Insert of two" && name != "Update of two" && name != "RunInTx" {
							refused(name, err)
						}
					})
					return nil
				}))
				for _, lib := range libraries(e) {
					tx, err := lib.begin(t.Context(), t, db, nil)
					is.NoErr(err)
					if lib == withPgx { // it is on another connection
						_, err := tx.ExecContext(t.Context(), "SET "+c.name+" = '"+c.value+"'")
						is.NoErr(err)
					}
					refused("in the host's, with "+string(lib), tx.join(s).Insert(t.Context(), record(`\'`)))
					is.NoErr(tx.Rollback())
				}
			})
		}
	})
}

// Check refuses a schema that Migrate would not have created.
func TestPostgresCheckRefuses(t *testing.T) {
	for _, c := range []struct{ damage, names, do string }{
		{`ALTER TABLE organization_invitations ALTER COLUMN email_key TYPE text COLLATE "default"`,
			"organization_invitations.email_key", "ALTER TABLE"},
		{`ALTER TABLE organization_invitation_locks ALTER COLUMN k TYPE text COLLATE "en-x-icu"`,
			"organization_invitation_locks.k", "ALTER TABLE"},
		{"DROP INDEX organization_invitations_slot; CREATE INDEX organization_invitations_slot " +
			"ON organization_invitations (organization_id, pending_key)", "organization_invitations_slot", "Migrations"},
	} {
		t.Run(c.names, func(t *testing.T) {
			engines.On(t, []engines.Engine{engines.Named(t, "postgres")}, func(t *testing.T, e engines.Engine) {
				is := is.New(t)
				db := e.Open(t)
				s := newStore(t, db)
				_, err := db.ExecContext(t.Context(), c.damage)
				is.NoErr(err)
				for _, err := range []error{s.Check(t.Context()), s.Migrate(t.Context())} {
					is.True(err != nil && strings.Contains(err.Error(), c.names) && strings.Contains(err.Error(), c.do))
				}
			})
		})
	}
}

// readWrite reports whether the driver begins transactions READ WRITE, whatever the server's default is.
func readWrite(e engines.Engine) bool { return e.Name == "postgres-pq" }

// A read-only server says so, and can be read.
func TestPostgresReadOnly(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		if readWrite(e) {
			return
		}
		is := is.New(t)
		address := e.New(t)
		writable := newStore(t, e.Connect(t, address))
		is.NoErr(writable.Insert(t.Context(), record("a")))
		s := newStore(t, e.Connect(t, with(t, address, "default_transaction_read_only", "on"))) // nothing to migrate
		_, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		for _, err := range []error{
			s.Insert(t.Context(), record("b")),
			s.Insert(t.Context(), record("b"), record("c")),
			s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "k") }),
		} {
			is.True(err != nil && strings.Contains(err.Error(), "read-only"))
			is.True(!errors.Is(err, storage.ErrAborted))
		}
		is.Equal(count(t, s), 1)
	})
}

// Times come back unchanged, whatever time zone a connection uses.
func TestPostgresZones(t *testing.T) {
	onPostgres(t, func(t *testing.T, e engines.Engine) {
		address := e.New(t)
		newStore(t, e.Connect(t, address))
		for _, zone := range []string{"America/New_York", "Europe/Berlin", "UTC"} {
			is := is.New(t)
			s := newStore(t, e.Connect(t, with(t, address, "TimeZone", zone)))
			r := record(zone)
			r.CreatedAt = time.Date(2026, 3, 29, 2, 30, 0, 123456000, time.UTC)
			r.ExpiresAt = time.Date(9999, 12, 31, 12, 0, 0, 0, time.UTC)
			r.SentAt = time.Date(1850, 1, 1, 0, 0, 0, 1000, time.UTC)
			is.NoErr(s.Insert(t.Context(), r))
			got, err := s.Get(t.Context(), zone)
			is.NoErr(err)
			is.Equal(got.CreatedAt, r.CreatedAt)
			is.Equal(got.ExpiresAt, r.ExpiresAt)
			is.Equal(got.SentAt, r.SentAt)
		}
	})
}

// A host's transaction may switch standard_conforming_strings off after the connection was found safe. A backslash in a
// plain literal is then an escape: it would be lost, or end the quoted text early.
func TestPostgresHostsBackslashes(t *testing.T) {
	onLibraries(t, drivers(t), func(t *testing.T, e engines.Engine, lib library) {
		is := is.New(t)
		ctx := t.Context()
		db := e.Open(t)
		s := newStore(t, db)
		const injection = `\' OR 1=1 --`
		other := record("other")
		is.NoErr(s.Insert(ctx, other))
		r := record(`a\`)
		r.OrganizationID, r.OrganizationDomainID, r.Role, r.Status = `acme\'`, `\\`, `org:\'`, storage.Pending
		r.EmailAddress, r.EmailKey, r.InviterUserID = `b\'@example.com`, `b\_'@example.com`, injection
		r.RedirectURL, r.ResolvedBy = `https://\x41.example/'`, `\101`
		r.PublicMetadata, r.PrivateMetadata = []byte(`{"a":"\\'\u0041"}`), []byte(`{"\n'":"\\"}`)

		is.NoErr(lib.runInTx(ctx, t, db, nil, func(ctx context.Context, tx hostTx) error {
			_, err := tx.ExecContext(ctx, "SET LOCAL standard_conforming_strings = off; SET LOCAL escape_string_warning = off")
			is.NoErr(err)
			s := tx.join(s)
			if lib == withPgx { // each transaction is checked
				err := s.Lock(ctx, `k\'`)
				is.True(err != nil && strings.Contains(err.Error(), "standard_conforming_strings is off"))
				return nil
			}
			is.NoErr(s.Lock(ctx, `k\'`))
			if e.Name == "postgres" { // pgx can read nothing there with its simple protocol
				err := s.Insert(ctx, r)
				is.True(err != nil && strings.Contains(err.Error(), "standard_conforming_strings"))
				return nil
			}
			is.NoErr(s.Insert(ctx, r, record(`b\`)))
			r.Version = 1
			got, err := s.Get(ctx, r.ID)
			is.NoErr(err)
			is.Equal(got, r)
			for name, f := range map[string]storage.Filter{
				"id": {IDs: []string{r.ID}}, "ids": {IDs: []string{r.ID, `c\`}}, "organization": {OrganizationID: r.OrganizationID},
				"key": {EmailKeys: []string{r.EmailKey}}, "keys": {EmailKeys: []string{r.EmailKey, `\'`}},
				"inviter": {InviterUserID: r.InviterUserID}, "a part": {EmailContains: `b\_'@`},
			} {
				found, err := s.List(ctx, storage.Query{Filter: f})
				is.NoErr(err)
				if len(found) != 1 || found[0].ID != r.ID {
					t.Errorf("%s finds %v", name, found)
				}
				n, err := s.Count(ctx, f)
				is.NoErr(err)
				is.Equal(n, 1)
			}
			again := r
			again.ID = `d\`
			var taken *storage.ExistsError
			is.True(errors.As(s.Insert(ctx, record("free"), again), &taken)) // the slot of that address
			is.Equal(taken.Indexes, []int{1})
			none, err := s.List(ctx, storage.Query{Filter: storage.Filter{OrganizationID: injection}})
			is.NoErr(err)
			is.Equal(len(none), 0)
			after, err := s.List(ctx, storage.Query{
				Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}, After: &storage.Record{EmailKey: r.EmailKey, ID: r.ID},
			})
			is.NoErr(err)
			for _, found := range after {
				is.True(found.ID != r.ID)
			}
			locked, err := s.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{r.ID, `b\`}}, ForUpdate: true})
			is.NoErr(err)
			is.Equal(len(locked), 2)
			r.Role = `\'`
			is.NoErr(s.Update(ctx, r)) // one record
			for i := range locked {
				if locked[i].Role = `\`; locked[i].ID == r.ID {
					locked[i].Version++
				}
			}
			is.NoErr(s.Update(ctx, locked...)) // several records
			n, err := s.Delete(ctx, r.ID, `b\`, `c\'`)
			is.NoErr(err)
			is.Equal(n, 2)
			return nil
		}))
	})
}
