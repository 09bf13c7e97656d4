package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// mariadb returns a database on the server and a handle on it.
func mariadb(t *testing.T) (e engines.Engine, address string, db *bun.DB) {
	t.Helper()
	t.Parallel()
	e = engines.Named(t, "mariadb")
	address = e.New(t)
	return e, address, e.Connect(t, address)
}

// A connection with settings that would corrupt values is refused before anything is sent on it. The error says how to
// fix it.
func TestMySQLRefusesConnection(t *testing.T) {
	e, address, db := mariadb(t)
	s := newStore(t, db)
	const strict = "STRICT_TRANS_TABLES"
	for _, c := range []struct{ option, names, do string }{
		{"sql_mode='" + strict + ",NO_BACKSLASH_ESCAPES'", "NO_BACKSLASH_ESCAPES", "sql_mode"},
		{"sql_mode=''", "not strict", strict},
		{"loc=Europe%2FBerlin", "zone", "loc=UTC"},
		{"charset=latin1", "latin1", "charset=utf8mb4"},
		{"autocommit=0", "autocommit", "autocommit=0"},
	} {
		t.Run(c.option, func(t *testing.T) {
			is := is.New(t)
			option := strings.NewReplacer("'", "%27", ",", "%2C").Replace(c.option)
			other, err := bunstore.New(e.Connect(t, address+"&"+option), nil)
			is.NoErr(err)
			check := func(name string, err error) {
				if err == nil || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), c.do) {
					t.Errorf("%s: %v", name, err)
				}
			}
			check("Check", other.Check(t.Context()))
			check("Migrate", other.Migrate(t.Context()))
			check("Insert", other.Insert(t.Context(), record("a")))
			_, err = other.Count(t.Context(), storage.Filter{OrganizationID: `\' OR 1 = 1 -- `})
			check("Count", err)
			check("RunInTx", other.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				return tx.Insert(ctx, record("a"))
			}))
			is.Equal(count(t, s), 0)
		})
	}
	// A time zone that affects nothing does no harm.
	is := is.New(t)
	text := strings.Replace(address, "parseTime=true", "parseTime=false&loc=Europe%2FBerlin", 1)
	other := newStore(t, e.Connect(t, text))
	is.NoErr(other.Insert(t.Context(), record("a")))
	r, err := s.Get(t.Context(), "a")
	is.NoErr(err)
	is.Equal(r.CreatedAt, now)
}

// Tables that were created differently are refused. With column lengths that are not in bytes, the server would index
// only a prefix of the column, and sort every page; our indexes cover whole columns.
func TestMySQLRefusesTables(t *testing.T) {
	is := is.New(t)
	e := engines.Named(t, "mariadb")
	for _, c := range []struct{ damage, names string }{
		{"MODIFY email_key VARCHAR(320) COLLATE utf8mb4_bin NOT NULL", "organization_invitations.email_key"},
		{"DROP KEY organization_invitations_org, " +
			"ADD KEY organization_invitations_org (organization_id, email_key(20))",
			"organization_invitations_org on email_key"},
		{"ENGINE=MyISAM", "InnoDB"},
		{"DROP KEY organization_invitations_due", "organization_invitations_due"},
	} {
		t.Run(c.names, func(t *testing.T) {
			db := e.Open(t)
			s := newStore(t, db)
			n, err := db.NewRaw("SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() " +
				"AND sub_part IS NOT NULL").Exec(t.Context())
			is.NoErr(err)
			rows, err := n.RowsAffected()
			is.NoErr(err)
			is.Equal(rows, int64(0))
			if c.names == "InnoDB" { // MyISAM allows only shorter keys
				for _, name := range []string{"org", "org_state", "email", "slot"} {
					_, err := db.ExecContext(t.Context(),
						"ALTER TABLE organization_invitations DROP KEY organization_invitations_"+name)
					is.NoErr(err)
				}
				_, err := db.ExecContext(t.Context(), "ALTER TABLE organization_invitations "+
					"ADD KEY organization_invitations_org (id), ADD KEY organization_invitations_org_state (id), "+
					"ADD KEY organization_invitations_email (id), ADD KEY organization_invitations_slot (id)")
				is.NoErr(err)
			}
			_, err = db.ExecContext(t.Context(), "ALTER TABLE organization_invitations "+c.damage)
			is.NoErr(err)
			for _, err := range []error{s.Check(t.Context()), s.Migrate(t.Context())} {
				is.True(err != nil && strings.Contains(err.Error(), c.names) && strings.Contains(err.Error(), "Migrations"))
			}
		})
	}
}

// deadlock makes tx wait for row b while it holds row a, which other then requests. The server aborts tx, because other
// has written more. deadlock returns the error that tx got.
func deadlock(t *testing.T, db *bun.DB, tx func() error) error {
	t.Helper()
	is := is.New(t)
	ctx := t.Context()
	other, err := db.BeginTx(ctx, nil)
	is.NoErr(err)
	defer func() { _ = other.Rollback() }()
	for i := range 20 {
		_, err = other.ExecContext(ctx, "INSERT INTO weights VALUES (?)", i)
		is.NoErr(err)
	}
	_, err = other.ExecContext(ctx, "UPDATE organization_invitations SET role = 'other' WHERE id = 'b'")
	is.NoErr(err)
	done := make(chan error, 1)
	go func() { done <- tx() }()
	_, err = other.ExecContext(ctx, "UPDATE organization_invitations SET role = 'other' WHERE id = 'a'")
	is.NoErr(err)
	return <-done
}

// A deadlock ends the whole transaction. A caller that ignores the error cannot commit the rest, and no later
// statement, of the store or of the host, commits by itself.
func TestMySQLDeadlock(t *testing.T) {
	_, _, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	for _, table := range []string{"weights", "notes"} {
		_, err := db.ExecContext(t.Context(), "CREATE TABLE "+table+" (n INT) ENGINE=InnoDB")
		is.NoErr(err)
	}
	is.NoErr(s.Insert(t.Context(), record("a"), record("b")))
	hostUpdate := func(ctx context.Context, db bun.IDB, id string) error {
		_, err := db.ExecContext(ctx, "UPDATE organization_invitations SET role = 'x' WHERE id = ?", id)
		return err
	}
	nothingLeft := func() {
		t.Helper()
		var n int
		is.NoErr(db.NewRaw("SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM organization_invitations "+
			"WHERE role = 'x' OR id NOT IN ('a', 'b'))").Scan(t.Context(), &n))
		is.Equal(n, 0)
	}
	afterwards := func(ctx context.Context, tx storage.Storage) {
		_, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO notes VALUES (1)")
		is.True(errors.Is(err, sql.ErrTxDone)) // otherwise it would commit
		everyCall(ctx, tx, func(name string, err error) { is.True(errors.Is(err, storage.ErrAborted)) })
	}
	for _, byHost := range []bool{false, true} {
		t.Run(fmt.Sprint("in ours, by the host's statement: ", byHost), func(t *testing.T) {
			stop, runs := errors.New("stop"), 0
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if runs++; runs > 1 {
					return stop // the transaction is retried
				}
				is.NoErr(tx.Insert(ctx, record("lost")))
				is.NoErr(hostUpdate(ctx, bunstore.DB(tx), "a"))
				_ = deadlock(t, db, func() error {
					return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
						if byHost {
							_ = hostUpdate(ctx, bunstore.DB(tx), "b")
						} else {
							_, _ = tx.Delete(ctx, "b")
						}
						return nil
					})
				})
				afterwards(ctx, tx)
				return nil
			})
			is.True(errors.Is(err, stop))
			nothingLeft()
		})
	}
	for _, lib := range []library{withBun, withSQL} {
		t.Run("in the host's, with "+string(lib), func(t *testing.T) {
			err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
				in := tx.join(s)
				is.NoErr(in.Insert(ctx, record("lost")))
				is.NoErr(hostUpdate(ctx, tx, "a"))
				_ = deadlock(t, db, func() error { _, err := in.Delete(ctx, "b"); return err })
				afterwards(ctx, in)
				return nil
			})
			is.True(errors.Is(err, sql.ErrTxDone)) // not nil with everything lost
			nothingLeft()
		})
	}
}

// A connection lost in COMMIT leaves the outcome unknown; one lost earlier rolls everything back. Neither transaction
// is retried.
func TestMySQLLostConnection(t *testing.T) {
	_, _, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	kill := func(ctx context.Context, tx storage.Storage) {
		var id int64
		is.NoErr(bunstore.DB(tx).NewRaw("SELECT CONNECTION_ID()").Scan(ctx, &id))
		_, err := db.ExecContext(ctx, "KILL CONNECTION ?", id)
		is.NoErr(err)
	}
	runs := 0
	err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		runs++
		is.NoErr(tx.Insert(ctx, record("a")))
		kill(ctx, tx)
		return nil
	})
	is.True(errors.Is(err, storage.ErrOutcomeUnknown))
	is.True(!errors.Is(err, storage.ErrAborted))
	err = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		runs++
		is.NoErr(tx.Insert(ctx, record("a")))
		kill(ctx, tx)
		_ = tx.Insert(ctx, record("b"))
		return nil
	})
	is.True(errors.Is(err, storage.ErrAborted))
	is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
	is.Equal(runs, 2)
	is.Equal(count(t, s), 0)
}

// If a context ends while a statement waits for a lock, the whole transaction is rolled back, and the error says so.
func TestMySQLCancelledWait(t *testing.T) {
	_, _, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	is.NoErr(s.Insert(t.Context(), record("a")))
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, holder storage.Storage) error {
		a := record("a")
		a.Version = 1
		is.NoErr(holder.Update(ctx, a))
		runs := 0
		err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			runs++
			is.NoErr(tx.Insert(ctx, record("b")))
			short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			err := tx.RunInTx(short, func(ctx context.Context, tx storage.Storage) error { return tx.Update(ctx, a) })
			is.True(errors.Is(err, context.DeadlineExceeded))
			everyCall(ctx, tx, func(name string, err error) { is.True(errors.Is(err, storage.ErrAborted)) })
			return nil
		})
		is.True(errors.Is(err, storage.ErrAborted))
		is.True(errors.Is(err, context.DeadlineExceeded)) // the reason
		is.Equal(runs, 1)
		return nil
	}))
	is.Equal(count(t, s), 1)
}

// Lock in a host's REPEATABLE READ transaction is refused exactly if its snapshot is older than the lock.
func TestMySQLOldSnapshot(t *testing.T) {
	for _, lib := range []library{withBun, withSQL} {
		t.Run(string(lib), func(t *testing.T) { mysqlOldSnapshot(t, lib) })
	}
}

func mysqlOldSnapshot(t *testing.T, lib library) {
	_, _, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	locked := func(ctx context.Context, s *bunstore.Store, id string) {
		is.NoErr(s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			is.NoErr(tx.Lock(ctx, "k"))
			return tx.Insert(ctx, record(id))
		}))
	}
	for i, c := range []struct {
		level                   sql.IsolationLevel
		first, reads, disturbed bool // another one held the lock before, this one reads, another one holds it meanwhile
	}{
		{sql.LevelRepeatableRead, false, false, true}, {sql.LevelRepeatableRead, true, false, true},
		{sql.LevelRepeatableRead, true, true, false}, {sql.LevelRepeatableRead, false, true, false},
		{sql.LevelRepeatableRead, true, true, true}, {sql.LevelRepeatableRead, false, true, true},
		{sql.LevelReadCommitted, true, true, true},
	} {
		_, err := db.ExecContext(t.Context(), "DELETE FROM organization_invitation_locks")
		is.NoErr(err)
		if c.first {
			locked(t.Context(), s, fmt.Sprint("first", i))
		}
		tx, err := lib.begin(t.Context(), t, db, &sql.TxOptions{Isolation: c.level})
		is.NoErr(err)
		in := tx.join(s)
		if c.reads {
			count(t, in)
		}
		if c.disturbed {
			locked(t.Context(), s, fmt.Sprint("meanwhile", i))
		}
		err = in.Lock(t.Context(), "k")
		if c.level == sql.LevelRepeatableRead && c.reads && c.disturbed {
			is.True(errors.Is(err, storage.ErrAborted))
			is.True(strings.Contains(err.Error(), "READ COMMITTED")) // how to fix it
		} else {
			is.NoErr(err)
			is.NoErr(in.Lock(t.Context(), "k")) // a second time
			is.Equal(count(t, in), count(t, s)) // sees every commit of earlier holders
		}
		_ = tx.Rollback()
	}
}

// A read-only session says so, and nothing is half written.
func TestMySQLReadOnly(t *testing.T) {
	e, address, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	is.NoErr(s.Insert(t.Context(), record("a")))
	reader := newStore(t, e.Connect(t, address+"&tx_read_only=1")) // nothing to migrate
	_, err := reader.Get(t.Context(), "a")
	is.NoErr(err)
	a := record("a")
	a.Version = 1
	_, deleteErr := reader.Delete(t.Context(), "a")
	for _, err := range []error{
		reader.Insert(t.Context(), record("b")), reader.Insert(t.Context(), record("b"), record("c")),
		reader.Update(t.Context(), a), deleteErr,
		reader.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "k") }),
	} {
		is.True(err != nil && strings.Contains(err.Error(), "Error 1792"))
		is.True(!errors.Is(err, storage.ErrAborted))
	}
	is.Equal(count(t, s), 1)
}

// Long lists of texts that a collation could treat as equal.
func TestMySQLLongLists(t *testing.T) {
	_, _, db := mariadb(t)
	s := newStore(t, db)
	is := is.New(t)
	var records []storage.Record
	var ids []string
	for i := range 1500 { // the server turns more than a thousand into a join
		id := fmt.Sprintf("%s%d%s", []string{"a", "A", "ä"}[i%3], i/6, []string{"", " "}[i/3%2])
		ids = append(ids, id)
		if i%2 == 0 {
			records = append(records, record(id))
		}
	}
	is.NoErr(s.Insert(t.Context(), records...))
	all := make([]storage.Record, len(ids))
	for i, id := range ids {
		all[i] = record(id)
	}
	err := s.Insert(t.Context(), all...)
	exists, ok := errors.AsType[*storage.ExistsError](err)
	is.True(ok)
	is.Equal(len(exists.Indexes), len(records))
	for i, index := range exists.Indexes {
		is.Equal(index, 2*i)
	}
	n, err := s.Count(t.Context(), storage.Filter{IDs: ids})
	is.NoErr(err)
	is.Equal(n, len(records))
	var others []string
	for i, id := range ids {
		if i%2 == 1 {
			others = append(others, id)
		}
	}
	for len(others) < 1200 {
		others = append(others, fmt.Sprint("none", len(others)))
	}
	n, err = s.Delete(t.Context(), others...)
	is.NoErr(err)
	is.Equal(n, 0)
}

// Servers that start at once create the tables once.
func TestMySQLMigrateAtOnce(t *testing.T) {
	e, address, _ := mariadb(t)
	is := is.New(t)
	var wg sync.WaitGroup
	for range 3 {
		db := e.Connect(t, address)
		for range 4 {
			wg.Go(func() {
				s, err := bunstore.New(db, nil)
				is.NoErr(err)
				is.NoErr(s.Migrate(t.Context()))
			})
		}
	}
	wg.Wait()
}

// Whether the server, the pool or the caller is at fault, the error says so, wraps the cause, and contains no values.
func TestMySQLBadInput(t *testing.T) {
	e, address, db := mariadb(t)
	is := is.New(t)
	const secret = "s3cret"
	r := record(secret)
	r.PrivateMetadata = []byte(`{"k":"` + secret + `"}`)
	check := func(s *bunstore.Store, says string) {
		t.Helper()
		everyCall(t.Context(), s, func(name string, err error) {
			if name == "Lock" || name == "Insert of none" || name == "RunInTx" {
				return // these fail, or return nil, before any query
			}
			if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, storage.ErrAborted) {
				t.Errorf("%s: %v", name, err)
			}
		})
		err := s.Insert(t.Context(), r)
		is.True(err != nil && !strings.Contains(err.Error(), secret))
		is.True(strings.Count(err.Error(), "bunstore: ") == 1)
	}
	empty, err := bunstore.New(db, nil)
	is.NoErr(err)
	check(empty, "Error 1146") // no such table
	is.True(strings.Contains(empty.Check(t.Context()).Error(), "Migrate"))

	closing := e.Connect(t, address)
	closed := newStore(t, closing)
	is.NoErr(closing.Close())
	check(closed, "database is closed")

	s := newStore(t, db)
	tx, err := engines.SQLite(t, ":memory:", nil, 1).BeginTx(t.Context(), nil)
	is.NoErr(err)
	defer func() { _ = tx.Rollback() }()
	check(s.WithTx(tx), "sqlite")

	for _, year := range []int{0, 10000} { // no column holds these years
		far := record("far")
		far.ExpiresAt = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		is.True(s.Insert(t.Context(), far) != nil)
		is.True(s.Insert(t.Context(), record("near"), far) != nil)
	}
	is.Equal(count(t, s), 0)
}
