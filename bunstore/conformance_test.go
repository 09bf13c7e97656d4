package bunstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagetest"
)

// newStore returns a Store on db with its tables created.
func newStore(t testing.TB, db bun.IDB) *bunstore.Store {
	t.Helper()
	s, err := bunstore.New(db, configFor(db))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// configFor returns the Config for stores on db.
func configFor(db bun.IDB) *bunstore.Config {
	return &bunstore.Config{BindArguments: engines.Binds(db)}
}

// Every engine, in every configuration, meets the contract of storage.
func TestConformance(t *testing.T) {
	engines.On(t, append(engines.All(), engines.PgxDefault()), func(t *testing.T, e engines.Engine) {
		fresh := emptied(t, e)
		var address string // of the database of the case
		spread := func(t *testing.T) *bunstore.Store {
			var db *bun.DB
			db, address = fresh(t)
			return newStore(t, db)
		}
		switch {
		case e.Single || strings.Contains(e.Name, "-"): // one handle, or only a driver or an isolation level differs
			conforms(t, spread)
			return
		case !e.Cluster:
			conforms(t, spread, storagetest.SecondHandle(func(t *testing.T, _ storage.Storage) storage.Storage {
				return newStore(t, e.Connect(t, address))
			}))
			return
		}
		conforms(t, spread, storagetest.Without(storagetest.Waiting))
		t.Run("one node", func(t *testing.T) { // where one transaction waits for another
			one := func(t *testing.T) *bunstore.Store { return newStore(t, engines.OneNode().Open(t)) }
			conforms(t, one, storagetest.Only(storagetest.Waiting, storagetest.Nesting))
		})
	})
}

// A Store on a single connection of the host's meets it too.
func TestConformanceOfConn(t *testing.T) {
	list := slices.DeleteFunc(engines.All(), func(e engines.Engine) bool {
		return strings.Contains(e.Name, "-") || e.Cluster // a connection to MariaDB
	})
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		fresh := emptied(t, e)
		conforms(t, func(t *testing.T) *bunstore.Store {
			db, _ := fresh(t)
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			return newStore(t, conn)
		})
	})
}

// conforms runs the suite. Under the race detector, which is slow, it skips the groups that use one goroutine: they
// cannot race.
func conforms(t *testing.T, newStore func(t *testing.T) *bunstore.Store, opts ...storagetest.Option) {
	t.Helper()
	if bunstore.Slow {
		opts = append(opts, storagetest.Only(storagetest.Transactions, storagetest.Nesting, storagetest.Locks,
			storagetest.Waiting, storagetest.Concurrency))
	}
	storagetest.Run(t, func(t *testing.T) storage.Storage { return newStore(t) }, opts...)
}

// emptied returns a function that provides an empty database for each case, and its address. It creates a new database
// or, on PostgreSQL, where that is slow, empties the same one again.
func emptied(t *testing.T, e engines.Engine) func(t testing.TB) (db *bun.DB, address string) {
	t.Helper()
	if !strings.HasPrefix(e.Name, "postgres") {
		return func(t testing.TB) (*bun.DB, string) {
			address := e.New(t)
			return e.Connect(t, address), address
		}
	}
	address := e.New(t)
	db := e.Connect(t, address)
	newStore(t, db)
	return func(t testing.TB) (*bun.DB, string) {
		t.Helper()
		for _, table := range []string{"organization_invitations", "organization_invitation_locks"} {
			if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
				t.Fatal(err)
			}
		}
		return db, address
	}
}

func BenchmarkStore(b *testing.B) {
	storagetest.RunBenchmarks(b, func(b *testing.B) storage.Storage {
		return newStore(b, engines.Named(b, "sqlite").Open(b))
	})
}
