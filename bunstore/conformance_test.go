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
	s, err := bunstore.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Every engine, in every configuration, meets the contract of storage.
func TestConformance(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		fresh := emptied(t, e)
		spread := func(t *testing.T) *bunstore.Store { return newStore(t, fresh(t)) }
		if !e.Cluster {
			conforms(t, spread)
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
			conn, err := fresh(t).Conn(t.Context())
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

// emptied returns a function that provides an empty database for each case. It creates a new database or, on
// PostgreSQL, where that is slow, empties the same one again.
func emptied(t *testing.T, e engines.Engine) func(t testing.TB) *bun.DB {
	t.Helper()
	if !strings.HasPrefix(e.Name, "postgres") {
		return e.Open
	}
	db := e.Open(t)
	newStore(t, db)
	return func(t testing.TB) *bun.DB {
		t.Helper()
		for _, table := range []string{"organization_invitations", "organization_invitation_locks"} {
			if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
				t.Fatal(err)
			}
		}
		return db
	}
}

func BenchmarkStore(b *testing.B) {
	storagetest.RunBenchmarks(b, func(b *testing.B) storage.Storage {
		return newStore(b, engines.Named(b, "sqlite").Open(b))
	})
}
