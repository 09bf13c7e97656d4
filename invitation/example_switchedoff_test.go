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

// suspended are the organizations that are switched off. In production this is a column of theirs, read through tx.
type suspended map[string]bool

// allow serves as Config.AllowEmail. It refuses every address in an organization that is switched off.
func (s suspended) allow(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
	if s[r.OrganizationID] {
		return fmt.Errorf("%s in a suspended organization: %w", r.Operation, invitation.ErrForbidden)
	}
	return nil
}

// An organization is switched off, for example because it has not paid. Nobody can invite into it, and invitations that
// are sent already cannot be used. They can be revoked and declined, and work again when it is switched on.
func Example_switchedOff() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("bob", "bob@example.com")
	off := suspended{}
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{AllowEmail: off.allow})
	if err != nil {
		log.Fatal(err)
	}
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	accept := func() error {
		_, err := svc.As("bob").Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID})
		return err
	}

	off["acme"] = true
	fmt.Println("forbidden:", errors.Is(accept(), invitation.ErrForbidden))
	_, err = svc.Create(ctx, "acme", invitation.CreateParams{EmailAddress: "eve@example.com", Role: invitation.RoleMember})
	fmt.Println("forbidden:", errors.Is(err, invitation.ErrForbidden))
	off["acme"] = false
	fmt.Println(accept())
	// Output:
	// forbidden: true
	// forbidden: true
	// <nil>
}
