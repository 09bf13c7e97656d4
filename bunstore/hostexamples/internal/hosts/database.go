package hosts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
)

// Engine is a database engine that a library supports.
type Engine string

// The engines. Those with a server are skipped, unless their variable has its address. With CI=true they fail instead.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres" // ORGINVITE_POSTGRES, a URL
	MariaDB  Engine = "mariadb"  // ORGINVITE_MARIADB, a DSN of go-sql-driver
)

// All returns all engines.
func All() []Engine { return []Engine{SQLite, Postgres, MariaDB} }

// Database is a new, empty database, which is removed when the test ends.
type Database struct {
	Engine
	Address string // what sql.Open takes, with the driver of Driver
	Conns   int    // how many connections the host may open
}

// Driver is the name of the database/sql driver, which the test imports.
func (d Database) Driver() string {
	return map[Engine]string{SQLite: "sqlite", Postgres: "pgx", MariaDB: "mysql"}[d.Engine]
}

// Dialect is bun's, for the store.
func (e Engine) Dialect() schema.Dialect {
	switch e {
	case Postgres:
		return pgdialect.New()
	case MariaDB:
		return mysqldialect.New()
	}
	return sqlitedialect.New()
}

// Open opens a pool of d.Conns connections, which is closed when the test ends.
func (d Database) Open(t *testing.T) *sql.DB {
	t.Helper()
	pool, err := sql.Open(d.Driver(), d.Address)
	if err != nil {
		t.Fatal(err)
	}
	d.Limit(t, pool)
	return pool
}

// Limit limits a pool to d.Conns connections, and closes it when the test ends.
func (d Database) Limit(t *testing.T, pool *sql.DB) {
	pool.SetMaxOpenConns(d.Conns)
	pool.SetMaxIdleConns(d.Conns)
	t.Cleanup(func() { _ = pool.Close() })
}

// NewSQLite returns a new database of SQLite, which needs no server.
func NewSQLite(t *testing.T, conns int) Database {
	return Database{Engine: SQLite, Conns: conns, Address: "file:" + filepath.Join(t.TempDir(), "app.db") +
		"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)&_pragma=foreign_keys(1)&_txlock=immediate"}
}

// newDatabase ends the test if the engine needs a server and none is named.
func newDatabase(t *testing.T, e Engine, conns int) Database {
	t.Helper()
	if e == SQLite {
		return NewSQLite(t, conns)
	}
	d := Database{Engine: e, Conns: conns}
	variable := "ORGINVITE_" + strings.ToUpper(string(e))
	server := os.Getenv(variable)
	switch {
	case server != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set, and CI=true skips nothing: set it to the address of a server", variable)
	default:
		t.Skipf("set %s to the address of a server to run this test", variable)
	}
	var drop func() error
	var err error
	if e == MariaDB {
		d.Address, drop, err = newMariaDB(server)
	} else {
		d.Address, drop, err = newSchema(server)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func unique() string { return "t_" + strings.ToLower(rand.Text()) }

// newSchema creates a schema and returns an address whose search_path is that schema alone. Call drop to remove it.
func newSchema(server string) (address string, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	name := unique()
	settings := u.Query()
	settings.Set("search_path", name)
	settings.Set("default_query_exec_mode", "simple_protocol")     // as the README recommends
	u.RawQuery = strings.ReplaceAll(settings.Encode(), "+", "%20") // only HTML forms read + as a space
	execute := func(statement string) error {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, statement)
		return err
	}
	return u.String(), func() error { return execute("DROP SCHEMA " + name + " CASCADE") },
		execute("CREATE SCHEMA " + name)
}

// newMariaDB creates a database and returns its address. Call drop to remove it. Text in it compares byte for byte, as
// the ids in a host's tables must.
func newMariaDB(server string) (address string, drop func() error, err error) {
	cfg, err := mysql.ParseDSN(server)
	if err != nil {
		return "", nil, err
	}
	execute := func(statement string) error {
		pool, err := sql.Open("mysql", server)
		if err != nil {
			return err
		}
		defer func() { _ = pool.Close() }()
		_, err = pool.Exec(statement)
		return err
	}
	cfg.DBName, cfg.ParseTime = unique(), true
	return cfg.FormatDSN(), func() error { return execute("DROP DATABASE " + cfg.DBName) },
		execute("CREATE DATABASE " + cfg.DBName + " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")
}

// Main runs the tests of a host that works on PostgreSQL only. Its Example finds a schema of its own at DATABASE_URL.
// Without a server, Example is skipped as the tests are.
func Main(m *testing.M) (code int) {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "the database of Example:", err)
		return 1
	}
	const variable = "ORGINVITE_POSTGRES"
	server := os.Getenv(variable)
	switch {
	case server == "" && os.Getenv("CI") == "true":
		return fail(fmt.Errorf("%s is not set, and CI=true skips nothing: set it to the address of a server", variable))
	case server == "":
		fmt.Fprintf(os.Stderr, "Example is skipped: set %s to the address of a server to run it\n", variable)
		if err := flag.Set("test.skip", "^Example$"); err != nil { // a -skip on the command line replaces it
			return fail(err)
		}
		return m.Run()
	}
	address, drop, err := newSchema(server)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := drop(); err != nil {
			code = fail(err)
		}
	}()
	if err := os.Setenv("DATABASE_URL", address); err != nil {
		return fail(err)
	}
	return m.Run()
}
