package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// invitingMember is a role that no membership has. The directory reports it for members of organizations that let their
// members invite.
const invitingMember = invitation.Role("org:inviting_member")

// openHost is a host whose organizations decide whether members may invite. In production this is a column of theirs.
type openHost struct {
	*invitationtest.Host
	membersInvite map[string]bool
}

// Role replaces the role of a member by invitingMember where the organization says so.
func (h openHost) Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (
	invitation.Role, error) {
	role, err := h.Host.Role(ctx, tx, organizationID, userID)
	if err == nil && role == invitation.RoleMember && h.membersInvite[organizationID] {
		return invitingMember, nil
	}
	return role, err
}

// Each organization decides who may invite. Roles are the same in all of them, so the directory answers with a role
// that stands for "a member where members invite". No role grants it, so nobody can be invited into it.
func Example_whoMayInvite() {
	ctx := context.Background()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Manages: true,
			Grants: []invitation.Role{invitation.RoleAdmin, invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitingMember, ManagesOwn: true, Grants: []invitation.Role{invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleMember})
	if err != nil {
		log.Fatal(err)
	}
	host := openHost{invitationtest.NewHost(), map[string]bool{"open": true}}
	host.AddUser("eve", "eve@example.com")
	for _, organizationID := range []string{"open", "closed"} {
		host.AddOrganization(invitation.Organization{ID: organizationID})
		host.AddMember(organizationID, "eve", invitation.RoleMember)
	}
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{Roles: roles})
	if err != nil {
		log.Fatal(err)
	}
	eve := svc.As("eve")
	for _, organizationID := range []string{"open", "closed"} {
		for _, role := range []invitation.Role{invitation.RoleMember, invitation.RoleAdmin} {
			_, err := eve.Create(ctx, organizationID, invitation.CreateParams{
				EmailAddress: "bob@example.com", Role: role,
			})
			fmt.Println(organizationID, role, "forbidden:", errors.Is(err, invitation.ErrForbidden))
		}
	}
	// Output:
	// open org:member forbidden: false
	// open org:admin forbidden: true
	// closed org:member forbidden: true
	// closed org:admin forbidden: true
}
