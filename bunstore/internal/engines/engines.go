// Package engines is the one table of databases the tests run on. Only tests import it.
package engines

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
)

// Engine is a database in a certain setting.
type Engine struct {
	Name string
	// Open returns a handle on a database that is new, empty and the test's own. It is closed when the test ends.
	Open func(t testing.TB) *bun.DB
}

// All are the engines, the one to be recommended first.
func All() []Engine {
	return []Engine{
		{"sqlite", func(t testing.TB) *bun.DB { return SQLite(t, File(t), Recommended, 8) }},
		{"sqlite-one-connection", func(t testing.TB) *bun.DB { return SQLite(t, File(t), Recommended, 1) }},
		{"sqlite-plain", func(t testing.TB) *bun.DB { return SQLite(t, File(t), Plain, 16) }},
		{"sqlite-memory", func(t testing.TB) *bun.DB { return SQLite(t, ":memory:", nil, 1) }},
	}
}

// Each runs fn as a subtest on every engine, each time with a database of its own.
func Each(t *testing.T, fn func(t *testing.T, db *bun.DB)) {
	t.Helper()
	for _, e := range All() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			fn(t, e.Open(t))
		})
	}
}

var (
	// Recommended is what the documentation of bunstore recommends, but for a shorter busy_timeout: cases that wait
	// for a cancelled call wait that long.
	Recommended = url.Values{
		"_pragma": {"journal_mode(WAL)", "busy_timeout(50)"},
		"_txlock": {"immediate"},
	}
	// Plain leaves all of it out, but for WAL, so that whoever meets a lock is refused at once.
	Plain = url.Values{"_pragma": {"journal_mode(WAL)"}}
)

// File is the name of a database file that does not exist yet, in a directory that goes with the test.
func File(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// SQLite opens file with these settings and at most conns connections, and closes it when the test ends.
func SQLite(t testing.TB, file string, settings url.Values, conns int) *bun.DB {
	t.Helper()
	dsn := file
	if file != ":memory:" {
		dsn = "file:" + file + "?" + settings.Encode()
	}
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	return handle(t, pool, conns)
}

// Faulty is SQLite with settings, whose driver asks fault before every statement, BEGIN, COMMIT and ROLLBACK
// included, and fails with the error it returns instead of running it.
func Faulty(t testing.TB, file string, settings url.Values, conns int, fault func(statement string) error) *bun.DB {
	t.Helper()
	c := &connector{driver: &sqlite.Driver{}, dsn: "file:" + file + "?" + settings.Encode(), fault: fault}
	return handle(t, sql.OpenDB(c), conns)
}

func handle(t testing.TB, pool *sql.DB, conns int) *bun.DB {
	t.Helper()
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	db := bun.NewDB(pool, sqlitedialect.New())
	t.Cleanup(func() { _ = db.Close() })
	return db
}
