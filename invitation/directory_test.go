package invitation_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// The directory of the quickstart keeps the rules, because many hosts begin with it.
func TestQuickstartDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		is := is.New(t)
		sqldb, err := sql.Open("sqlite", ":memory:")
		is.NoErr(err)
		t.Cleanup(func() { _ = sqldb.Close() })
		sqldb.SetMaxOpenConns(1)
		db := bun.NewDB(sqldb, sqlitedialect.New())
		is.NoErr(db.ResetModel(t.Context(), (*user)(nil), (*membership)(nil)))
		store, err := bunstore.New(db, nil)
		is.NoErr(err)
		is.NoErr(store.Migrate(t.Context()))
		return invitationtest.DirectoryHost{
			Directory: directory{},
			Storage:   store,
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				if len(verified) != 1 {
					return "", errors.ErrUnsupported
				}
				_, err := db.NewInsert().Model(&user{id, verified[0]}).Exec(ctx)
				return id, err
			},
			AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				_, err := db.NewInsert().Model(&membership{organizationID, userID, role}).Exec(ctx)
				return err
			},
		}
	})
}
