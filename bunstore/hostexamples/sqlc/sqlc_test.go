package sqlc_test

import (
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
	"github.com/orginvite/orginvite/bunstore/hostexamples/sqlc/mysqldb"
	"github.com/orginvite/orginvite/bunstore/hostexamples/sqlc/postgresdb"
	"github.com/orginvite/orginvite/bunstore/hostexamples/sqlc/sqlitedb"
)

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate

func TestHost(t *testing.T) {
	queries := map[hosts.Engine]newQueries{
		hosts.SQLite:   func(conn sqlitedb.DBTX) sqlitedb.Querier { return sqlitedb.New(conn) },
		hosts.Postgres: func(conn sqlitedb.DBTX) sqlitedb.Querier { return postgresdb.New(conn) },
		hosts.MariaDB:  func(conn sqlitedb.DBTX) sqlitedb.Querier { return mysqldb.New(conn) },
	}
	hosts.Run(t, hosts.All(), func(t *testing.T, d hosts.Database) hosts.Host {
		if d.Engine == hosts.MariaDB {
			d.Address += "&multiStatements=true" // for schema.sql
		}
		a, err := open(t.Context(), d.Open(t), d.Dialect(), queries[d.Engine])
		if err != nil {
			t.Fatal(err)
		}
		return hosts.Host{Store: a.store, Directory: directory{a.queries}, Service: a.svc, SignUp: a.signUp}
	})
}
