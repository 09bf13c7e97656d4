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

// capped serves as Config.OnEvents. A user may have two pending invitations in all organizations together. The service
// has made its change in tx, so the count includes it. Returning an error rolls it back.
func capped(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
	for _, e := range events {
		if e.Type != invitation.EventCreated || e.ActorID == "" {
			continue
		}
		if err := tx.Lock(ctx, "cap of "+e.ActorID); err != nil { // nobody else counts for this user until we commit
			return err
		}
		n, err := tx.Count(ctx, storage.Filter{
			InviterUserID: e.ActorID, Statuses: []string{storage.Pending}, Now: e.At,
		})
		if err != nil {
			return err
		}
		if n > 2 {
			return &invitation.Error{
				Status: 403, Code: "invitations_used_up", Message: "No invitations left",
				LongMessage: "you may have two pending invitations; revoke one first",
			}
		}
	}
	return nil
}

// A limit that Config does not know is enforced in OnEvents. An Error reaches the caller as it is.
func Example_ownCap() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddUser("ann", "ann@example.com")
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{OnEvents: capped})
	if err != nil {
		log.Fatal(err)
	}
	for _, organizationID := range []string{"acme", "globex", "initech"} {
		host.AddOrganization(invitation.Organization{ID: organizationID})
		host.AddMember(organizationID, "ann", invitation.RoleAdmin)
		_, err := svc.As("ann").Create(ctx, organizationID, invitation.CreateParams{
			EmailAddress: "bob@example.com", Role: invitation.RoleMember,
		})
		var e *invitation.Error
		if errors.As(err, &e) {
			fmt.Println(organizationID, e.Code)
		} else {
			fmt.Println(organizationID, err)
		}
	}
	// Output:
	// acme <nil>
	// globex <nil>
	// initech invitations_used_up
}
