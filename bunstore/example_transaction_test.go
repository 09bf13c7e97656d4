package bunstore_test

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

// The application's tables.
type (
	workspace struct {
		ID    string `bun:",pk"`
		Seats int    // paid for; 0 means unlimited
	}

	colleague struct {
		WorkspaceID string `bun:",pk"`
		UserID      string `bun:",pk"`
		Email       string // verified, in the form of invitation.CanonicalEmail
		Role        invitation.Role
	}
)

// workspaceDirectory has the methods that Create calls. The quickstart of package invitation has a complete Directory.
type workspaceDirectory struct{ invitation.Directory }

func (workspaceDirectory) Role(
	ctx context.Context, tx storage.Storage, org, userID string,
) (invitation.Role, error) {
	c := colleague{WorkspaceID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&c).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return c.Role, err
}

func (workspaceDirectory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*colleague)(nil)).Column("email").
		Where("workspace_id = ? AND LOWER(email) IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

// workspaceSeats serves as Config.Seats.
func workspaceSeats(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (
	invitation.SeatsResult, error) {
	db := bunstore.DB(tx)
	w := workspace{ID: r.OrganizationID}
	if err := db.NewSelect().Model(&w).WherePK().Scan(ctx); err != nil {
		return invitation.SeatsResult{}, err
	}
	n, err := db.NewSelect().Model((*colleague)(nil)).Where("workspace_id = ?", w.ID).Count(ctx)
	return invitation.SeatsResult{Members: int(n), Limit: w.Seats}, err
}

// An operation of the library joins the application's transaction. A new workspace, its first member and a colleague's
// invitation are committed together, or not at all.
func Example_transaction() {
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
	must(db.ResetModel(ctx, (*workspace)(nil), (*colleague)(nil)))
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	svc, err := invitation.NewService(store, workspaceDirectory{}, &invitation.Config{Seats: workspaceSeats})
	must(err)

	onboard := func(w workspace, founder colleague, paid bool) error {
		return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			svc := svc.WithStorage(store.WithTx(tx))
			// The application adds a member itself, and Seats counts members.
			if err := svc.LockOrganization(ctx, w.ID); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&w).Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&founder).Exec(ctx); err != nil {
				return err
			}
			_, err := svc.Create(ctx, w.ID, invitation.CreateParams{
				EmailAddress:  "carol@example.com",
				Role:          invitation.RoleMember,
				InviterUserID: founder.UserID,
			})
			if err == nil && !paid {
				err = errors.New("the card was declined")
			}
			return err
		})
	}

	founder := colleague{"bazaar", "bob", "bob@example.com", invitation.RoleAdmin}
	for _, paid := range []bool{false, true} {
		fmt.Println("error:", onboard(workspace{"bazaar", 5}, founder, paid))
		for _, table := range []string{"workspaces", "colleagues", "organization_invitations"} {
			n, err := db.NewSelect().Table(table).Count(ctx)
			must(err)
			fmt.Println(" ", table, n)
		}
	}
	// Output:
	// error: the card was declined
	//   workspaces 0
	//   colleagues 0
	//   organization_invitations 0
	// error: <nil>
	//   workspaces 1
	//   colleagues 1
	//   organization_invitations 1
}
