package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"go.uber.org/goleak"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// plainHost is a Directory in the words of database/sql or pgx.
type plainHost struct {
	lib     library
	dialect dialect.Name
}

// placeholders writes the arguments of query as the database names them.
func (h plainHost) placeholders(query string) string {
	if h.dialect != dialect.PG {
		return query
	}
	for n := 1; strings.Contains(query, "?"); n++ {
		query = strings.Replace(query, "?", fmt.Sprint("$", n), 1)
	}
	return query
}

// texts runs a query with one column.
func (h plainHost) texts(ctx context.Context, tx storage.Storage, query string, args ...any) ([]string, error) {
	if h.lib == withPgx {
		rows, err := pgxtx.Tx(tx).Query(ctx, h.placeholders(query), args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	rows, err := bunstore.SQL(tx).QueryContext(ctx, h.placeholders(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		text := ""
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

// exec returns the number of rows that a statement wrote.
func (h plainHost) exec(ctx context.Context, tx storage.Storage, query string, args ...any) (int64, error) {
	if h.lib == withPgx {
		tag, err := pgxtx.Tx(tx).Exec(ctx, h.placeholders(query), args...)
		return tag.RowsAffected(), err
	}
	res, err := bunstore.SQL(tx).ExecContext(ctx, h.placeholders(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (h plainHost) Role(
	ctx context.Context, tx storage.Storage, organizationID, userID string,
) (invitation.Role, error) {
	roles, err := h.texts(ctx, tx, "SELECT role FROM host_members WHERE organization_id = ? AND user_id = ?",
		organizationID, userID)
	if err == nil && len(roles) == 0 {
		err = invitation.ErrNotMember
	}
	if err != nil {
		return "", err
	}
	return invitation.Role(roles[0]), nil
}

func (h plainHost) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string,
	emails []string) ([]string, error) {
	all, err := h.texts(ctx, tx, "SELECT email FROM host_users WHERE id IN "+
		"(SELECT user_id FROM host_members WHERE organization_id = ?)", organizationID)
	return slices.DeleteFunc(all, func(email string) bool {
		return !slices.Contains(emails, strings.ToLower(email))
	}), err
}

func (h plainHost) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	emails, err := h.texts(ctx, tx, "SELECT email FROM host_users WHERE id = ?", userID)
	if err == nil && len(emails) == 0 {
		err = invitation.ErrNotFound
	}
	return emails, err
}

func (h plainHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	insert := "INSERT INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, ?, '') " +
		"ON CONFLICT DO NOTHING"
	if h.dialect == dialect.MySQL {
		insert = "INSERT IGNORE INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, ?, '')"
	}
	n, err := h.exec(ctx, tx, insert, m.OrganizationID, m.UserID, string(m.Role))
	if err == nil && n == 0 {
		err = invitation.ErrAlreadyMember
	}
	return err
}

// A Directory that works with database/sql or pgx keeps the rules, in the service's transactions and outside of them.
func TestDirectoryOfLibraries(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if lib == withBun {
			t.Skip("see TestDirectory")
		}
		db := e.Open(t)
		store := newStore(t, db)
		createTables(t, db, (*hostUser)(nil), (*hostMember)(nil))
		invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
			return directoryOf(t, store, plainHost{lib, db.Dialect().Name()})
		})
	})
}

// An account, a membership and an invitation are rolled back together and committed together. The Directory uses the
// same library as the host, also in the service's own transactions.
func TestServiceWithLibraries(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		db := e.Open(t)
		h := build(t, db, invitation.Config{})
		host := plainHost{lib, db.Dialect().Name()}
		svc, err := invitation.NewService(h.store, host, &invitation.Config{
			Clock: h.clock, TicketKeys: [][]byte{make([]byte, 32)}, AcceptURL: "https://app.example.com/join"})
		h.is.NoErr(err)
		inv, err := svc.Create(t.Context(), "acme", invitation.CreateParams{
			EmailAddress: "new@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
		h.is.NoErr(err)
		_, err = svc.As("ann").List(t.Context(), "acme", invitation.ListParams{}) // Role is called outside a transaction
		h.is.NoErr(err)
		for _, end := range []error{errUndo, nil} {
			err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
				in := tx.join(h.store)
				_, err := host.exec(ctx, in, "INSERT INTO host_users (id, email) VALUES (?, ?)", "new", "new@example.com")
				h.is.NoErr(err)
				_, err = svc.WithStorage(in).Accept(ctx, accept(inv, "new"))
				h.is.NoErr(err)
				return end
			})
			h.is.Equal(err, end)
			got, err := svc.Get(t.Context(), "acme", inv.ID)
			h.is.NoErr(err)
			users, err := db.NewSelect().Model((*hostUser)(nil)).Where("id = 'new'").Count(t.Context())
			h.is.NoErr(err)
			kept := int64(0)
			if end == nil {
				kept = 1
			}
			h.is.Equal(got.Status == invitation.StatusAccepted, end == nil)
			h.is.Equal(int64(h.members(t)-1), kept)
			h.is.Equal(int64(users), kept)
		}
		other := h.invite(t, "u2@example.com")
		_, err = svc.Accept(t.Context(), accept(other, "u2")) // in a transaction of the service's
		h.is.NoErr(err)
		h.is.Equal(h.members(t), 3)
	})
}

// With one connection, neither the Store nor the service asks the pool for another while the host's transaction has it.
func TestOneConnectionOfHost(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if lib == withPgx {
			t.Skip("see TestOneConnection of pgxtx")
		}
		db := e.Open(t)
		db.SetMaxOpenConns(1)
		h := build(t, db, invitation.Config{})
		host := plainHost{withSQL, db.Dialect().Name()}
		svc, err := invitation.NewService(h.store, host, &invitation.Config{Clock: h.clock, MaxPending: 10,
			TicketKeys: [][]byte{make([]byte, 32)}, AcceptURL: "https://app.example.com/join"})
		h.is.NoErr(err)
		fresh, err := bunstore.New(db, configFor(db)) // has not checked the connection yet
		h.is.NoErr(err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		h.is.NoErr(lib.runInTx(ctx, t, db, nil, func(ctx context.Context, tx hostTx) error {
			in := tx.join(fresh)
			h.is.NoErr(in.Migrate(ctx))
			svc := svc.WithStorage(in)
			inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
				EmailAddress: "u1@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
			h.is.NoErr(err)
			_, err = svc.Accept(ctx, accept(inv, "u1"))
			h.is.NoErr(err)
			_, err = svc.List(ctx, "acme", invitation.ListParams{})
			h.is.NoErr(err)
			everyCall(ctx, tx.join(fresh), func(name string, err error) {
				h.is.True(!errors.Is(err, context.DeadlineExceeded))
			})
			return nil
		}))
		h.is.Equal(h.members(t), 2)
		h.is.Equal(db.Stats().MaxOpenConnections, 1)
	})
}

// WithSQLTx relies on three things of bun: a bun.Tx sends statements to its exported field Tx, it takes the dialect and
// the hooks from the bun.DB on which it was begun, and a bun.DB may be copied. If bun changes one of them, this test
// names it.
func TestAdoptedTx(t *testing.T) {
	is := is.New(t)
	seen := &hook{}
	pool := engines.SQLite(t, engines.File(t), engines.Recommended, 1)
	type named struct{ Value string }
	db := pool.WithQueryHook(seen).WithNamedArg("who", "ann")
	s := newStore(t, db)
	idle := goleak.IgnoreCurrent()
	tx, err := db.DB.BeginTx(t.Context(), nil)
	is.NoErr(err)
	seen.statements = nil
	in := s.WithSQLTx(tx)
	is.Equal(len(seen.statements), 0) // the BEGIN that does nothing is not shown to the hooks
	is.NoErr(in.Insert(t.Context(), record("a")))
	is.Equal(seen.statements, []string{"INSERT INTO"}) // the hooks of the Store's bun.DB see its statements

	adopted := bunstore.DB(in).(bun.Tx)
	is.True(adopted.Tx == tx)                     // bun.Tx still has the *sql.Tx as its field Tx
	is.Equal(adopted.Dialect(), db.Dialect())     // the bun.DB has been copied whole
	is.Equal(adopted.NewRaw("").DB().DB, pool.DB) // and shares the state of the original
	is.True(adopted.NewRaw("").DB() != db)        // without changing it
	one := named{}
	is.NoErr(adopted.NewRaw("SELECT ?who AS value").Scan(t.Context(), &one))
	is.Equal(one.Value, "ann") // its generator too
	version := 0
	is.NoErr(tx.QueryRowContext(t.Context(), "SELECT version FROM organization_invitations").Scan(&version))
	is.Equal(version, 1) // the Store has written in the host's transaction
	is.NoErr(adopted.RunInTx(t.Context(), nil, func(ctx context.Context, nested bun.Tx) error {
		_, err := nested.ExecContext(ctx, "DELETE FROM organization_invitations")
		return err
	})) // bun's own savepoints work
	is.Equal(count(t, in), 0)
	is.NoErr(tx.Rollback())
	goleak.VerifyNone(t, idle) // nothing waits for the transaction that did nothing
}

// SQL returns the handle of database/sql below the one that DB returns, and nil where DB returns nil.
func TestSQL(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, engines.File(t), engines.Recommended, 2)
	s := newStore(t, db)
	is.True(bunstore.SQL(s).(*sql.DB) == db.DB)
	is.True(bunstore.SQL(wrapper{wrapper{s}}).(*sql.DB) == db.DB)
	for _, none := range []storage.Storage{nil, (*bunstore.Store)(nil), wrapper{}, endless{}, struct{ storage.Storage }{s},
		s.WithTx(bun.Tx{}), s.WithSQLTx(nil)} {
		is.True(bunstore.SQL(none) == nil)
		is.True(bunstore.DB(none) == nil)
	}
	conn, err := db.Conn(t.Context())
	is.NoErr(err)
	defer func() { _ = conn.Close() }()
	onConn := newStore(t, conn)
	is.True(bunstore.SQL(onConn).(*sql.Conn) == conn.Conn)
	for _, s := range []*bunstore.Store{s, onConn} { // each of them can join, and so can a Store in a transaction
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			own := bunstore.SQL(wrapper{tx}).(*sql.Tx)
			is.True(own == bunstore.DB(tx).(bun.Tx).Tx)
			for _, again := range []*bunstore.Store{s, tx.(*bunstore.Store), s.WithSQLTx(own)} {
				is.True(bunstore.SQL(again.WithSQLTx(own)).(*sql.Tx) == own)
				_, err := again.WithSQLTx(own).Get(ctx, "a")
				is.True(errors.Is(err, storage.ErrNotFound))
			}
			stmt, err := bunstore.SQL(tx).PrepareContext(ctx, "SELECT ? + 1")
			is.NoErr(err)
			n := 0
			is.NoErr(stmt.QueryRowContext(ctx, 41).Scan(&n))
			is.Equal(n, 42)
			return stmt.Close()
		}))
	}
}

// What the host writes through SQL belongs to the innermost transaction, as with DB.
func TestSQLInNestedTransaction(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		_, err := db.ExecContext(t.Context(), "CREATE TABLE names (name VARCHAR(64))")
		is.NoErr(err)
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			for _, end := range []error{nil, errUndo} {
				err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					is.NoErr(withSQL.write(ctx, wrapper{tx}, fmt.Sprint(end)))
					return end
				})
				is.Equal(err, end)
			}
			return nil
		}))
		names, err := withSQL.names(t.Context(), s)
		is.NoErr(err)
		is.Equal(names, []string{"<nil>"})
	})
}

var dialectName = map[string]string{"sqlite": "sqlite", "postgres": "pg", "mariadb": "mysql"}

// Transactions that cannot be joined: every call says why, nothing is written and nothing panics.
func TestWithSQLTxRefuses(t *testing.T) {
	engines.On(t, enginesNamed(t, "sqlite", "postgres", "mariadb"), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		db := e.Open(t)
		s := newStore(t, db)
		refused := func(in *bunstore.Store, want string) {
			t.Helper()
			everyCall(t.Context(), in, func(name string, err error) {
				if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, storage.ErrAborted) {
					t.Errorf("%s: %v; want %q", name, err, want)
				}
			})
			for _, err := range []error{in.Check(t.Context()), in.Migrate(t.Context())} {
				is.True(err != nil && strings.Contains(err.Error(), want))
			}
			is.Equal(in.Classify(t.Context(), errUndo), errUndo)
		}
		refused(s.WithSQLTx(nil), "WithSQLTx was given no transaction")
		refused(s.WithSQLTx(&sql.Tx{}), "WithSQLTx was given no transaction")
		refused(s.WithTx(bun.Tx{}).WithSQLTx(nil), "WithSQLTx was given no transaction")
		live, err := db.DB.BeginTx(t.Context(), nil)
		is.NoErr(err)
		refused(s.WithTx(bun.Tx{}).WithSQLTx(live), "WithTx was given no transaction")
		is.NoErr(live.Rollback())

		for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := db.DB.BeginTx(t.Context(), nil)
			is.NoErr(err)
			before, used := s.WithSQLTx(tx), s.WithSQLTx(tx)
			is.NoErr(used.Insert(t.Context()))
			is.NoErr(end(tx))
			for _, in := range []*bunstore.Store{before, used, s.WithSQLTx(tx)} {
				is.True(errors.Is(in.Insert(t.Context(), record("x")), sql.ErrTxDone))
				_, err := in.Count(t.Context(), storage.Filter{})
				is.True(errors.Is(err, sql.ErrTxDone))
				is.True(errors.Is(in.RunInTx(t.Context(), nil), sql.ErrTxDone))
			}
		}

		for _, other := range enginesNamed(t, "sqlite", "postgres", "mariadb") { // of another engine
			if other.Name == e.Name {
				continue
			}
			there := other.Open(t)
			theirs := newStore(t, there) // even the tables are there
			for _, call := range []func(in *bunstore.Store) error{
				func(in *bunstore.Store) error { return in.Insert(t.Context(), record("x")) },
				func(in *bunstore.Store) error { return in.Insert(t.Context(), record("x"), record("y")) },
				func(in *bunstore.Store) error { _, err := in.Get(t.Context(), "x"); return err },
				func(in *bunstore.Store) error { return in.Lock(t.Context(), "k") },
				func(in *bunstore.Store) error {
					return in.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
						return tx.Insert(ctx, record("x"))
					})
				},
			} {
				tx, err := there.DB.BeginTx(t.Context(), nil)
				is.NoErr(err)
				err = call(s.WithSQLTx(tx))
				if err == nil || !strings.Contains(err.Error(), "is it really one on "+dialectName[e.Name]+"?") {
					t.Errorf("a transaction on %s: %v", other.Name, err)
				}
				_ = tx.Commit()
				is.Equal(count(t, theirs), 0)
			}
		}

		empty := e.Open(t) // another database
		tx, err := empty.DB.BeginTx(t.Context(), nil)
		is.NoErr(err)
		is.True(s.WithSQLTx(tx).Insert(t.Context(), record("x")) != nil) // there are no tables
		is.NoErr(tx.Rollback())
		is.Equal(count(t, s), 0)
	})
}

// A transaction from another pool on the same database works. Its connection is checked, because its settings may
// differ, but a connection of the Store's own pool is checked only once.
func TestWithSQLTxOfAnotherPool(t *testing.T) {
	settings := map[string]string{"postgres": "SHOW standard_conforming_strings", "sqlite": "SELECT sqlite_version()",
		"mariadb": "SHOW VARIABLES LIKE 'wsrep_on'"}
	engines.On(t, enginesNamed(t, "sqlite", "postgres", "mariadb"), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		address := e.New(t)
		seen := &queries{}
		db := e.Connect(t, address).WithQueryHook(seen)
		s := newStore(t, db)
		for _, c := range []struct {
			from   *bun.DB
			checks int
		}{{db, 0}, {e.Connect(t, address), 1}} {
			for range 2 {
				tx, err := c.from.DB.BeginTx(t.Context(), nil)
				is.NoErr(err)
				seen.list = nil
				in := s.WithSQLTx(tx)
				is.NoErr(in.Insert(t.Context(), record("a")))
				is.NoErr(in.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					_, err := tx.Delete(ctx, "a")
					return err
				}))
				is.NoErr(tx.Commit())
				checks := 0
				for _, statement := range seen.list {
					if statement == settings[e.Name] {
						checks++
					}
				}
				is.Equal(checks, c.checks)
			}
		}
		if e.Name == "mariadb" { // a pool on which literals are not safe
			tx, err := e.Connect(t, address+"&sql_mode=%27NO_BACKSLASH_ESCAPES%27").DB.BeginTx(t.Context(), nil)
			is.NoErr(err)
			err = s.WithSQLTx(tx).Insert(t.Context(), record("a"))
			is.True(err != nil && strings.Contains(err.Error(), "NO_BACKSLASH_ESCAPES"))
			is.NoErr(tx.Rollback())
		}
	})
}

// queries is a query hook that keeps the statements.
type queries struct{ list []string }

func (s *queries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (s *queries) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	s.list = append(s.list, e.Query)
}
