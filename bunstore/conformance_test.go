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
		storagetest.Run(t, func(t *testing.T) storage.Storage {
			onlyRaces(t)
			return newStore(t, e.Open(t))
		})
	})
}

// A Store on one connection of the host's keeps it too.
func TestConformanceOfConn(t *testing.T) {
	list := slices.DeleteFunc(engines.All(), func(e engines.Engine) bool { return strings.Contains(e.Name, "-") })
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		storagetest.Run(t, func(t *testing.T) storage.Storage {
			onlyRaces(t)
			conn, err := e.Open(t).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			return newStore(t, conn)
		})
	})
}

// onlyRaces skips the cases of one goroutine where the race detector is on: it has nothing to find in them, and makes
// SQLite in Go twenty times as slow.
func onlyRaces(t *testing.T) {
	t.Helper()
	if !raceDetector {
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
