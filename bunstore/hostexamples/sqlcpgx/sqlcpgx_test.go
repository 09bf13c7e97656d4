package sqlcpgx_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
)

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate

func TestMain(m *testing.M) { os.Exit(hosts.Main(m)) }

func TestHost(t *testing.T) {
	hosts.Run(t, []hosts.Engine{hosts.Postgres}, func(t *testing.T, d hosts.Database) hosts.Host {
		cfg, err := pgxpool.ParseConfig(d.Address)
		if err != nil {
			t.Fatal(err)
		}
		cfg.MaxConns = int32(d.Conns)
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		a, err := open(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		return hosts.Host{Store: a.store, Directory: directory{}, Service: a.svc, SignUp: a.signUp}
	})
}
