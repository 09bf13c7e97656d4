// Package engines is the one table of databases the tests run on. Only tests import it.
//
// SQLite needs nothing. A server is named by an environment variable; a test that needs one which is not set is
// skipped, or fails where CI=true says that everything has to run.
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

// Engine is a database in a certain setting.
type Engine struct {
	Name string
	// Variable is the environment variable that has the address of the server; "" where there is none.
	Variable string
	// Single is set where every handle is a database of its own, so that nobody can share it.
	Single bool
	// Cluster is set where the connections of a handle are spread over the nodes of a cluster.
	Cluster bool

	conns int
	on    func(pool *sql.DB) *bun.DB // with the dialect
	// create makes a database that is new, empty and the test's own, and removes it when the test ends.
	create func(t testing.TB, server string) (address string)
	// connector is the driver's, for an address that create has returned.
	connector func(address string) (driver.Connector, error)
	// behind splits an address into the server's host and port, and the rest, which is an address with any other ones.
	// nil: there is no server.
	behind func(address string) (server string, rewrite func(server string) (address string), err error)
}

// All are the engines, the one to be recommended first.
func All() []Engine {
	all := []Engine{
		onSQLite("sqlite", Recommended, 8),
		onSQLite("sqlite-one-connection", Recommended, 1),
		onSQLite("sqlite-plain", Plain, 16),
		{
			Name: "sqlite-memory", Single: true, conns: 1, on: sqliteHandle, connector: sqliteConnector,
			create: func(testing.TB, string) string { return ":memory:" },
		},
	}
	return append(append(all, postgres()...), mysql()...)
}

// Named returns one of All.
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

// On runs fn as a subtest for each of list whose server is there.
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

// server is the address of the server. Without one there is no test.
func (e Engine) server(t testing.TB) string {
	t.Helper()
	if e.Variable == "" {
		return ""
	}
	server := os.Getenv(e.Variable)
	switch {
	case server != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set, and CI=true leaves nothing out: set it to the address of a server", e.Variable)
	default:
		t.Skipf("set %s to the address of a server to run this", e.Variable)
	}
	return server
}

// New makes a database that is new, empty and the test's own, and goes with it. Its address is for Connect, also in
// another process.
func (e Engine) New(t testing.TB) (address string) {
	t.Helper()
	return e.create(t, e.server(t))
}

// Connect returns a handle on a database, which is closed when the test ends.
func (e Engine) Connect(t testing.TB, address string) *bun.DB {
	t.Helper()
	return e.Wrapped(t, address, func(c driver.Connector) driver.Connector { return c })
}

// Wrapped is Connect through what wrap makes of the driver's connector.
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

// Open returns a handle on a database of its own.
func (e Engine) Open(t testing.TB) *bun.DB {
	t.Helper()
	return e.Connect(t, e.New(t))
}

// Faulty is Connect with a driver that asks fault before every statement, BEGIN, COMMIT and ROLLBACK included, and
// fails with the error it returns instead of running it. Even a COMMIT or ROLLBACK that fails ends the transaction.
func (e Engine) Faulty(t testing.TB, address string, fault func(statement string) error) *bun.DB {
	t.Helper()
	return e.Wrapped(t, address, func(c driver.Connector) driver.Connector {
		return faults.Wrap(c, func(call faults.Call) faults.Fault {
			if call.Op == faults.Connect {
				return faults.Fault{}
			}
			if err := fault(call.Statement); err != nil {
				return faults.Fault{Kind: faults.Abort, Err: err}
			}
			return faults.Fault{}
		})
	})
}

// Proxied starts a proxy in front of the database's server, and of a cluster's first node, and returns the address of
// the database behind it. The proxy is closed when the test ends.
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

// unique is a name nobody else has.
func unique() string { return "t_" + strings.ToLower(rand.Text()) }

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

// opener is the connector of a driver that has none.
type opener struct {
	driver driver.Driver
	dsn    string
}

func (o opener) Driver() driver.Driver                        { return o.driver }
func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }

// File is the name of a database file that does not exist yet, in a directory that goes with the test.
func File(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// SQLite opens file with these settings and at most conns connections, and closes it when the test ends.
func SQLite(t testing.TB, file string, settings url.Values, conns int) *bun.DB {
	t.Helper()
	if file != ":memory:" {
		file = address(file, settings)
	}
	return onSQLite("", nil, conns).Connect(t, file)
}

// Faulty is SQLite with settings and with faults; see [Engine.Faulty].
func Faulty(t testing.TB, file string, settings url.Values, conns int, fault func(statement string) error) *bun.DB {
	t.Helper()
	return onSQLite("", nil, conns).Faulty(t, address(file, settings), fault)
}
