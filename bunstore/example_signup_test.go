package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/url"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The application's tables.
type (
	user struct {
		ID       string `bun:",pk"`
		Email    string `bun:",unique"` // in the form of invitation.CanonicalEmail
		Verified bool
	}

	participant struct {
		OrganizationID string `bun:",pk"`
		UserID         string `bun:",pk"`
		Role           invitation.Role
	}
)

// accounts implements invitation.Directory on these tables.
type accounts struct{}

func (accounts) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := participant{OrganizationID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

func (accounts) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*user)(nil)).Column("email").
		Join("JOIN participants AS p ON p.user_id = id").
		Where("p.organization_id = ? AND LOWER(email) IN ? AND verified", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (accounts) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := user{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, invitation.ErrNotFound
	case err != nil || !u.Verified:
		return nil, err
	}
	return []string{u.Email}, nil
}

func (accounts) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").
		Model(&participant{m.OrganizationID, m.UserID, m.Role}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// Sign-up through an invitation link. The page shows what Preview returns; its form creates the account and accepts, in
// one transaction. The ticket proves the address, so the user is created with that address verified. This is safe only
// if links reach nothing but the mailbox: mail inv.URL or the result of Link to the address, show it to nobody, and
// leave Config.ManagersSeeLinks and Config.TicketProvesEmail off.
func Example_signUp() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	sqldb, err := sql.Open("sqlite", ":memory:")
	must(err)
	sqldb.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	db := bun.NewDB(sqldb, sqlitedialect.New())
	defer func() { _ = db.Close() }()
	must(db.ResetModel(ctx, (*user)(nil), (*participant)(nil)))
	_, err = db.NewInsert().Model(&user{"ann", "ann@acme.example", true}).Exec(ctx)
	must(err)
	_, err = db.NewInsert().Model(&participant{"acme", "ann", invitation.RoleAdmin}).Exec(ctx)
	must(err)
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	svc, err := invitation.NewService(store, accounts{}, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")}, // use a random, secret key in production
		AcceptURL:  "https://app.acme.example/join",
	})
	must(err)

	signUp := func(ctx context.Context, ticket, terms, userID string) error {
		inv, err := svc.Preview(ctx, ticket) // the address comes from the ticket, never from the form
		if err != nil {
			return err
		}
		email, err := invitation.CanonicalEmail(inv.EmailAddress)
		if err != nil {
			return err
		}
		return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewInsert().Model(&user{userID, email, true}).Exec(ctx); err != nil {
				return err
			}
			_, err := svc.WithStorage(store.WithTx(tx)).Accept(ctx, invitation.AcceptParams{
				Ticket: ticket,
				UserID: userID,
				Terms:  terms, // as shown on the page
			})
			return err
		})
	}

	for _, revoke := range []bool{true, false} {
		inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress:  "Carol@Example.com",
			Role:          invitation.RoleMember,
			InviterUserID: "ann",
		})
		must(err)
		link, err := url.Parse(inv.URL)
		must(err)
		ticket := link.Query().Get("invitation_ticket")
		page, err := svc.Preview(ctx, ticket)
		must(err)
		if revoke { // while carol is reading the page
			_, err := svc.Revoke(ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
			must(err)
		}
		err = signUp(ctx, ticket, page.Terms, "carol")
		fmt.Println("signed up:", err == nil, "revoked:", errors.Is(err, invitation.ErrRevoked))
		for _, table := range []string{"users", "participants"} {
			n, err := db.NewSelect().Table(table).Count(ctx)
			must(err)
			fmt.Println(" ", table, n)
		}
	}
	// Output:
	// signed up: false revoked: true
	//   users 1
	//   participants 1
	// signed up: true revoked: false
	//   users 2
	//   participants 2
}
