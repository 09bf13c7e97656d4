package ent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/orginvite/orginvite/bunstore/hostexamples/ent/ent"
	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// dialects are ent's names of the engines.
var dialects = map[hosts.Engine]string{
	hosts.SQLite: dialect.SQLite, hosts.Postgres: dialect.Postgres, hosts.MariaDB: dialect.MySQL,
}

// ent's migration writes to variables of the generated package, so databases of one process are migrated one by one.
var migrating sync.Mutex

func migrated(t *testing.T, driver *entsql.Driver, e hosts.Engine) *app {
	t.Helper()
	migrating.Lock()
	defer migrating.Unlock()
	a, err := open(t.Context(), driver, e.Dialect())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestHost(t *testing.T) {
	hosts.Run(t, hosts.All(), func(t *testing.T, d hosts.Database) hosts.Host {
		driver := entsql.OpenDB(dialects[d.Engine], d.Open(t))
		a := migrated(t, driver, d.Engine)
		return hosts.Host{
			Store: a.store, Directory: directory{driver.Dialect()}, Service: a.svc, SignUp: a.signUp,
		}
	})
}

// newApp opens the application on a new database of SQLite, with one connection.
func newApp(t *testing.T) (*app, *entsql.Driver) {
	t.Helper()
	driver := entsql.OpenDB(dialect.SQLite, hosts.NewSQLite(t, 1).Open(t))
	return migrated(t, driver, hosts.SQLite), driver
}

// A client that logs its statements wraps its transactions. The library joins them all the same.
func TestDebug(t *testing.T) {
	a, driver := newApp(t)
	logged := 0
	a.client = ent.NewClient(ent.Driver(driver), ent.Log(func(...any) { logged++ })).Debug()
	if err := a.signUp(t.Context(), "acme", "ann", "ann@acme.example", true); err != nil || logged == 0 {
		t.Fatalf("error %v, %d statements logged; want some", err, logged)
	}
}

// If the transaction of a client is not one of database/sql, the library says so and nothing is written.
func TestForeignDriver(t *testing.T) {
	a, driver := newApp(t)
	a.client = ent.NewClient(ent.Driver(foreign{driver}))
	err := a.signUp(t.Context(), "acme", "ann", "ann@acme.example", true)
	if err == nil || !strings.Contains(err.Error(), "WithSQLTx was given no transaction") {
		t.Fatal(err)
	}
	if page, err := a.svc.ListAll(t.Context(), invitation.ListParams{}); err != nil || page.TotalCount != 0 {
		t.Fatalf("%d invitations, error %v; want none", page.TotalCount, err)
	}
}

type foreign struct{ *entsql.Driver }

func (f foreign) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(f.Driver), nil }

// The client of the Directory can do what a client of ent can, also what makes ent begin a transaction. It works in the
// transaction of the service.
func TestUpdateInTx(t *testing.T) {
	a, driver := newApp(t)
	if err := a.signUp(t.Context(), "acme", "ann", "ann@acme.example", true); err != nil {
		t.Fatal(err)
	}
	undo := errors.New("undo")
	err := a.store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		err := directory{driver.Dialect()}.in(tx).Account.UpdateOneID("ann").SetEmail("ann@example.com").Exec(ctx)
		return errors.Join(err, undo)
	})
	if got := a.client.Account.GetX(t.Context(), "ann").Email; err.Error() != "undo" || got != "ann@acme.example" {
		t.Fatalf("%s, error %v; want the update undone", got, err)
	}
}
