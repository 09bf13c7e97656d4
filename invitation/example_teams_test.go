package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// placement is the public metadata of an invitation: the teams that the new member joins.
type placement struct {
	Teams []string `json:"teams"`
}

// workshop is a host with teams. In production, teams are rows that Join inserts through tx.
type workshop struct {
	*invitationtest.Host
	teams map[string][]string // users by team
}

// Join adds the member to the teams of the invitation.
func (h workshop) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	var p placement
	if err := m.PublicMetadata.Decode(&p); err != nil {
		return err
	}
	if err := h.Host.Join(ctx, tx, m); err != nil {
		return err
	}
	for _, team := range p.Teams {
		if _, exists := h.teams[team]; exists { // it may have been deleted since
			h.teams[team] = append(h.teams[team], m.UserID)
		}
	}
	return nil
}

// deleteTeam deletes a team, and takes it out of the pending invitations. An invitation to no other team is revoked.
func (h workshop) deleteTeam(ctx context.Context, svc *invitation.Service, organizationID, team string) error {
	delete(h.teams, team)
	pending := invitation.ListParams{Statuses: []invitation.Status{invitation.StatusPending}}
	for inv, err := range svc.Each(ctx, organizationID, pending) {
		if err != nil {
			return err
		}
		var p placement
		if err := inv.PublicMetadata.Decode(&p); err != nil {
			return err
		}
		if !slices.Contains(p.Teams, team) {
			continue
		}
		p.Teams = slices.DeleteFunc(p.Teams, func(t string) bool { return t == team })
		if len(p.Teams) == 0 {
			_, err = svc.Revoke(ctx, organizationID, inv.ID, invitation.RevokeParams{})
		} else {
			var patch invitation.Metadata
			if patch, err = invitation.NewMetadata(p); err != nil {
				return err
			}
			_, err = svc.Update(ctx, organizationID, inv.ID, invitation.UpdateParams{PublicMetadata: patch, Terms: inv.Terms})
		}
		switch {
		case errors.Is(err, invitation.ErrNotPending): // answered at this moment
		case err != nil:
			return err
		}
	}
	return nil
}

// Teams of an organization live in the metadata of its invitations, and Join reads them.
func Example_teams() {
	ctx := context.Background()
	host := workshop{invitationtest.NewHost(), map[string][]string{"design": nil, "sales": nil}}
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("bob", "bob@example.com")
	svc, err := invitation.NewService(host.Storage(), host, nil)
	if err != nil {
		log.Fatal(err)
	}
	invite := func(email string, teams ...string) invitation.Invitation {
		public, err := invitation.NewMetadata(placement{teams})
		if err != nil {
			log.Fatal(err)
		}
		inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember, PublicMetadata: public,
		})
		if err != nil {
			log.Fatal(err)
		}
		return inv
	}
	bobs, carols := invite("bob@example.com", "design", "sales"), invite("carol@example.com", "sales")

	if err := host.deleteTeam(ctx, svc, "acme", "sales"); err != nil {
		log.Fatal(err)
	}
	carols, err = svc.Get(ctx, "acme", carols.ID)
	fmt.Println("carol:", carols.Status, err)
	_, err = svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: bobs.ID, UserID: "bob"})
	fmt.Println("bob:", host.teams, err)
	// Output:
	// carol: revoked <nil>
	// bob: map[design:[bob]] <nil>
}
