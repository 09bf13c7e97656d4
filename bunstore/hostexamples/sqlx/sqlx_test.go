package sqlx_test

import (
	"context"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
)

func TestHost(t *testing.T) {
	hosts.Run(t, hosts.All(), func(t *testing.T, d hosts.Database) hosts.Host {
		db := sqlx.NewDb(d.Open(t), d.Driver())
		a, err := open(t.Context(), db, d.Dialect())
		if err != nil {
			t.Fatal(err)
		}
		return hosts.Host{
			Store: a.store, Directory: directory{db}, Service: a.svc,
			SignUp: func(ctx context.Context, organizationID, userID, email string, paid bool) error {
				return a.signUp(ctx, organizationID, account{userID, email}, paid)
			},
		}
	})
}
