package bun_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The models of the application. An email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
type account struct {
	ID    string `bun:",pk"`
	Email string `bun:",unique"`
}

type membership struct {
	OrganizationID string `bun:",pk"`
	UserID         string `bun:",pk"`
	Role           invitation.Role
}

// directory answers from these models. bunstore.DB(tx) is the transaction that the service works in.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := membership{OrganizationID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

func (directory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) (found []string, err error) {
	err = bunstore.DB(tx).NewSelect().Model((*account)(nil)).Column("email").
		Join("JOIN memberships AS m ON m.user_id = id").
		Where("m.organization_id = ? AND LOWER(email) IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	a := account{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&a).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{a.Email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().Ignore().Model(&membership{m.OrganizationID, m.UserID, m.Role}).Exec(ctx)
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
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open creates the tables.
func open(ctx context.Context, db *bun.DB) (*app, error) {
	for _, model := range []any{(*account)(nil), (*membership)(nil)} {
		if _, err := db.NewCreateTable().Model(model).IfNotExists().Exec(ctx); err != nil {
			return nil, err
		}
	}
	store, err := bunstore.New(db, nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{}, nil)
	return &app{db, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction of bun. The library joins it with WithTx.
func (a *app) signUp(ctx context.Context, organization string, founder account, paid bool) error {
	return a.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		svc := a.svc.WithStorage(a.store.WithTx(tx))
		if _, err := tx.NewInsert().Model(&founder).Exec(ctx); err != nil {
			return err
		}
		admin := membership{organization, founder.ID, invitation.RoleAdmin}
		if _, err := tx.NewInsert().Model(&admin).Exec(ctx); err != nil {
			return err
		}
		_, err := svc.Create(ctx, organization, invitation.CreateParams{
			EmailAddress:  "bob@example.com",
			Role:          invitation.RoleMember,
			InviterUserID: founder.ID,
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
	pool, err := sql.Open("sqlite", ":memory:")
	must(err)
	pool.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	db := bun.NewDB(pool, sqlitedialect.New())
	defer func() { _ = db.Close() }()
	a, err := open(ctx, db)
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", account{"ann", "ann@acme.example"}, paid))
		for _, table := range []string{"accounts", "memberships", "organization_invitations"} {
			n, err := db.NewSelect().Table(table).Count(ctx)
			must(err)
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
