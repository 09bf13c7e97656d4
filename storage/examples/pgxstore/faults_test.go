package pgxstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/examples/pgxstore"
	"github.com/orginvite/orginvite/storage/storagetest"
)

// The application may prefer another isolation level.
func TestJoinedIsolation(t *testing.T) {
	pool := connect(t, database(t))
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			storagetest.RunJoined(t, func(t *testing.T) storagetest.Host {
				return host(empty(t, pool), pool, pgx.TxOptions{IsoLevel: level})
			}, storagetest.Only(storagetest.Joining, storagetest.Transactions, storagetest.Nesting, storagetest.State))
		})
	}
}

// A key is of no use to a transaction that cannot see what its last holder has written.
func TestLockOldSnapshot(t *testing.T) {
	pool := connect(t, database(t))
	store, ctx := empty(t, pool), t.Context()
	for range 2 { // the first time, the key is new
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		if err != nil {
			t.Fatal(err)
		}
		joined := store.WithTx(tx)
		if _, err := joined.Count(ctx, storage.Filter{}); err != nil { // takes the snapshot
			t.Error(err)
		}
		err = store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "key") })
		if err != nil {
			t.Error(err)
		}
		if err := joined.Lock(ctx, "key"); !errors.Is(err, storage.ErrAborted) {
			t.Errorf("Lock: got %v; want ErrAborted", err)
		}
		if err := tx.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
			t.Errorf("Commit: got %v; want a rollback", err)
		}
	}
}

// An application can end the transaction by SQL, behind the back of the store and of pgx.
func TestEndedByStatement(t *testing.T) {
	pool := connect(t, database(t))
	store, ctx, failure := empty(t, pool), t.Context(), errors.New("failure")
	end := func(sql string, result error) func(ctx context.Context, tx storage.Storage) error {
		return func(ctx context.Context, tx storage.Storage) error {
			if _, err := pgxstore.Tx(tx).Exec(ctx, sql); err != nil {
				t.Error(err)
			}
			return result
		}
	}
	for _, sql := range []string{"COMMIT", "ROLLBACK"} {
		for _, result := range []error{nil, failure} {
			outer := store.RunInTx(ctx, end(sql, result))
			nested := store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				return tx.RunInTx(ctx, end(sql, result))
			})
			for _, err := range []error{outer, nested} {
				if !errors.Is(err, storage.ErrOutcomeUnknown) || result != nil && !errors.Is(err, result) {
					t.Errorf("%s and %v: got %v; want ErrOutcomeUnknown", sql, result, err)
				}
			}
		}
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections were not given back", n)
	}
}

// A statement of the application may be what the database aborts the transaction at.
func TestAbortedByStatement(t *testing.T) {
	pool := connect(t, database(t))
	store, calls := empty(t, pool), 0
	raise := func(ctx context.Context, tx storage.Storage, state string) error {
		_, err := pgxstore.Tx(tx).Exec(ctx, "DO $$ BEGIN RAISE SQLSTATE '"+state+"'; END $$")
		return err
	}
	err := store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		if calls++; calls > 1 {
			return tx.Lock(ctx, "key")
		}
		_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return raise(ctx, tx, "40001") })
		return nil
	})
	if err != nil || calls != 2 {
		t.Errorf("serialization failure: got %v after %d calls; want a retry", err, calls)
	}
	err = store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		nested := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return raise(ctx, tx, "23505") })
		if nested == nil || storage.Classify(ctx, tx, nested) != nested {
			t.Errorf("unique violation: got %v; want it unchanged", nested)
		}
		return tx.Lock(ctx, "key")
	})
	if err != nil {
		t.Errorf("after a unique violation: %v", err)
	}
}

// A connection that is lost in a transaction costs a retry. If it is lost at COMMIT, nobody knows.
func TestConnectionLost(t *testing.T) {
	pool := connect(t, database(t))
	store, calls := empty(t, pool), 0
	kill := func(ctx context.Context, tx storage.Storage) {
		var pid int
		calls++
		if err := pgxstore.Tx(tx).QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Error(err)
		}
		if _, err := pool.Exec(ctx, "SELECT pg_terminate_backend($1)", pid); err != nil {
			t.Error(err)
		}
	}
	err := store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		if calls == 0 {
			kill(ctx, tx)
		}
		return tx.Lock(ctx, "key")
	})
	if err != nil {
		t.Errorf("lost in a transaction: got %v; want a retry", err)
	}
	calls = 0
	err = store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		kill(ctx, tx)
		return nil
	})
	if !errors.Is(err, storage.ErrOutcomeUnknown) || calls != 1 {
		t.Errorf("lost at COMMIT: got %v after %d calls; want ErrOutcomeUnknown after 1", err, calls)
	}
}

// With the right handler, a cancelled call in a nested transaction leaves the outer one usable.
func TestCancelNested(t *testing.T) {
	config := database(t)
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 10 * time.Second}
	}
	pool := connect(t, config)
	store := empty(t, pool)
	err := store.RunInTx(t.Context(), func(ctx context.Context, holder storage.Storage) error {
		if err := holder.Lock(ctx, "key"); err != nil {
			return err
		}
		return store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			err := tx.RunInTx(short, func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "key") })
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("nested: got %v; want DeadlineExceeded", err)
			}
			return tx.Lock(ctx, "another key")
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUnavailable(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nothing")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := pgxstore.New(pool)
	_, get := store.Get(t.Context(), "id")
	for _, err := range []error{get, store.Insert(t.Context(), storage.Record{ID: "id"})} {
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("got %v; want ErrUnavailable", err)
		}
	}
}
