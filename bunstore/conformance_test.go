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

// newStore is a Store on db with its tables made.
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

// Every engine, in every setting, keeps the contract of storage.
func TestConformance(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		fresh := emptied(t, e)
		storagetest.Run(t, func(t *testing.T) storage.Storage {
			onlyRaces(t)
			if e.Name == "galera" && waits(t) {
				return newStore(t, engines.OneNode().Open(t))
			}
			return newStore(t, fresh(t))
		})
	})
}

// waits reports whether a case has one transaction wait for another, or read what that is about to replace. Between the
// nodes of a cluster nobody waits: a transaction that was overtaken goes on, and is aborted when it commits.
func waits(t *testing.T) bool {
	t.Helper()
	for _, rule := range []string{
		"a_lock_is_held_until_the_transaction_ends", "a_lock_shows_what_was_committed",
		"a_write_that_waits_for_a_transaction", "an_abandoned_wait_leaves_nothing_behind",
	} {
		if strings.Contains(t.Name(), rule) {
			return true
		}
	}
	return false
}

// A Store on one connection of the host's keeps it too.
func TestConformanceOfConn(t *testing.T) {
	list := slices.DeleteFunc(engines.All(), func(e engines.Engine) bool {
		return strings.Contains(e.Name, "-") || e.Name == "galera" // where a connection is one to MariaDB
	})
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		fresh := emptied(t, e)
		storagetest.Run(t, func(t *testing.T) storage.Storage {
			onlyRaces(t)
			conn, err := fresh(t).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			return newStore(t, conn)
		})
	})
}

// emptied returns what makes an empty database for each case: a new one, or on PostgreSQL, where that takes its time,
// one that is emptied.
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

// onlyRaces skips the cases of one goroutine where that is slow: the race detector has nothing to find in them.
func onlyRaces(t *testing.T) {
	t.Helper()
	if !bunstore.Slow {
		return
	}
	for _, group := range []string{"/transactions/", "/locks/", "/concurrency/"} {
		if strings.Contains(t.Name(), group) {
			return
		}
	}
	t.Skip("one goroutine")
}

func BenchmarkStore(b *testing.B) {
	storagetest.RunBenchmarks(b, func(b *testing.B) storage.Storage {
		return newStore(b, engines.Named(b, "sqlite").Open(b))
	})
}
