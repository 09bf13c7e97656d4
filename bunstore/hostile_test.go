package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// victim has the transaction behind exec be given up by a deadlock, and returns the error it got.
func victim(t *testing.T, db *bun.DB, exec func(id int) error) error {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(exec(1))
	other, err := db.BeginTx(ctx, nil)
	must(err)
	defer func() { _ = other.Rollback() }()
	for i := range 30 {
		_, err = other.ExecContext(ctx, "INSERT INTO weights VALUES (?)", i)
		must(err)
	}
	_, err = other.ExecContext(ctx, "UPDATE pairs SET v = v + 1 WHERE id = 2")
	must(err)
	done := make(chan error, 1)
	go func() { done <- exec(2) }()
	time.Sleep(50 * time.Millisecond)
	_, err = other.ExecContext(ctx, "UPDATE pairs SET v = v + 1 WHERE id = 1")
	must(err)
	return <-done
}

func deadlockTables(t *testing.T, db *bun.DB) {
	t.Helper()
	for _, s := range []string{"CREATE TABLE weights (n INT) ENGINE=InnoDB",
		"CREATE TABLE pairs (id INT PRIMARY KEY, v INT) ENGINE=InnoDB", "INSERT INTO pairs VALUES (1, 0), (2, 0)"} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func bump(ctx context.Context, db bun.IDB) func(int) error {
	return func(id int) error {
		_, err := db.ExecContext(ctx, "UPDATE pairs SET v = v + 1 WHERE id = ?", id)
		return err
	}
}

// H1: sign-up in the host's transaction on MariaDB, with a Join that tries a deadlock once more.
func TestHostileJoinRetriesDeadlockInHostsTx(t *testing.T) {
	db := engines.Named(t, "mariadb").Open(t)
	h := build(t, db, invitation.Config{})
	deadlockTables(t, db)
	inv := h.invite(t, "u1@example.com")
	svc := h.hook(t, invitation.Config{}, func(ctx context.Context, tx storage.Storage, called string) error {
		if called != "Join" {
			return nil
		}
		err := victim(t, db, bump(ctx, bunstore.DB(tx)))
		t.Log("the callback's statement:", err)
		return nil // tries again, with the INSERT of Join
	})
	var got error
	err := db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		_, got = svc.WithStorage(h.store.WithTx(tx)).Accept(ctx, accept(inv, "u1"))
		return got
	})
	t.Log("Accept:", got, "| RunInTx:", err)
	if errors.Is(err, invitation.ErrAborted) && h.members(t) != 1 {
		t.Errorf("ErrAborted, nothing was written; but there are %d members", h.members(t))
	}
}

// H2: Create in the host's transaction on MariaDB, AllowEmail makes nothing of a deadlock.
func TestHostileSwallowedDeadlockInHostsTx(t *testing.T) {
	db := engines.Named(t, "mariadb").Open(t)
	h := build(t, db, invitation.Config{})
	deadlockTables(t, db)
	svc := h.hook(t, invitation.Config{AllowEmail: func(ctx context.Context, tx storage.Storage, _, _ string) error {
		t.Log("the callback's statement:", victim(t, db, bump(ctx, bunstore.DB(tx))))
		return nil
	}}, func(context.Context, storage.Storage, string) error { return nil })
	err := db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		_, err := svc.WithStorage(h.store.WithTx(tx)).Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: "u2@example.com", Role: invitation.RoleMember})
		return err
	})
	t.Log("Create:", err)
	page, failed := h.svc.List(t.Context(), "acme", invitation.ListParams{})
	h.is.NoErr(failed)
	if err != nil && !errors.Is(err, invitation.ErrOutcomeUnknown) && page.TotalCount != 0 {
		t.Errorf("%v; but there are %d invitations", err, page.TotalCount)
	}
}

// H3: a transaction of the library's own, the deadlock is swallowed where no hook of bun's sees it, or on a bun.Conn.
func TestHostileSwallowedDeadlockInOwnTx(t *testing.T) {
	for _, how := range []string{"rows.Err", "sql.Tx", "bun.Conn", "QueryRow"} {
		t.Run(how, func(t *testing.T) {
			db := engines.Named(t, "mariadb").Open(t)
			h := build(t, db, invitation.Config{})
			deadlockTables(t, db)
			var on bun.IDB = db
			if how == "bun.Conn" {
				conn, err := db.Conn(t.Context())
				h.is.NoErr(err)
				defer func() { _ = conn.Close() }()
				on = conn
			}
			s, err := bunstore.New(on, nil)
			h.is.NoErr(err)
			runs := 0
			err = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if runs++; runs > 1 {
					return errors.New("stop")
				}
				if err := tx.Insert(ctx, record("a")); err != nil {
					return err
				}
				b := bunstore.DB(tx).(bun.Tx)
				exec := bump(ctx, b)
				switch how {
				case "rows.Err":
					exec = func(id int) error {
						rows, err := b.QueryContext(ctx, "SELECT v FROM pairs WHERE id = ? FOR UPDATE", id)
						if err != nil {
							return fmt.Errorf("at once: %w", err)
						}
						for rows.Next() {
						}
						_ = rows.Close()
						return rows.Err()
					}
				case "QueryRow":
					exec = func(id int) error {
						var v int
						return b.QueryRowContext(ctx, "SELECT v FROM pairs WHERE id = ? FOR UPDATE", id).Scan(&v)
					}
				case "sql.Tx":
					exec = func(id int) error {
						_, err := b.Tx.ExecContext(ctx, fmt.Sprintf("UPDATE pairs SET v = v + 1 WHERE id = %d", id))
						return err
					}
				}
				t.Log("the callback's statement:", victim(t, db, exec))
				return tx.Insert(ctx, record("b"))
			})
			n, failed := newStoreOn(t, db).Count(t.Context(), storage.Filter{})
			h.is.NoErr(failed)
			t.Log("RunInTx:", err, "records:", n)
			if err == nil && n != 2 || err != nil && n != 0 {
				t.Errorf("RunInTx said %v; there are %d of 2 records", err, n)
			}
		})
	}
}

func newStoreOn(t *testing.T, db bun.IDB) *bunstore.Store {
	t.Helper()
	s, err := bunstore.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// H4: on SQLite a statement of the callback's rolls the whole transaction back, and the callback makes nothing of it.
func TestHostileSQLiteRolledBack(t *testing.T) {
	for _, how := range []string{"interrupted", "or rollback"} {
		for _, where := range []string{"top", "level"} {
			t.Run(how+" "+where, func(t *testing.T) {
				db := engines.Named(t, "sqlite").Open(t)
				s := newStore(t, db)
				for _, q := range []string{"CREATE TABLE big (n INTEGER PRIMARY KEY)", "INSERT INTO big VALUES (1)"} {
					if _, err := db.ExecContext(t.Context(), q); err != nil {
						t.Fatal(err)
					}
				}
				fail := func(ctx context.Context, db bun.IDB) error {
					q := "INSERT OR ROLLBACK INTO big VALUES (1)"
					if how == "interrupted" {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond)
						defer cancel()
						q = "INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT i FROM n"
					}
					_, err := db.ExecContext(ctx, q)
					return err
				}
				err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					if err := tx.Insert(ctx, record("a")); err != nil {
						return err
					}
					if where == "level" {
						return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
							t.Log("the callback's statement:", fail(ctx, bunstore.DB(tx)))
							return tx.Insert(ctx, record("b"))
						})
					}
					t.Log("the callback's statement:", fail(ctx, bunstore.DB(tx)))
					return tx.Insert(ctx, record("b"))
				})
				n := count(t, s)
				t.Log("RunInTx:", err, "records:", n)
				if err == nil && n != 2 || err != nil && !errors.Is(err, storage.ErrOutcomeUnknown) && n != 0 {
					t.Errorf("RunInTx said %v; there are %d of 2 records", err, n)
				}
			})
		}
	}
}

// H5: a callback that commits or rolls back by itself.
func TestHostileCallbackEnds(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		for _, end := range []string{"Commit", "Rollback", "COMMIT", "ROLLBACK"} {
			for _, where := range []string{"top", "level"} {
				for _, result := range []error{nil, errors.New("fn's")} {
					t.Run(fmt.Sprint(end, " ", where, " ", result), func(t *testing.T) {
						db := e.Open(t)
						s := newStore(t, db)
						fin := func(ctx context.Context, tx storage.Storage) {
							b := bunstore.DB(tx).(bun.Tx)
							switch end {
							case "Commit":
								_ = b.Commit()
							case "Rollback":
								_ = b.Rollback()
							default:
								_, _ = b.ExecContext(ctx, end)
							}
						}
						runs := 0
						err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
							if runs++; runs > 1 {
								return nil
							}
							if err := tx.Insert(ctx, record("a")); err != nil {
								return err
							}
							if where == "top" {
								fin(ctx, tx)
								return result
							}
							return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
								fin(ctx, tx)
								return result
							})
						})
						n := count(t, s)
						if err == nil && n != 1 || err != nil && !errors.Is(err, storage.ErrOutcomeUnknown) && n != 0 {
							t.Errorf("RunInTx said %v; there are %d of 1 records, %d runs", err, n, runs)
						}
						if db.Stats().InUse != 0 {
							t.Error("a connection leaked")
						}
					})
				}
			}
		}
	})
}
