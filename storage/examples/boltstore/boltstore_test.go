package boltstore_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/examples/boltstore"
	"github.com/orginvite/orginvite/storage/storagetest"
	bolt "go.etcd.io/bbolt"
)

// open returns an empty database. It does not sync to disk: the tests are about what a running process sees.
func open(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "bolt.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestStorage(t *testing.T) {
	t.Parallel()
	var db *bolt.DB // of the case that runs
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		db = open(t)
		return boltstore.New(db)
	}, storagetest.SecondHandle(func(t *testing.T, _ storage.Storage) storage.Storage {
		// bbolt locks the file, so the second store can share neither less nor more than the *bolt.DB.
		return boltstore.New(db)
	}))
}

// The application's bucket, and the key of its only value: the names, each with a NUL behind it.
const bucket, names = "application", "names"

func TestJoined(t *testing.T) {
	t.Parallel()
	storagetest.RunJoined(t, func(t *testing.T) storagetest.Host {
		s := boltstore.New(open(t))
		return storagetest.Host{
			Storage: s,
			Begin: func(ctx context.Context) (storagetest.HostTx, error) {
				tx, err := s.Begin(ctx, true)
				if err != nil {
					return storagetest.HostTx{}, err
				}
				join := func() storage.Storage { return s.WithTx(tx) }
				return storagetest.HostTx{Join: join, Commit: tx.Commit, Rollback: tx.Rollback}, nil
			},
			Write: func(ctx context.Context, s storage.Storage, name string) error {
				value, err := boltstore.DB(s).Get(ctx, bucket, names)
				if err != nil {
					return err
				}
				return boltstore.DB(s).Put(ctx, bucket, names, append(value, name+"\x00"...))
			},
			Names: func(ctx context.Context, s storage.Storage) ([]string, error) {
				value, err := boltstore.DB(s).Get(ctx, bucket, names)
				return strings.FieldsFunc(string(value), func(c rune) bool { return c == 0 }), err
			},
		}
	})
}

func BenchmarkStorage(b *testing.B) {
	storagetest.RunBenchmarks(b, func(b *testing.B) storage.Storage { return boltstore.New(open(b)) })
}
