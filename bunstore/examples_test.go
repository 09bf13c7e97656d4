package bunstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// The complete directories in the examples keep the rules.
func TestDirectoryOfExamples(t *testing.T) {
	for name, host := range map[string]func(db *bun.DB) invitationtest.DirectoryHost{
		"signUp": func(db *bun.DB) invitationtest.DirectoryHost {
			return invitationtest.DirectoryHost{
				Directory: accounts{},
				AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
					u := user{id, "typed.in@example.com", false}
					switch len(verified) {
					case 0:
					case 1:
						u.Email, u.Verified = verified[0], true
					default:
						return "", errors.ErrUnsupported // each user of this application has one address
					}
					_, err := db.NewInsert().Model(&u).Exec(ctx)
					return id, err
				},
				AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
					_, err := db.NewInsert().Model(&participant{organizationID, userID, role}).Exec(ctx)
					return err
				},
			}
		},
		"browser": func(db *bun.DB) invitationtest.DirectoryHost {
			return invitationtest.DirectoryHost{
				Directory: teamDirectory{},
				AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
					if len(verified) != 1 {
						return "", errors.ErrUnsupported // each user of this application has one address
					}
					_, err := db.NewInsert().Model(&login{id, verified[0]}).Exec(ctx)
					return id, err
				},
				AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
					_, err := db.NewInsert().Model(&teammate{organizationID, userID, role}).Exec(ctx)
					return err
				},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				db := engines.Named(t, "sqlite").Open(t)
				err := db.ResetModel(t.Context(), (*user)(nil), (*participant)(nil), (*login)(nil), (*teammate)(nil))
				if err != nil {
					t.Fatal(err)
				}
				h := host(db)
				h.Storage = newStore(t, db)
				return h
			})
		})
	}
}
