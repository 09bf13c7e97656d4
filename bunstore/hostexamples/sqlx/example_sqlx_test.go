package sqlx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The tables of the application. An email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
const (
	accounts = `CREATE TABLE IF NOT EXISTS accounts (
		id    VARCHAR(191) PRIMARY KEY,
		email VARCHAR(320) NOT NULL UNIQUE
	)`
	memberships = `CREATE TABLE IF NOT EXISTS memberships (
		organization_id VARCHAR(191),
		user_id         VARCHAR(191),
		role            VARCHAR(191) NOT NULL,
		PRIMARY KEY (organization_id, user_id)
	)`
)

type account struct{ ID, Email string }

type membership struct {
	OrganizationID string `db:"organization_id"`
	UserID         string `db:"user_id"`
	Role           invitation.Role
}

// directory answers from these tables.
type directory struct{ db *sqlx.DB }

// in returns a handle of sqlx on the transaction that the service works in. Outside of one, it works on the pool.
func (d directory) in(tx storage.Storage) sqlx.ExtContext {
	if sqlTx, ok := bunstore.SQL(tx).(*sql.Tx); ok {
		return &sqlx.Tx{Tx: sqlTx, Mapper: d.db.Mapper}
	}
	return d.db
}

func (d directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (role invitation.Role, err error) {
	query := d.db.Rebind("SELECT role FROM memberships WHERE organization_id = ? AND user_id = ?")
	err = sqlx.GetContext(ctx, d.in(tx), &role, query, org, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return role, err
}

func (d directory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) (found []string, err error) {
	query, args, err := sqlx.In("SELECT email FROM accounts JOIN memberships ON user_id = id "+
		"WHERE organization_id = ? AND LOWER(email) IN (?)", org, emails)
	if err != nil {
		return nil, err
	}
	err = sqlx.SelectContext(ctx, d.in(tx), &found, d.db.Rebind(query), args...)
	return found, err
}

func (d directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var a account
	err := sqlx.GetContext(ctx, d.in(tx), &a, d.db.Rebind("SELECT id, email FROM accounts WHERE id = ?"), userID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{a.Email}, err
}

func (d directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	insert := "INSERT INTO memberships VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
	if d.db.DriverName() == "mysql" {
		insert = "INSERT IGNORE INTO memberships VALUES (?, ?, ?)"
	}
	res, err := d.in(tx).ExecContext(ctx, d.db.Rebind(insert), m.OrganizationID, m.UserID, m.Role)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// app is the application.
type app struct {
	db    *sqlx.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open creates the tables. The store gets the connection pool of sqlx; the application uses bun nowhere else.
func open(ctx context.Context, db *sqlx.DB, dialect schema.Dialect) (*app, error) {
	for _, table := range []string{accounts, memberships} {
		if _, err := db.ExecContext(ctx, table); err != nil {
			return nil, err
		}
	}
	store, err := bunstore.New(bun.NewDB(db.DB, dialect), nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{db}, nil)
	return &app{db, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction of sqlx. The library joins it with
// WithSQLTx.
func (a *app) signUp(ctx context.Context, organization string, founder account, paid bool) error {
	tx, err := a.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	svc := a.svc.WithStorage(a.store.WithSQLTx(tx.Tx))
	_, err = tx.NamedExecContext(ctx, "INSERT INTO accounts VALUES (:id, :email)", founder)
	if err != nil {
		return err
	}
	_, err = tx.NamedExecContext(ctx, "INSERT INTO memberships VALUES (:organization_id, :user_id, :role)",
		membership{organization, founder.ID, invitation.RoleAdmin})
	if err != nil {
		return err
	}
	_, err = svc.Create(ctx, organization, invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: founder.ID,
	})
	if err != nil {
		return err
	}
	if !paid {
		return errors.New("the card was declined")
	}
	return tx.Commit()
}

// An account, a membership and an invitation are committed together, or not at all.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	db, err := sqlx.Open("sqlite", ":memory:")
	must(err)
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	a, err := open(ctx, db, sqlitedialect.New())
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", account{"ann", "ann@acme.example"}, paid))
		for _, table := range []string{"accounts", "memberships", "organization_invitations"} {
			var n int
			must(db.GetContext(ctx, &n, "SELECT count(*) FROM "+table))
			fmt.Println(" ", table, n)
		}
	}
	// Output:
	// error: the card was declined
	//   accounts 0
	//   memberships 0
	//   organization_invitations 0
	// error: <nil>
	//   accounts 1
	//   memberships 1
	//   organization_invitations 1
}
