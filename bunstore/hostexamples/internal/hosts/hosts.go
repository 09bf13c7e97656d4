// Package hosts tests the applications of the examples, on every engine that their libraries support.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// Host is the application of an example. Its tables are named accounts (id, email) and memberships (organization_id,
// user_id, role).
type Host struct {
	Store     *bunstore.Store
	Directory invitation.Directory
	Service   *invitation.Service
	// SignUp adds an account, its membership in a new organization as an admin, and the invitation of a colleague, in one
	// transaction of the library. Unless it is paid, the card is declined and everything is rolled back.
	SignUp func(ctx context.Context, organizationID, userID, email string, paid bool) error
}

const (
	declined = "the card was declined"
	patience = time.Minute // limit for a case; only a host that waits for its own connection exceeds it
)

// Run tests the host that open returns, on each of the engines. The host may open d.Conns connections at most.
func Run(t *testing.T, engines []Engine, open func(t *testing.T, d Database) Host) {
	for _, e := range engines {
		for _, conns := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s-%d", e, conns), func(t *testing.T) {
				t.Parallel()
				h := open(t, newDatabase(t, e, conns))
				t.Run("together", func(t *testing.T) { together(t, h) })
				t.Run("directory", func(t *testing.T) { directory(t, h) })
			})
		}
	}
}

// together tests that account, membership and invitation are committed together or not at all, and that the invited
// colleague can join.
func together(t *testing.T, h Host) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check := func(what string, err error, accounts, memberships, invitations int) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for table, want := range map[string]int{
			"accounts": accounts, "memberships": memberships, "organization_invitations": invitations,
		} {
			got, err := bunstore.DB(h.Store).NewSelect().Table(table).Count(ctx)
			if err != nil || int(got) != want {
				t.Fatalf("%s: %s has %d rows, error %v; want %d", what, table, got, err, want)
			}
		}
	}
	refused := func(err error, ok bool) error {
		if ok {
			return nil
		}
		return fmt.Errorf("error %v is not the one expected", err)
	}

	err := h.SignUp(ctx, "acme", "ann", "ann@acme.example", false)
	check("a declined card", refused(err, err != nil && err.Error() == declined), 0, 0, 0)
	check("a paid sign-up", h.SignUp(ctx, "acme", "ann", "ann@acme.example", true), 1, 1, 1)

	// First a statement of the host fails. Then the library refuses, because Bob is already invited.
	err = h.SignUp(ctx, "globe", "ann", "ann@acme.example", true)
	check("the same account again", refused(err, err != nil), 1, 1, 1)
	err = h.SignUp(ctx, "acme", "eve", "eve@acme.example", true)
	check("the same colleague again", refused(err, errors.Is(err, invitation.ErrDuplicate)), 1, 1, 1)

	// A transaction that the library begins: the membership and the record change together.
	page, err := h.Service.List(ctx, "acme", invitation.ListParams{})
	if err != nil || len(page.Data) != 1 {
		t.Fatalf("List: %v, error %v; want one invitation", page.Data, err)
	}
	accept := invitation.AcceptParams{OrganizationID: "acme", InvitationID: page.Data[0].ID, UserID: "bob"}
	_, err = h.Service.Accept(ctx, accept)
	check("a user without an account", refused(err, errors.Is(err, invitation.ErrNotFound)), 1, 1, 1)
	check("an account", insert(ctx, h, "accounts (id, email)", "bob", page.Data[0].EmailAddress), 2, 1, 1)
	_, err = h.Service.Accept(ctx, accept)
	check("acceptance", err, 2, 2, 1)
	role, err := h.Directory.Role(ctx, h.Store, "acme", "bob")
	check("the role", errors.Join(err, refused(fmt.Errorf("role %q", role), role == invitation.RoleMember)), 2, 2, 1)
}

// directory tests the rules of Directory.
func directory(t *testing.T, h Host) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		for _, table := range []string{"memberships", "accounts"} {
			if _, err := bunstore.DB(h.Store).NewRaw("DELETE FROM ?", bun.Ident(table)).Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return invitationtest.DirectoryHost{
			Directory: h.Directory,
			Storage:   h.Store,
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				if len(verified) != 1 {
					return "", errors.ErrUnsupported
				}
				return id, insert(ctx, h, "accounts (id, email)", id, verified[0])
			},
			AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				return insert(ctx, h, "memberships (organization_id, user_id, role)", organizationID, userID, string(role))
			},
		}
	})
}

func insert(ctx context.Context, h Host, into string, values ...string) error {
	_, err := bunstore.DB(h.Store).NewRaw("INSERT INTO ? VALUES ?", bun.Safe(into), bun.Tuple(values)).Exec(ctx)
	return err
}
