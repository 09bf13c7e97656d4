package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/storage"
)

// A store can work inside the host's transaction. Its writes commit or roll back with that transaction.
func ExampleStore_WithTx() {
	ctx := context.Background()
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	pool.SetMaxOpenConns(1) // the database in memory lasts as long as its connection
	db := bun.NewDB(pool, sqlitedialect.New())
	defer func() { _ = db.Close() }()

	store, err := bunstore.New(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := store.WithTx(tx).Insert(ctx, storage.Record{ID: "a", Status: storage.Pending}); err != nil {
			return err
		}
		return errors.New("the host has changed its mind")
	})
	n, countErr := store.Count(ctx, storage.Filter{})
	fmt.Println(err, "-", n, "records", countErr)
	// Output: the host has changed its mind - 0 records <nil>
}

// The same without bun: the host begins its transaction with database/sql, or with a library on it. Its callbacks use
// the handle that SQL returns.
func ExampleStore_WithSQLTx() {
	ctx := context.Background()
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	defer func() { _ = pool.Close() }()
	if _, err := pool.ExecContext(ctx, "CREATE TABLE members (user_id TEXT)"); err != nil {
		log.Fatal(err)
	}
	store, err := bunstore.New(bun.NewDB(pool, sqlitedialect.New()), nil) // bun is used nowhere else
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	join := func(ctx context.Context, tx storage.Storage, userID string) error {
		_, err := bunstore.SQL(tx).ExecContext(ctx, "INSERT INTO members (user_id) VALUES (?)", userID)
		return err
	}

	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	in := store.WithSQLTx(tx)
	if err := errors.Join(join(ctx, in, "user_1"), in.Insert(ctx, storage.Record{ID: "a"})); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}
	var members int
	err = pool.QueryRowContext(ctx, "SELECT count(*) FROM members").Scan(&members)
	n, countErr := store.Count(ctx, storage.Filter{})
	fmt.Println(members, "member,", n, "record", err, countErr)
	// Output: 1 member, 1 record <nil> <nil>
}

// DB returns the handle of the transaction that a Storage works in. The host's writes through it belong to that
// transaction, here a nested one.
func ExampleDB() {
	ctx := context.Background()
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	db := bun.NewDB(pool, sqlitedialect.New())
	defer func() { _ = db.Close() }()
	store, err := bunstore.New(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := db.NewRaw("CREATE TABLE members (user_id TEXT)").Exec(ctx); err != nil {
		log.Fatal(err)
	}

	join := func(ctx context.Context, tx storage.Storage, userID string) error {
		_, err := bunstore.DB(tx).NewRaw("INSERT INTO members (user_id) VALUES (?)", userID).Exec(ctx)
		return err
	}
	err = store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			return errors.Join(join(ctx, tx, "user_1"), errors.New("no seat left"))
		})
		return join(ctx, tx, "user_2")
	})
	var members []string
	scanErr := db.NewRaw("SELECT user_id FROM members").Scan(ctx, &members)
	fmt.Println(members, err, scanErr)
	// Output: [user_2] <nil> <nil>
}
