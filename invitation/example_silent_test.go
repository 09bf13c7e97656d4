package invitation_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// outbox keeps the jobs that a worker will work off. In production it is a table in the same database.
type outbox []invitation.Invitation

// enqueue serves as Config.OnEvents. A silent invitation gets no job.
func (o *outbox) enqueue(_ context.Context, _ storage.Storage, events []invitation.Event) error {
	for _, e := range events {
		if e.Notify {
			*o = append(*o, e.Invitation)
		}
	}
	return nil
}

// Invitations are created in silence, for example before a launch, and mailed for the first time later. Link returns
// the link that they have. It voids nothing and needs no new invitation.
func Example_silent() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	var jobs outbox
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")},
		AcceptURL:  "https://app.acme.example/join",
		OnEvents:   jobs.enqueue,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, email := range []string{"bob@example.com", "carol@example.com"} {
		_, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember, Silent: true,
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("jobs:", len(jobs))

	// The day of the launch. To mail again later, call Resend instead: it issues a new link.
	pending := invitation.ListParams{Statuses: []invitation.Status{invitation.StatusPending}}
	for inv, err := range svc.Each(ctx, "acme", pending) {
		if err != nil {
			log.Fatal(err)
		}
		link, err := svc.Link(ctx, inv.OrganizationID, inv.ID)
		if err != nil {
			log.Fatal(err)
		}
		page, _, _ := strings.Cut(link, "=") // the ticket follows
		fmt.Println("mail to", inv.EmailAddress, page)
	}
	// Output:
	// jobs: 0
	// mail to carol@example.com https://app.acme.example/join?invitation_ticket
	// mail to bob@example.com https://app.acme.example/join?invitation_ticket
}
