package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/examples/boltstore"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// A caller that gives up while the application writes returns at once, and leaves nothing behind.
func TestWaitForTheWriterOfTheApplication(t *testing.T) {
	db := open(t)
	s := boltstore.New(db)
	before := runtime.NumGoroutine()
	writer, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if _, err := s.Delete(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Delete beside the writer: %v", err)
		}
		cancel()
	}
	if err := writer.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(context.Background(), "1"); err != nil {
		t.Errorf("Delete after the writer: %v", err)
	}
	settle(t, before)
}

// settle waits until at most n goroutines are left.
func settle(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, want at most %d", runtime.NumGoroutine(), n)
		}
	}
}

// A nested transaction that is rolled back gives the application's keys their values back, empty ones included.
func TestUndo(t *testing.T) {
	s := boltstore.New(open(t))
	ctx := context.Background()
	put := func(tx storage.Storage, key string, value []byte) {
		t.Helper()
		if err := boltstore.DB(tx).Put(ctx, bucket, key, value); err != nil {
			t.Errorf("Put of %s: %v", key, err)
		}
	}
	put(s, "changed", []byte("1"))
	put(s, "removed", []byte{})
	failed := errors.New("failed")
	err := s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		put(tx, "outer", []byte("1"))
		err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			return errors.Join(failed, tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				put(tx, "changed", []byte("2"))
				put(tx, "changed", nil)
				put(tx, "removed", nil)
				put(tx, "outer", []byte("2"))
				put(tx, "added", []byte("1"))
				return nil
			}))
		})
		if !errors.Is(err, failed) {
			t.Errorf("the nested RunInTx: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]byte{
		"changed": []byte("1"), "removed": {}, "outer": []byte("1"), "added": nil, "": nil,
	} {
		got, err := boltstore.DB(s).Get(ctx, bucket, key)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%q is %#v, %v; want %#v", key, got, err, want)
		}
	}
}

// If bbolt cannot commit, nobody knows what is in the file.
func TestCommitFails(t *testing.T) {
	var file *os.File
	db, err := bolt.Open(filepath.Join(t.TempDir(), "bolt.db"), 0o600, &bolt.Options{
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // fails, because the file is closed
	err = boltstore.New(db).RunInTx(context.Background(), func(ctx context.Context, tx storage.Storage) error {
		return errors.Join(tx.Insert(ctx, storage.Record{ID: "1"}), file.Close())
	})
	if !errors.Is(err, storage.ErrOutcomeUnknown) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("RunInTx: %v", err)
	}
}

// DB lends nothing if the storage is none of this package.
func TestDBOfAnotherStore(t *testing.T) {
	if h := boltstore.DB(nil); h != nil {
		t.Errorf("DB(nil) is %v", h)
	}
}

// A read-only transaction of the application serves reads, and nothing else.
func TestReadOnlyTransaction(t *testing.T) {
	db := open(t)
	s := boltstore.New(db)
	ctx := context.Background()
	if err := s.Insert(ctx, storage.Record{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	err := db.View(func(tx *bolt.Tx) error {
		joined := s.WithTx(tx)
		if _, err := joined.Delete(ctx, "1"); !errors.Is(err, berrors.ErrTxNotWritable) {
			t.Errorf("Delete: %v", err)
		}
		if err := joined.Lock(ctx, "key"); err == nil {
			t.Error("Lock succeeded")
		}
		_, err := joined.Get(ctx, "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A closed database is unavailable.
func TestClosedDatabase(t *testing.T) {
	db := open(t)
	s := boltstore.New(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Count(context.Background(), storage.Filter{})
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Count: %v", err)
	}
	if _, err := s.Delete(context.Background(), "1"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Delete: %v", err)
	}
}
