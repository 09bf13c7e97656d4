package bun_test

import (
	"context"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
)

func TestHost(t *testing.T) {
	hosts.Run(t, hosts.All(), func(t *testing.T, d hosts.Database) hosts.Host {
		db := bun.NewDB(d.Open(t), d.Dialect())
		a, err := open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return hosts.Host{
			Store: a.store, Directory: directory{}, Service: a.svc,
			SignUp: func(ctx context.Context, organizationID, userID, email string, paid bool) error {
				return a.signUp(ctx, organizationID, account{userID, email}, paid)
			},
		}
	})
}
