package bunstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
)

// sqliteDSN returns the data source name of a SQLite file. A DSN is a URI: in a path, "#", "?" and "%" must be escaped.
// Otherwise SQLite opens another file, or ignores the settings.
func sqliteDSN(path string) string {
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"journal_mode(WAL)", "busy_timeout(500)"}, "_txlock": {"immediate"},
	}.Encode()}
	return uri.String()
}

// The path of a SQLite file may have characters that a URI reserves.
func Example_sqlitePath() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "customer #1 at 100%.db")

	pool, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		log.Fatal(err)
	}
	db := bun.NewDB(pool, sqlitedialect.New())
	store, err := bunstore.New(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("migrate:", store.Migrate(ctx))
	var mode string
	if err := db.NewRaw("PRAGMA journal_mode").Scan(ctx, &mode); err != nil {
		log.Fatal(err)
	}
	fmt.Println("journal mode:", mode)
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
	_, err = os.Stat(path)
	fmt.Println("file:", err)
	// Output:
	// migrate: <nil>
	// journal mode: wal
	// file: <nil>
}
