package pgxstore_test

import (
	"context"
	"crypto/rand"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/examples/pgxstore"
	"github.com/orginvite/orginvite/storage/storagetest"
)

// database returns the connection settings of a new schema, which is dropped when the test ends. In it are the tables
// of the store, and a table names of the application.
func database(t testing.TB) *pgxpool.Config {
	url := os.Getenv("ORGINVITE_POSTGRES")
	if url == "" {
		t.Skip("set ORGINVITE_POSTGRES to the URL of a PostgreSQL database to run this test")
	}
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	schema := pgx.Identifier{"pgxstore_" + rand.Text()}.Sanitize()
	exec := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA " + schema)
	t.Cleanup(func() {
		exec("DROP SCHEMA " + schema + " CASCADE")
		if err := admin.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	exec("CREATE TABLE " + schema + ".names (name text NOT NULL)")
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "off" // the tests do not crash the server
	config.MaxConns = 20
	return config
}

// connect returns a pool, which is closed when the test ends.
func connect(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	pool, err := pgxpool.NewWithConfig(context.Background(), config.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// empty returns a store on pool without records.
func empty(t testing.TB, pool *pgxpool.Pool) *pgxstore.Store {
	if _, err := pool.Exec(t.Context(), pgxstore.Schema); err != nil {
		t.Fatal(err)
	}
	_, err := pool.Exec(t.Context(), "TRUNCATE invitation_records, invitation_locks, names")
	if err != nil {
		t.Fatal(err)
	}
	return pgxstore.New(pool)
}

func TestStorage(t *testing.T) {
	config := database(t)
	pool := connect(t, config)
	storagetest.Run(t,
		func(t *testing.T) storage.Storage { return empty(t, pool) },
		storagetest.SecondHandle(func(t *testing.T, _ storage.Storage) storage.Storage {
			return pgxstore.New(connect(t, config))
		}))
}

func TestJoined(t *testing.T) {
	pool := connect(t, database(t))
	storagetest.RunJoined(t, func(t *testing.T) storagetest.Host { return host(empty(t, pool), pool, pgx.TxOptions{}) })
}

// host is an application that begins its transactions with options.
func host(store *pgxstore.Store, pool *pgxpool.Pool, options pgx.TxOptions) storagetest.Host {
	return storagetest.Host{
		Storage: store,
		Begin: func(ctx context.Context) (storagetest.HostTx, error) {
			tx, err := pool.BeginTx(ctx, options)
			if err != nil {
				return storagetest.HostTx{}, err
			}
			return storagetest.HostTx{
				Join:     func() storage.Storage { return store.WithTx(tx) },
				Commit:   func() error { return tx.Commit(context.WithoutCancel(ctx)) },
				Rollback: func() error { return tx.Rollback(context.WithoutCancel(ctx)) },
			}, nil
		},
		Write: func(ctx context.Context, s storage.Storage, name string) error {
			const sql = "INSERT INTO names VALUES ($1)"
			if tx := pgxstore.Tx(s); tx != nil {
				_, err := tx.Exec(ctx, sql, name)
				return err
			}
			_, err := pool.Exec(ctx, sql, name)
			return err
		},
		Names: func(ctx context.Context, s storage.Storage) ([]string, error) {
			query := pool.Query
			if tx := pgxstore.Tx(s); tx != nil {
				query = tx.Query
			}
			rows, err := query(ctx, "SELECT name FROM names")
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowTo[string])
		},
	}
}

func BenchmarkStorage(b *testing.B) {
	pool := connect(b, database(b))
	storagetest.RunBenchmarks(b, func(b *testing.B) storage.Storage { return empty(b, pool) })
}
