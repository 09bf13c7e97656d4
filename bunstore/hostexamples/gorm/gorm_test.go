package gorm_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/orginvite/orginvite/bunstore/hostexamples/internal/hosts"
	"github.com/orginvite/orginvite/invitation"
)

func TestHost(t *testing.T) {
	dialectors := map[hosts.Engine]func(address string) gorm.Dialector{
		hosts.SQLite: sqlite.Open, hosts.Postgres: postgres.Open, hosts.MariaDB: mysql.Open,
	}
	hosts.Run(t, hosts.All(), func(t *testing.T, d hosts.Database) hosts.Host {
		db, err := gorm.Open(dialectors[d.Engine](d.Address), &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		d.Limit(t, pool)
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

// With PrepareStmt the transaction is where the comment of signUp says.
func TestPrepareStmt(t *testing.T) {
	d := hosts.NewSQLite(t, 1)
	db, err := gorm.Open(sqlite.Open(d.Address), &gorm.Config{PrepareStmt: true, Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	d.Limit(t, pool)
	a, err := open(t.Context(), db, d.Dialect())
	if err != nil {
		t.Fatal(err)
	}
	undo := errors.New("undo")
	for _, want := range []error{undo, nil} {
		err = db.Transaction(func(tx *gorm.DB) error {
			sqlTx := tx.Statement.ConnPool.(*gorm.PreparedStmtTX).Tx.(*sql.Tx)
			_, err := a.svc.WithStorage(a.store.WithSQLTx(sqlTx)).Create(t.Context(), "acme",
				invitation.CreateParams{EmailAddress: "bob@example.com", Role: invitation.RoleMember})
			return errors.Join(err, tx.Create(&account{"ann", "ann@acme.example"}).Error, want)
		})
		if !errors.Is(err, want) {
			t.Fatal(err)
		}
		page, err := a.svc.List(t.Context(), "acme", invitation.ListParams{})
		if wanted := map[error]int{nil: 1}[want]; err != nil || page.TotalCount != wanted {
			t.Fatalf("%d invitations, error %v; want %d", page.TotalCount, err, wanted)
		}
	}
}
