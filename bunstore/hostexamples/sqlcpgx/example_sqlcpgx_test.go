package sqlcpgx_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/hostexamples/sqlcpgx/pgdb"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The application's tables are in schema.sql, and its queries in queries.sql. sqlc has generated package pgdb.
//
//go:embed schema.sql
var tables string

// directory answers from these tables. pgxtx.Tx(tx) is the transaction that the service works in.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	role, err := pgdb.New(pgxtx.Tx(tx)).Role(ctx, pgdb.RoleParams{OrganizationID: org, UserID: userID})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return role, err
}

func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	return pgdb.New(pgxtx.Tx(tx)).MemberEmails(ctx, pgdb.MemberEmailsParams{OrganizationID: org, Emails: emails})
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	email, err := pgdb.New(pgxtx.Tx(tx)).Email(ctx, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	added, err := pgdb.New(pgxtx.Tx(tx)).AddMember(ctx, pgdb.AddMemberParams{
		OrganizationID: m.OrganizationID,
		UserID:         m.UserID,
		Role:           m.Role,
	})
	if err == nil && added == 0 {
		return invitation.ErrAlreadyMember
	}
	return err
}

// app is the application.
type app struct {
	pool  *pgxpool.Pool
	store *bunstore.Store
	svc   *invitation.Service
}

// open creates the tables. The store works on the same pool; the application uses bun nowhere else.
func open(ctx context.Context, pool *pgxpool.Pool) (*app, error) {
	if _, err := pool.Exec(ctx, tables); err != nil {
		return nil, err
	}
	store, err := bunstore.New(bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New()), nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{}, nil)
	return &app{pool, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction of pgx. The library joins it with
// pgxtx.WithTx.
func (a *app) signUp(ctx context.Context, organization, founder, email string, paid bool) error {
	return pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		queries, svc := pgdb.New(tx), a.svc.WithStorage(pgxtx.WithTx(a.store, tx))
		if err := queries.AddAccount(ctx, pgdb.AddAccountParams{ID: founder, Email: email}); err != nil {
			return err
		}
		_, err := queries.AddMember(ctx, pgdb.AddMemberParams{
			OrganizationID: organization,
			UserID:         founder,
			Role:           invitation.RoleAdmin,
		})
		if err != nil {
			return err
		}
		_, err = svc.Create(ctx, organization, invitation.CreateParams{
			EmailAddress:  "bob@example.com",
			Role:          invitation.RoleMember,
			InviterUserID: founder,
		})
		if err == nil && !paid {
			err = errors.New("the card was declined")
		}
		return err
	})
}

// An account, a membership and an invitation are committed together, or not at all.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	must(err)
	defer pool.Close()
	a, err := open(ctx, pool)
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", "ann", "ann@acme.example", paid))
		for _, table := range []string{"accounts", "memberships", "organization_invitations"} {
			var n int
			must(pool.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n))
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
