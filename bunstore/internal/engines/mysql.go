package engines

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"log"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
)

func init() {
	// Tests cancel statements and kill nodes. The driver would log each connection that ends as a result.
	_ = gomysql.SetLogger(log.New(io.Discard, "", 0))
}

// mysql returns the engines that speak the MySQL protocol, with different DSN parameters. An address is a DSN of
// go-sql-driver. For a cluster, it is one DSN for each node, separated by commas.
func mysql() []Engine {
	set := func(name, value string) func(*gomysql.Config) {
		return func(c *gomysql.Config) { c.Params[name] = value }
	}
	galera := onMySQL("galera", "ORGINVITE_GALERA",
		func(c *gomysql.Config) { c.ParseTime = true }, set("wsrep_sync_wait", "1"))
	galera.Cluster = true
	return []Engine{
		onMySQL("mariadb", "ORGINVITE_MARIADB", func(c *gomysql.Config) { c.ParseTime = true }),
		onMySQL("mariadb-text-times", "ORGINVITE_MARIADB",
			func(c *gomysql.Config) { c.ParseTime = false }, set("time_zone", "'+05:30'")),
		onMySQL("mariadb-options", "ORGINVITE_MARIADB",
			func(c *gomysql.Config) { c.ParseTime, c.ClientFoundRows, c.InterpolateParams = true, true, true },
			set("tx_isolation", "'READ-COMMITTED'")),
		galera,
	}
}

// OneNode returns Galera with all connections on the same node. Only there does a transaction wait for the lock of
// another one. Across nodes both continue, and the one that commits last is aborted.
func OneNode() Engine {
	e := onMySQL("galera-one-node", "ORGINVITE_GALERA", func(c *gomysql.Config) { c.ParseTime = true })
	create := e.create
	e.create = func(t testing.TB, server string) string {
		first, _, _ := strings.Cut(server, ",")
		return create(t, first)
	}
	return e
}

func onMySQL(name, variable string, settings ...func(*gomysql.Config)) Engine {
	return Engine{
		Name: name, Variable: variable, conns: 8, connector: mysqlConnector, behind: mysqlServer,
		on:     func(pool *sql.DB) *bun.DB { return bun.NewDB(pool, mysqldialect.New()) },
		create: func(t testing.TB, server string) string { return newDatabase(t, server, settings) },
	}
}

// newDatabase creates a database and returns its address.
func newDatabase(t testing.TB, server string, settings []func(*gomysql.Config)) string {
	t.Helper()
	admin := mysqlAdmin(t, server)
	name := unique()
	if _, err := admin.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	var nodes []string
	for dsn := range strings.SplitSeq(server, ",") {
		cfg, err := gomysql.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Params == nil {
			cfg.Params = map[string]string{}
		}
		cfg.ReadTimeout = time.Minute // as the README recommends
		for _, set := range settings {
			set(cfg)
		}
		cfg.DBName = name
		nodes = append(nodes, cfg.FormatDSN())
	}
	if len(nodes) > 1 {
		for _, node := range nodes {
			waitForDatabase(t, node)
		}
	}
	return strings.Join(nodes, ",")
}

// waitForDatabase waits until a node of a cluster has applied the CREATE DATABASE of another one.
func waitForDatabase(t testing.TB, node string) {
	t.Helper()
	db, err := sql.Open("mysql", node)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("a node of the cluster: %v", err)
		}
	}
}

// mysqlConnector connects to the nodes in turn, and skips those that do not answer.
func mysqlConnector(address string) (driver.Connector, error) {
	var list roundRobin
	for dsn := range strings.SplitSeq(address, ",") {
		cfg, err := gomysql.ParseDSN(dsn)
		if err != nil {
			return nil, err
		}
		c, err := gomysql.NewConnector(cfg)
		if err != nil {
			return nil, err
		}
		list.nodes = append(list.nodes, c)
	}
	return &list, nil
}

func mysqlServer(address string) (server string, rewrite func(string) string, err error) {
	first, _, _ := strings.Cut(address, ",")
	cfg, err := gomysql.ParseDSN(first)
	if err != nil {
		return "", nil, err
	}
	if cfg.Net != "tcp" {
		return "", nil, errors.New("the address of the server does not use tcp")
	}
	return cfg.Addr, func(server string) string {
		there := cfg.Clone()
		there.Addr = server
		return there.FormatDSN()
	}, nil
}

type roundRobin struct {
	nodes []driver.Connector
	next  atomic.Uint64
}

func (r *roundRobin) Driver() driver.Driver { return r.nodes[0].Driver() }

func (r *roundRobin) Connect(ctx context.Context) (driver.Conn, error) {
	var errs []error
	first := r.next.Add(1)
	for i := range r.nodes {
		conn, err := r.nodes[(first+uint64(i))%uint64(len(r.nodes))].Connect(ctx)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

var mysqlAdmins sync.Map // of *sql.DB, by server; they last as long as the process

func mysqlAdmin(t testing.TB, server string) *sql.DB {
	t.Helper()
	if admin, ok := mysqlAdmins.Load(server); ok {
		return admin.(*sql.DB)
	}
	c, err := mysqlConnector(server)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(c)
	pool.SetMaxIdleConns(2)
	admin, loaded := mysqlAdmins.LoadOrStore(server, pool)
	if loaded {
		_ = pool.Close()
	}
	return admin.(*sql.DB)
}
