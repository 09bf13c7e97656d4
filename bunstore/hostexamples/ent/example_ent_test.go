package ent_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/hostexamples/ent/ent"
	"github.com/orginvite/orginvite/bunstore/hostexamples/ent/ent/account"
	"github.com/orginvite/orginvite/bunstore/hostexamples/ent/ent/membership"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// directory answers from the models in ent/schema.
type directory struct{ dialect string }

// in returns a client of ent on the transaction that the service works in.
func (d directory) in(tx storage.Storage) *ent.Client {
	conn := entsql.Conn{ExecQuerier: bunstore.SQL(tx)}
	return ent.NewClient(ent.Driver(joined{entsql.NewDriver(d.dialect, conn)}))
}

// joined is a driver in a transaction that somebody else begins and ends. Some builders of ent begin one.
type joined struct{ *entsql.Driver }

func (j joined) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(j), nil }

func (d directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m, err := d.in(tx).Membership.Query().
		Where(membership.OrganizationID(org), membership.UserID(userID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", invitation.ErrNotMember
	}
	if err != nil {
		return "", err
	}
	return m.Role, nil
}

func (d directory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) ([]string, error) {
	asked := make([]any, len(emails))
	for i, email := range emails {
		asked[i] = email
	}
	return d.in(tx).Account.Query().Where(func(s *entsql.Selector) {
		m := entsql.Table(membership.Table)
		s.Join(m).On(m.C(membership.FieldUserID), s.C(account.FieldID))
		s.Where(entsql.EQ(m.C(membership.FieldOrganizationID), org))
		s.Where(entsql.In(entsql.Lower(s.C(account.FieldEmail)), asked...))
	}).Select(account.FieldEmail).Strings(ctx)
}

func (d directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	a, err := d.in(tx).Account.Get(ctx, userID)
	if ent.IsNotFound(err) {
		return nil, invitation.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return []string{a.Email}, nil
}

// Join inserts in a nested transaction, because on PostgreSQL a duplicate would make the whole transaction fail.
func (d directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	err := tx.RunInTx(ctx, func(ctx context.Context, nested storage.Storage) error {
		return d.in(nested).Membership.Create().
			SetOrganizationID(m.OrganizationID).SetUserID(m.UserID).SetRole(m.Role).Exec(ctx)
	})
	if ent.IsConstraintError(err) {
		return invitation.ErrAlreadyMember
	}
	return err
}

// app is the application.
type app struct {
	client *ent.Client
	store  *bunstore.Store
	svc    *invitation.Service
}

// open creates the tables. The store gets the connection pool of ent; the application uses bun nowhere else.
func open(ctx context.Context, driver *entsql.Driver, dialect schema.Dialect) (*app, error) {
	client := ent.NewClient(ent.Driver(driver))
	if err := client.Schema.Create(ctx); err != nil {
		return nil, err
	}
	store, err := bunstore.New(bun.NewDB(driver.DB(), dialect), nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{driver.Dialect()}, nil)
	return &app{client, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction of ent. The library joins it with
// WithSQLTx. The method SQLTx is a few lines in the package that ent generates: copy ent/sqltx.go.
func (a *app) signUp(ctx context.Context, organization, founder, email string, paid bool) error {
	tx, err := a.client.Tx(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	svc := a.svc.WithStorage(a.store.WithSQLTx(tx.SQLTx()))
	if err := tx.Account.Create().SetID(founder).SetEmail(email).Exec(ctx); err != nil {
		return err
	}
	err = tx.Membership.Create().
		SetOrganizationID(organization).SetUserID(founder).SetRole(invitation.RoleAdmin).Exec(ctx)
	if err != nil {
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
	pool, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	must(err)
	defer func() { _ = pool.Close() }()
	pool.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	a, err := open(ctx, entsql.OpenDB(dialect.SQLite, pool), sqlitedialect.New())
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", "ann", "ann@acme.example", paid))
		accounts, err := a.client.Account.Query().Count(ctx)
		must(err)
		memberships, err := a.client.Membership.Query().Count(ctx)
		must(err)
		page, err := a.svc.List(ctx, "acme", invitation.ListParams{})
		must(err)
		fmt.Println("  accounts", accounts)
		fmt.Println("  memberships", memberships)
		fmt.Println("  organization_invitations", page.TotalCount)
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
