package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// pageBehindLink returns what the page behind a link shows to the signed-in user.
func pageBehindLink(ctx context.Context, as *invitation.Service, ticket string) string {
	inv, err := as.Preview(ctx, ticket)
	switch {
	case err == nil:
		return "join " + inv.OrganizationID + "?"
	case errors.Is(err, invitation.ErrAccepted):
		return "redirect to /organizations/" + inv.OrganizationID // which asks whether they are still a member
	case errors.Is(err, invitation.ErrExpired):
		return "this invitation has expired; ask for another one"
	case errors.Is(err, invitation.ErrNotInvitee):
		return "sign in as the owner of the address that was invited"
	}
	return "this link is not valid"
}

// People click a link again: from the mail, or by the back button. Preview then returns ErrAccepted together with the
// invitation, so that the page can lead to the organization. Accepting again is no error either.
func Example_secondClick() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("bob", "bob@example.com")
	host.AddUser("eve", "eve@example.com")
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")},
		AcceptURL:  "https://app.acme.example/join",
	})
	if err != nil {
		log.Fatal(err)
	}
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	link, err := url.Parse(inv.URL)
	if err != nil {
		log.Fatal(err)
	}
	ticket := link.Query().Get("invitation_ticket")
	bob := svc.As("bob")

	fmt.Println(pageBehindLink(ctx, bob, ticket))
	for range 2 {
		accepted, err := bob.Accept(ctx, invitation.AcceptParams{Ticket: ticket})
		fmt.Println(accepted.Status, err)
	}
	fmt.Println(pageBehindLink(ctx, bob, ticket))
	fmt.Println(pageBehindLink(ctx, svc.As("eve"), ticket))
	// Output:
	// join acme?
	// accepted <nil>
	// accepted <nil>
	// redirect to /organizations/acme
	// sign in as the owner of the address that was invited
}
