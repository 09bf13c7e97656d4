// Package engines is the table of databases that the tests run on. Only tests import it.
//
// SQLite needs no server. For other engines, an environment variable has the address of the server. If it is not set,
// tests on that engine are skipped, or fail if CI=true.
package engines

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore/internal/faults"
)

// Engine is a database with a driver and settings.
type Engine struct {
	Name string
	// Variable is the environment variable that has the address of the server, or "" if the engine needs no server.
	Variable string
	// Single is set if every handle has a database of its own, which no other handle can share.
	Single bool
	// Cluster is set if the connections of a handle are spread over the nodes of a cluster.
	Cluster bool

	conns int
	on    func(pool *sql.DB) *bun.DB // adds the dialect
	// create makes a new, empty database for the test, and removes it when the test ends.
	create func(t testing.TB, server string) (address string)
	// connector returns the driver's connector for an address from create.
	connector func(address string) (driver.Connector, error)
	// behind returns the server's host and port in an address, and a function that replaces them. It is nil if there is
	// no server.
	behind func(address string) (server string, rewrite func(server string) (address string), err error)
}

// All returns the engines, the recommended one first.
func All() []Engine {
	one := onSQLite("sqlite-one-connection", Recommended, 1)
	one.on = func(pool *sql.DB) *bun.DB { return bun.NewDB(pool, boundSQLite{sqlitedialect.New()}) }
	all := []Engine{
		onSQLite("sqlite", Recommended, 8),
		one,
		onSQLite("sqlite-plain", Plain, 16),
		{
			Name: "sqlite-memory", Single: true, conns: 1, on: sqliteHandle, connector: sqliteConnector,
			create: func(testing.TB, string) string { return ":memory:" },
		},
	}
	return append(append(all, postgres()...), mysql()...)
}

// Binds reports whether stores on db are to have bound arguments. One engine of SQLite and one of PostgreSQL is for that.
func Binds(db bun.IDB) bool {
	_, ok := db.Dialect().(interface{ binds() })
	return ok
}

type boundSQLite struct{ *sqlitedialect.Dialect }

func (boundSQLite) binds() {}

// Named returns the engine of that name.
func Named(t testing.TB, name string) Engine {
	t.Helper()
	for _, e := range All() {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no engine %s", name)
	return Engine{}
}

// Each runs fn as a subtest on every engine, each time with a database of its own.
func Each(t *testing.T, fn func(t *testing.T, db *bun.DB)) {
	t.Helper()
	On(t, All(), func(t *testing.T, e Engine) { fn(t, e.Open(t)) })
}

// On runs fn as a subtest on each engine in list whose server is available.
func On(t *testing.T, list []Engine, fn func(t *testing.T, e Engine)) {
	t.Helper()
	for _, e := range list {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			e.server(t)
			fn(t, e)
		})
	}
}

// server returns the address of the server. It ends the test if the engine needs a server and none is set.
func (e Engine) server(t testing.TB) string {
	t.Helper()
	if e.Variable == "" {
		return ""
	}
	server := os.Getenv(e.Variable)
	switch {
	case server != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set, and CI=true skips nothing: set it to the address of a server", e.Variable)
	default:
		t.Skipf("set %s to the address of a server to run this test", e.Variable)
	}
	return server
}

// New makes a new, empty database for the test, and removes it when the test ends. Pass its address to Connect, in this
// process or in another one.
func (e Engine) New(t testing.TB) (address string) {
	t.Helper()
	return e.create(t, e.server(t))
}

// Connect returns a handle on a database. The handle is closed when the test ends.
func (e Engine) Connect(t testing.TB, address string) *bun.DB {
	t.Helper()
	return e.Wrapped(t, address, func(c driver.Connector) driver.Connector { return c })
}

// Wrapped is like Connect, but uses the connector that wrap returns for the driver's.
func (e Engine) Wrapped(t testing.TB, address string, wrap func(driver.Connector) driver.Connector) *bun.DB {
	t.Helper()
	c, err := e.connector(address)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(wrap(c))
	pool.SetMaxOpenConns(e.conns)
	pool.SetMaxIdleConns(e.conns)
	db := e.on(pool)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Open returns a handle on a new database.
func (e Engine) Open(t testing.TB) *bun.DB {
	t.Helper()
	return e.Connect(t, e.New(t))
}

// Faulty is like Connect, but the driver calls fault before it runs a statement, including BEGIN, COMMIT and ROLLBACK. If
// fault returns an error, the statement fails with it and is not run. A COMMIT or ROLLBACK that fails so still ends the
// transaction.
func (e Engine) Faulty(t testing.TB, address string, fault func(statement string) error) *bun.DB {
	t.Helper()
	return e.Wrapped(t, address, func(c driver.Connector) driver.Connector {
		return faults.Wrap(c, func(call faults.Call) faults.Fault {
			if call.Op == faults.Connect || call.Op == faults.Prepare {
				return faults.Fault{}
			}
			if err := fault(call.Statement); err != nil {
				return faults.Fault{Kind: faults.Abort, Err: err}
			}
			return faults.Fault{}
		})
	})
}

// Proxied starts a proxy in front of the database's server, or of the first node of a cluster. It returns the address
// of the database through the proxy, which is closed when the test ends.
func (e Engine) Proxied(t testing.TB, address string) (p *faults.Proxy, through string) {
	t.Helper()
	if e.behind == nil {
		t.Fatalf("%s has no server to put a proxy in front of", e.Name)
	}
	server, rewrite, err := e.behind(address)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = faults.NewProxy(server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, rewrite(p.Addr())
}

// unique returns a unique name.
func unique() string { return "t_" + strings.ToLower(rand.Text()) }

var (
	// Recommended has the settings that the documentation of bunstore recommends, with a shorter busy_timeout, because
	// cases that wait for a cancelled call wait that long.
	Recommended = url.Values{
		"_pragma": {"journal_mode(WAL)", "busy_timeout(50)"},
		"_txlock": {"immediate"},
	}
	// Plain has only WAL of the recommended settings, so that a statement that meets a lock fails at once.
	Plain = url.Values{"_pragma": {"journal_mode(WAL)"}}
)

func onSQLite(name string, settings url.Values, conns int) Engine {
	return Engine{
		Name: name, conns: conns, on: sqliteHandle, connector: sqliteConnector,
		create: func(t testing.TB, _ string) string { return address(File(t), settings) },
	}
}

func address(file string, settings url.Values) string {
	return "file:" + file + "?" + settings.Encode()
}

func sqliteHandle(pool *sql.DB) *bun.DB { return bun.NewDB(pool, sqlitedialect.New()) }

func sqliteConnector(address string) (driver.Connector, error) {
	return opener{&sqlite.Driver{}, address}, nil
}

// opener is a connector for a driver that has none.
type opener struct {
	driver driver.Driver
	dsn    string
}

func (o opener) Driver() driver.Driver                        { return o.driver }
func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }

// File returns the name of a database file that does not exist yet, in a directory that is removed with the test.
func File(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// SQLite opens a database file with these settings and at most conns connections, and closes it when the test ends.
func SQLite(t testing.TB, file string, settings url.Values, conns int) *bun.DB {
	t.Helper()
	if file != ":memory:" {
		file = address(file, settings)
	}
	return onSQLite("", nil, conns).Connect(t, file)
}

// Faulty is like SQLite, but with faults; see [Engine.Faulty].
func Faulty(t testing.TB, file string, settings url.Values, conns int, fault func(statement string) error) *bun.DB {
	t.Helper()
	return onSQLite("", nil, conns).Faulty(t, address(file, settings), fault)
}
