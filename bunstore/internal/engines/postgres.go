package engines

import (
	"database/sql"
	"database/sql/driver"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

// postgres returns the engines of PostgreSQL, with different drivers and default isolation levels. The address is a
// URL.
func postgres() []Engine {
	const simple, isolation = "default_query_exec_mode", "default_transaction_isolation"
	return []Engine{
		onPostgres("postgres", pgxConnector, url.Values{simple: {"simple_protocol"}}),
		Bound(),
		onPostgres("postgres-pq", pqConnector, nil),
		onPostgres("postgres-repeatable-read", pgxConnector,
			url.Values{simple: {"simple_protocol"}, isolation: {"repeatable read"}}),
		onPostgres("postgres-serializable", pgxConnector,
			url.Values{simple: {"simple_protocol"}, isolation: {"serializable"}}),
	}
}

// PgxDefault returns PostgreSQL with pgx's default mode, in which it prepares each text that bun sends.
func PgxDefault() Engine { return onPostgres("postgres-pgx-default", pgxConnector, nil) }

// Bound returns PostgreSQL for stores with bound arguments.
func Bound() Engine {
	e := onPostgres("postgres-bound", pgxConnector, url.Values{"default_query_exec_mode": {"simple_protocol"}})
	e.on = func(pool *sql.DB) *bun.DB { return bun.NewDB(pool, boundPostgres{pgdialect.New()}) }
	return e
}

type boundPostgres struct{ *pgdialect.Dialect }

func (boundPostgres) binds() {}

func onPostgres(name string, connector func(string) (driver.Connector, error), settings url.Values) Engine {
	return Engine{
		Name: name, Variable: "ORGINVITE_POSTGRES", conns: 8, connector: connector, behind: postgresServer,
		on:     func(pool *sql.DB) *bun.DB { return bun.NewDB(pool, pgdialect.New()) },
		create: func(t testing.TB, server string) string { return newSchema(t, server, settings) },
	}
}

func postgresServer(address string) (server string, rewrite func(string) string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, err
	}
	server = u.Host
	if u.Port() == "" {
		server = net.JoinHostPort(u.Hostname(), "5432")
	}
	return server, func(server string) string {
		there := *u
		there.Host = server
		return there.String()
	}, nil
}

// pgxOnly lists the URL parameters that only pgx understands. Other drivers pass them on to the server, which refuses
// them. They are removed from the address of the server, and each engine sets its own.
var pgxOnly = []string{"default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity"}

var admins sync.Map // of *sql.DB, by address; they last as long as the process

// newSchema creates a schema and returns an address whose search_path is that schema alone.
func newSchema(t testing.TB, server string, settings url.Values) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("ORGINVITE_POSTGRES is not a URL: %v", err)
	}
	admin, ok := admins.Load(server)
	if !ok {
		pool, err := sql.Open("pgx", server)
		if err != nil {
			t.Fatal(err)
		}
		pool.SetMaxIdleConns(2)
		if admin, ok = admins.LoadOrStore(server, pool); ok {
			_ = pool.Close()
		}
	}
	name := unique()
	if _, err := admin.(*sql.DB).Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.(*sql.DB).Exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Error(err)
		}
	})
	all := u.Query()
	for _, name := range pgxOnly {
		all.Del(name)
	}
	for key, value := range settings {
		all[key] = value
	}
	all.Set("search_path", name)
	u.RawQuery = strings.ReplaceAll(all.Encode(), "+", "%20") // only HTML forms read + as a space
	return u.String()
}

func pgxConnector(address string) (driver.Connector, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	return stdlib.GetConnector(*cfg), nil
}

func pqConnector(address string) (driver.Connector, error) { return pq.NewConnector(address) }
