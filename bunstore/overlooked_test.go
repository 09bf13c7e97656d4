package bunstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// A host overlooks errors in a transaction, or ends it. RunInTx returns nil if all of the transaction is stored, and an
// error if nothing is. If the Store cannot know, the error says so.

// told fails the test if the error of a transaction does not match what is stored: all of it, or nothing.
func told(t *testing.T, err error, stored, all int) {
	t.Helper()
	t.Log(err)
	if err == nil && stored != all || err != nil && !errors.Is(err, storage.ErrOutcomeUnknown) && stored != 0 {
		t.Errorf("%d of %d are stored, and the error is %v", stored, all, err)
	}
}

// victims creates the table and the rows that deadlock needs.
func victims(t *testing.T, s *bunstore.Store) {
	t.Helper()
	is := is.New(t)
	_, err := bunstore.DB(s).ExecContext(t.Context(), "CREATE TABLE weights (n INT) ENGINE=InnoDB")
	is.NoErr(err)
	is.NoErr(s.Insert(t.Context(), record("a"), record("b")))
}

// overlook has a deadlock abort the transaction in which run executes the host's statements, and ignores the error.
func overlook(t *testing.T, pool *bun.DB, run func(statement string) error) {
	t.Helper()
	is := is.New(t)
	const update = "UPDATE organization_invitations SET role = 'x' WHERE id = "
	is.NoErr(run(update + "'a'"))
	err := deadlock(t, pool, func() error { return run(update + "'b'") })
	t.Log("overlooked:", err)
}

// A deadlock ends one of the Store's transactions, and the host ignores the error, wherever it occurs.
func TestDeadlockOverlooked(t *testing.T) {
	for _, how := range []string{"bun.Tx", "bun.Conn", "rows.Err", "QueryRow", "sql.Tx", "sql.Stmt"} {
		t.Run(how, func(t *testing.T) {
			_, _, db := mariadb(t)
			is := is.New(t)
			s := newStore(t, db)
			victims(t, s)
			on := s
			if how == "bun.Conn" {
				conn, err := db.Conn(t.Context())
				is.NoErr(err)
				defer func() { _ = conn.Close() }()
				on, err = bunstore.New(conn, configFor(conn))
				is.NoErr(err)
			}
			runs := 0
			err := on.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record("c")); err != nil {
					return err
				}
				if runs++; runs == 1 {
					b := bunstore.DB(tx).(bun.Tx)
					overlook(t, db, func(statement string) error {
						query := strings.Replace(statement, "UPDATE organization_invitations SET role = 'x'",
							"SELECT version FROM organization_invitations", 1) + " FOR UPDATE"
						switch how {
						case "rows.Err":
							rows, err := b.QueryContext(ctx, query)
							if err != nil {
								return err
							}
							for rows.Next() {
							}
							_ = rows.Close()
							return rows.Err()
						case "QueryRow":
							version := 0
							return b.QueryRowContext(ctx, query).Scan(&version)
						case "sql.Tx":
							_, err := bunstore.SQL(tx).ExecContext(ctx, statement)
							return err
						case "sql.Stmt":
							stmt, err := bunstore.SQL(tx).PrepareContext(ctx, statement)
							if err != nil {
								return err
							}
							_, err = stmt.ExecContext(ctx)
							return err
						}
						_, err := b.ExecContext(ctx, statement)
						return err
					})
				}
				return tx.Insert(ctx, record("d"))
			})
			told(t, err, count(t, s)-2, 2)
			unseen := how == "bun.Conn" || strings.HasPrefix(how, "sql.")
			is.Equal(err != nil, unseen) // if the Store knows that nothing else was written, it retries
			is.Equal(db.Stats().InUse > 0, how == "bun.Conn")
		})
	}
}

// The same in a host's transaction, where the Store does not see the results of the host's statements.
func TestDeadlockOverlookedInHostsTx(t *testing.T) {
	for _, callback := range []string{"AllowEmail", "Join"} {
		for _, lib := range []library{withBun, withSQL} {
			t.Run(callback+" with "+string(lib), func(t *testing.T) {
				_, _, db := mariadb(t)
				h := build(t, db, invitation.Config{})
				victims(t, h.store)
				inv := h.invite(t, "u1@example.com")
				swallow := func(ctx context.Context, tx storage.Storage, called string) error {
					if called == callback {
						overlook(t, db, func(statement string) error {
							if lib == withSQL {
								_, err := bunstore.SQL(tx).ExecContext(ctx, statement)
								return err
							}
							_, err := bunstore.DB(tx).ExecContext(ctx, statement)
							return err
						})
					}
					return nil
				}
				allow := func(ctx context.Context, tx storage.Storage, _ invitation.AllowEmailRequest) error {
					return swallow(ctx, tx, "AllowEmail")
				}
				svc := h.hook(t, invitation.Config{AllowEmail: allow}, swallow)
				err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
					in := svc.WithStorage(tx.join(h.store))
					if callback == "Join" {
						_, err := in.Accept(ctx, accept(inv, "u1"))
						return err
					}
					_, err := in.Create(ctx, "acme", invitation.CreateParams{
						EmailAddress: "u2@example.com", Role: invitation.RoleMember})
					return err
				})
				h.is.True(err != nil)
				told(t, err, count(t, h.store)-3, 1)
				told(t, err, h.members(t)-1, 1)
			})
		}
	}
}

// SQLite may roll the whole transaction back when a statement fails. Later statements do not run outside the
// transaction.
func TestSQLiteRolledBackBehindUs(t *testing.T) {
	type handle interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	fails := map[string]func(ctx context.Context, db handle) error{
		"or rollback": func(ctx context.Context, db handle) error {
			_, err := db.ExecContext(ctx, "INSERT OR ROLLBACK INTO big VALUES (1)")
			return err
		},
		"interrupted": func(ctx context.Context, db handle) error {
			ctx, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
			defer cancel()
			_, err := db.ExecContext(ctx, "INSERT INTO big WITH RECURSIVE n (i) AS "+
				"(SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT i FROM n")
			return err
		},
	}
	for _, engine := range []string{"sqlite", "sqlite-plain", "sqlite-memory"} {
		for how, fail := range fails {
			for _, c := range []struct{ nested, plain bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				t.Run(fmt.Sprint(engine, " ", how, " nested ", c.nested, " on sql.Tx ", c.plain), func(t *testing.T) {
					is := is.New(t)
					db := engines.Named(t, engine).Open(t)
					s := newStore(t, db)
					for _, q := range []string{"CREATE TABLE big (n INTEGER PRIMARY KEY)", "INSERT INTO big VALUES (1)"} {
						_, err := db.ExecContext(t.Context(), q)
						is.NoErr(err)
					}
					body := func(ctx context.Context, tx storage.Storage) error {
						var db handle
						if c.plain { // and nothing else has lent a handle
							db = bunstore.SQL(tx)
						} else {
							db = bunstore.DB(tx)
						}
						is.True(fail(ctx, db) != nil) // the host ignores the error
						return tx.Insert(ctx, record("b"))
					}
					err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
						if err := tx.Insert(ctx, record("a")); err != nil {
							return err
						}
						if c.nested {
							return tx.RunInTx(ctx, body)
						}
						return body(ctx, tx)
					})
					is.True(err != nil)
					told(t, err, count(t, s), 2)
					is.Equal(db.Stats().InUse, 0)
				})
			}
		}
	}
}

// A callback commits or rolls back by itself. The Store cannot undo that, but its error does not misreport it.
func TestCallbackEndsTransaction(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		db := e.Open(t)
		s := newStore(t, db)
		for _, end := range []string{"Commit", "Rollback", "COMMIT", "ROLLBACK", "Commit of sql.Tx", "Rollback of sql.Tx"} {
			for _, nested := range []bool{false, true} {
				for _, result := range []error{nil, errUndo} {
					if end == "COMMIT" && !nested && result != nil && strings.HasPrefix(e.Name, "postgres") {
						continue // ROLLBACK does not fail there, so the error stays: the host broke the rule
					}
					t.Run(fmt.Sprint(end, " nested ", nested, " ", result), func(t *testing.T) {
						is := is.New(t)
						finish := func(ctx context.Context, tx storage.Storage) error {
							switch end {
							case "Commit":
								_ = bunstore.DB(tx).(bun.Tx).Commit()
							case "Rollback":
								_ = bunstore.DB(tx).(bun.Tx).Rollback()
							case "Commit of sql.Tx":
								_ = bunstore.SQL(tx).(*sql.Tx).Commit()
							case "Rollback of sql.Tx":
								_ = bunstore.SQL(tx).(*sql.Tx).Rollback()
							default:
								_, _ = bunstore.DB(tx).ExecContext(ctx, end)
							}
							return result
						}
						runs := 0
						err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
							if runs++; runs > 1 {
								return nil
							}
							if err := tx.Insert(ctx, record("a")); err != nil {
								return err
							}
							if nested {
								return tx.RunInTx(ctx, finish)
							}
							return finish(ctx, tx)
						})
						told(t, err, count(t, s), 1)
						is.Equal(db.Stats().InUse, 0)
						_, err = s.Delete(t.Context(), "a")
						is.NoErr(err)
					})
				}
			}
		}
	})
}

// MariaDB commits before it creates a table. There, too, the error is true.
func TestCallbackCreatesTable(t *testing.T) {
	_, _, db := mariadb(t)
	h := build(t, db, invitation.Config{})
	create := func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error {
		_, err := bunstore.DB(tx).ExecContext(ctx, "CREATE TABLE IF NOT EXISTS jobs (n INT)")
		return err
	}
	svc := h.hook(t, invitation.Config{OnEvents: create},
		func(context.Context, storage.Storage, string) error { return nil })
	_, err := svc.Create(t.Context(), "acme", invitation.CreateParams{
		EmailAddress: "u1@example.com", Role: invitation.RoleMember})
	told(t, err, count(t, h.store), 1)
}

// traced wraps a driver as a tracing library does: it implements the interfaces of database/sql/driver, and nothing
// else.
type traced struct{ driver.Connector }

func (c traced) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return tracedConn{conn}, nil
}

type tracedConn struct{ driver.Conn }

func (c tracedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c tracedConn) ExecContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, a)
}

func (c tracedConn) QueryContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, a)
}

// A statement fails and the host ignores the error. On PostgreSQL COMMIT then rolls back, and not every driver reports
// it. A wrapper hides which driver it is.
func TestFailureOverlookedBehindWrapper(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "postgres-pq"),
		engines.Named(t, "mariadb"), engines.Named(t, "sqlite")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector { return traced{c} })
		s := newStore(t, db)
		err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			if err := tx.Insert(ctx, record("a")); err != nil {
				return err
			}
			_, failed := bunstore.DB(tx).ExecContext(ctx, "SELECT 1 FROM nowhere")
			is.True(failed != nil)
			return nil
		})
		is.Equal(err != nil, strings.HasPrefix(e.Name, "postgres"))
		told(t, err, count(t, s), 1)
	})
}

// A host forgets to close rows, whether it has read all of them or not. A refused COMMIT still fails, and no later
// statement gets the answer of an earlier one.
func TestRowsLeftOpenAtCommit(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "postgres-pq")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		h := build(t, e.Open(t), invitation.Config{})
		for _, statement := range []string{"CREATE TABLE parent (id INT PRIMARY KEY)",
			"CREATE TABLE child (p INT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"} {
			_, err := h.db.ExecContext(t.Context(), statement)
			h.is.NoErr(err)
		}
		for _, nested := range []bool{false, true} {
			for _, refused := range []bool{false, true} {
				for _, query := range []string{"SELECT id FROM host_users LIMIT 1", "SELECT id FROM host_users WHERE 1 = 0"} {
					body := func(ctx context.Context, tx storage.Storage) error {
						if refused {
							if _, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO child VALUES (1)"); err != nil {
								return err
							}
						}
						rows, err := bunstore.DB(tx).QueryContext(ctx, query)
						if err != nil {
							return err
						}
						if strings.HasSuffix(query, "LIMIT 1") {
							rows.Next()
						}
						return nil
					}
					err := h.store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
						if err := tx.Insert(ctx, record("a")); err != nil {
							return err
						}
						if nested {
							return tx.RunInTx(ctx, body)
						}
						return body(ctx, tx)
					})
					h.is.True(!refused || err != nil)
					told(t, err, count(t, h.store), 1)
					for i := range 20 {
						got := -1
						h.is.NoErr(h.db.NewRaw("SELECT ?", i).Scan(t.Context(), &got))
						h.is.Equal(got, i)
					}
					_, err = h.store.Delete(t.Context(), "a")
					h.is.NoErr(err)
				}
			}
		}
	})
}

// A callback that leaves rows open makes the operation neither hang nor return a wrong result.
func TestRowsLeftOpenInCallback(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "sqlite"), engines.Named(t, "sqlite-memory"),
		engines.Named(t, "postgres"), engines.Named(t, "postgres-pq"), engines.Named(t, "mariadb")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		for _, method := range []string{"MemberEmails", "AllowEmail", "Join", "OnEvents"} {
			t.Run(method, func(t *testing.T) {
				h := build(t, e.Open(t), invitation.Config{})
				inv := h.invite(t, "u1@example.com")
				open := func(ctx context.Context, tx storage.Storage, called string) error {
					if called != method {
						return nil
					}
					rows, err := bunstore.DB(tx).QueryContext(ctx, "SELECT id FROM host_users")
					if err == nil {
						rows.Next()
					}
					return err
				}
				svc := h.hook(t, invitation.Config{
					AllowEmail: func(ctx context.Context, tx storage.Storage, _ invitation.AllowEmailRequest) error {
						return open(ctx, tx, "AllowEmail")
					},
					OnEvents: func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error {
						return open(ctx, tx, "OnEvents")
					},
				}, open)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				var err error
				if method == "Join" {
					_, err = svc.Accept(ctx, accept(inv, "u1"))
					told(t, err, h.members(t)-1, 1)
				} else {
					_, err = svc.Create(ctx, "acme", invitation.CreateParams{
						EmailAddress: "u2@example.com", Role: invitation.RoleMember})
					told(t, err, count(t, h.store)-1, 1)
				}
				h.is.True(time.Since(began) < 8*time.Second)
				h.is.Equal(h.db.Stats().InUse, 0)
				for range 12 { // every connection of the pool
					_, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
					h.is.NoErr(err)
				}
			})
		}
	})
}

// A callback continues after the end of its context for longer than the Store waits: everything is rolled back, and the
// error gives the reason.
func TestContextIgnored(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "sqlite"), engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("before")))
		ctx, cancel := context.WithCancel(t.Context())
		err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Insert(ctx, record("a")))
			return tx.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error {
				cancel()
				<-time.After(2100 * time.Millisecond)
				_, err := bunstore.DB(tx).ExecContext(t.Context(), "UPDATE organization_invitations SET role = 'late'")
				t.Log("too late:", err)
				return nil
			})
		})
		is.True(errors.Is(err, context.Canceled))
		is.Equal(count(t, s), 1)
		r, err := s.Get(t.Context(), "before")
		is.NoErr(err)
		is.Equal(r.Role, record("before").Role)
		is.NoErr(s.Insert(t.Context(), record("after")))
		is.Equal(db.Stats().InUse, 0)
	})
}
