package sqlc_test

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/hostexamples/sqlc/sqlitedb"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The application's tables are in schema.sql, and its queries in sqlite.sql. sqlc has generated package sqlitedb.
//
//go:embed schema.sql
var tables string

// newQueries returns the generated queries on a transaction or a pool. In an application it is sqlitedb.New. Here the
// tests run the same code on the packages that sqlc has generated for other engines.
type newQueries func(sqlitedb.DBTX) sqlitedb.Querier

// directory answers from these tables. bunstore.SQL(tx) is the transaction that the service works in.
type directory struct{ queries newQueries }

func (d directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	role, err := d.queries(bunstore.SQL(tx)).Role(ctx, org, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return role, err
}

func (d directory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) ([]string, error) {
	return d.queries(bunstore.SQL(tx)).MemberEmails(ctx, org, emails)
}

func (d directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	email, err := d.queries(bunstore.SQL(tx)).Email(ctx, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{email}, err
}

func (d directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	added, err := d.queries(bunstore.SQL(tx)).AddMember(ctx, m.OrganizationID, m.UserID, m.Role)
	if err == nil && added == 0 {
		return invitation.ErrAlreadyMember
	}
	return err
}

// app is the application.
type app struct {
	db      *sql.DB
	queries newQueries
	store   *bunstore.Store
	svc     *invitation.Service
}

// open creates the tables. The application uses bun nowhere else.
func open(ctx context.Context, db *sql.DB, dialect schema.Dialect, queries newQueries) (*app, error) {
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return nil, err
	}
	store, err := bunstore.New(bun.NewDB(db, dialect), nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{queries}, nil)
	return &app{db, queries, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction. The library joins it with WithSQLTx.
func (a *app) signUp(ctx context.Context, organization, founder, email string, paid bool) error {
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	queries, svc := a.queries(tx), a.svc.WithStorage(a.store.WithSQLTx(tx))
	if err := queries.AddAccount(ctx, founder, email); err != nil {
		return err
	}
	if _, err := queries.AddMember(ctx, organization, founder, invitation.RoleAdmin); err != nil {
		return err
	}
	_, err = svc.Create(ctx, organization, invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: founder,
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
	db, err := sql.Open("sqlite", ":memory:")
	must(err)
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	queries := func(conn sqlitedb.DBTX) sqlitedb.Querier { return sqlitedb.New(conn) }
	a, err := open(ctx, db, sqlitedialect.New(), queries)
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", "ann", "ann@acme.example", paid))
		for _, table := range []string{"accounts", "memberships", "organization_invitations"} {
			var n int
			must(db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n))
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
