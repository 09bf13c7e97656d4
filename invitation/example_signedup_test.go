package invitation_test

import (
	"context"
	"fmt"
	"log"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// offers prints the invitations that the signed-in user may accept, and returns them.
func offers(ctx context.Context, as *invitation.Service) []invitation.Invitation {
	page, err := as.ListForUser(ctx, "", invitation.ListParams{Limit: invitation.MaxLimit})
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range page.Data {
		fmt.Println("join", inv.Organization.Name, "as", inv.RoleName)
	}
	return page.Data
}

// Bob signs up on the front page, without the link from the mail. Once he has verified his address, the application
// shows what he is invited to. He accepts by ids. The Terms are those of the page that he saw.
func Example_signedUpWithoutTicket() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	host.AddOrganization(invitation.Organization{ID: "globex", Name: "Globex"})
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{Organizations: host.Organizations})
	if err != nil {
		log.Fatal(err)
	}
	for _, organizationID := range []string{"acme", "globex"} {
		_, err := svc.Create(ctx, organizationID, invitation.CreateParams{
			EmailAddress: "bob@example.com", Role: invitation.RoleMember,
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	host.AddUser("bob") // signed up, and not verified yet
	bob := svc.As("bob")
	fmt.Println(len(offers(ctx, bob)))
	host.AddUser("bob", "bob@example.com") // verified
	chosen := offers(ctx, bob)[0]
	accepted, err := bob.Accept(ctx, invitation.AcceptParams{
		OrganizationID: chosen.OrganizationID, InvitationID: chosen.ID, Terms: chosen.Terms,
	})
	fmt.Println(accepted.OrganizationID, accepted.Status, err)
	offers(ctx, bob)
	// Output:
	// 0
	// join Globex as Member
	// join Acme as Member
	// globex accepted <nil>
	// join Acme as Member
}
