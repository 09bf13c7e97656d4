package invitation_test

import (
	"context"
	"crypto/rand"
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

// The application's own tables.
type user struct {
	ID    string `bun:",pk"`
	Email string `bun:",unique"` // verified at sign-up, in the form of invitation.CanonicalEmail
}

type membership struct {
	OrganizationID string `bun:",pk"`
	UserID         string `bun:",pk"`
	Role           invitation.Role
}

// directory answers for them. bunstore.DB(tx) is the transaction the service works in.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := membership{OrganizationID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

// LOWER finds rows that an older version of the application stored as they were typed. With a table of organizations
// the method would return invitation.ErrNotFound for one that is not there.
func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*user)(nil)).Column("email").
		Join("JOIN memberships AS m ON m.user_id = id").
		Where("m.organization_id = ? AND LOWER(email) IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := user{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{u.Email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").
		Model(&membership{m.OrganizationID, m.UserID, m.Role}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()

	// The application: a database with ann, an admin of acme, and bob.
	sqldb, err := sql.Open("sqlite", ":memory:")
	must(err)
	sqldb.SetMaxOpenConns(1) // each connection to :memory: is a database of its own; a file needs no such limit
	db := bun.NewDB(sqldb, sqlitedialect.New())
	must(db.ResetModel(ctx, (*user)(nil), (*membership)(nil)))
	_, err = db.NewInsert().Model(&[]user{{"ann", "ann@acme.example"}, {"bob", "bob@example.com"}}).Exec(ctx)
	must(err)
	_, err = db.NewInsert().Model(&membership{"acme", "ann", invitation.RoleAdmin}).Exec(ctx)
	must(err)

	// Invitations, in the same database.
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	key := make([]byte, 32) // keep yours with the other secrets: links live as long as it does
	_, _ = rand.Read(key)
	svc, err := invitation.NewService(store, directory{}, &invitation.Config{
		TicketKeys: [][]byte{key},
		AcceptURL:  "https://app.acme.example/join",
	})
	must(err)

	// Ann invites bob. Mail him inv.URL.
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "Bob@Example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
	})
	must(err)
	fmt.Println("invited:", inv.EmailAddress, "as", inv.RoleName)

	// Bob is signed in and opens the link. The membership and the invitation change in one transaction.
	link, err := url.Parse(inv.URL)
	must(err)
	_, err = svc.Accept(ctx, invitation.AcceptParams{
		Ticket: link.Query().Get("invitation_ticket"),
		UserID: "bob",
	})
	must(err)

	page, err := svc.List(ctx, "acme", invitation.ListParams{})
	must(err)
	for _, inv := range page.Data {
		fmt.Println("listed:", inv.EmailAddress, inv.Status)
	}
	members, err := db.NewSelect().Model((*membership)(nil)).Where("organization_id = 'acme'").Count(ctx)
	must(err)
	fmt.Println("members of acme:", members)

	// Output:
	// invited: Bob@Example.com as Member
	// listed: Bob@Example.com accepted
	// members of acme: 2
}
