package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// inviteOrResend invites an address. If an invitation is pending for it, that one is sent again with the new role.
func inviteOrResend(ctx context.Context, svc *invitation.Service, organizationID string, p invitation.CreateParams) (
	invitation.Invitation, error) {
	inv, err := svc.Create(ctx, organizationID, p)
	if !errors.Is(err, invitation.ErrDuplicate) {
		return inv, err
	}
	page, err := svc.List(ctx, organizationID, invitation.ListParams{
		EmailAddress: p.EmailAddress, Statuses: []invitation.Status{invitation.StatusPending},
	})
	if err != nil {
		return invitation.Invitation{}, err
	}
	if len(page.Data) == 0 { // answered or revoked at this moment, or sent by somebody whom the user may not see
		return invitation.Invitation{}, invitation.ErrConflict
	}
	return svc.Resend(ctx, organizationID, page.Data[0].ID, invitation.ResendParams{Role: p.Role, ExpiresIn: p.ExpiresIn})
}

// For many products "invite" and "invite again" are one button. The invitation stays the same; its old link is void.
func Example_inviteAgain() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	now := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	ann := svc.As("ann")

	first, err := inviteOrResend(ctx, ann, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember,
	})
	fmt.Println(first.Role, err)
	p := invitation.CreateParams{EmailAddress: "Bob@Example.com", Role: invitation.RoleAdmin}
	_, err = inviteOrResend(ctx, ann, "acme", p)
	fmt.Println("too soon:", errors.Is(err, invitation.ErrTooSoon)) // Config.ResendAfter
	now.Advance(time.Hour)
	again, err := inviteOrResend(ctx, ann, "acme", p)
	fmt.Println(again.Role, err, again.ID == first.ID)
	// Output:
	// org:member <nil>
	// too soon: true
	// org:admin <nil> true
}
