package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// inviteRest invites all items that can be invited. It returns the errors of the others, by address.
func inviteRest(ctx context.Context, svc *invitation.Service, organizationID string, items []invitation.CreateParams) (
	[]invitation.Invitation, map[string]error, error) {
	failed := map[string]error{}
	for len(items) > 0 {
		created, err := svc.CreateBulk(ctx, organizationID, items)
		if err == nil {
			return created, failed, nil
		}
		var errs invitation.Errors
		if !errors.As(err, &errs) {
			return nil, nil, err // internal
		}
		before := len(failed)
		for _, e := range errs {
			var i int
			if n, _ := fmt.Sscanf(e.Param, "[%d]", &i); n == 1 {
				failed[items[i].EmailAddress] = e
			}
			addresses, _ := e.Meta["email_addresses"].([]string) // already invited
			for _, address := range addresses {
				failed[address] = e
			}
		}
		if len(failed) == before {
			return nil, nil, err // about none of the items, such as a missing seat
		}
		var rest []invitation.CreateParams
		for _, item := range items {
			if failed[item.EmailAddress] == nil {
				rest = append(rest, item)
			}
		}
		items = rest
	}
	return nil, failed, nil
}

// A user pastes a list of addresses. CreateBulk creates all or none, and its error names the items that failed. So the
// call is made again without them.
func Example_pastedList() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	svc, err := invitation.NewService(host.Storage(), host, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.Create(ctx, "acme", invitation.CreateParams{EmailAddress: "bob@example.com", Role: invitation.RoleMember})
	if err != nil {
		log.Fatal(err)
	}

	pasted := "bob@example.com, carol@example.com\ndave.example.com; ann@acme.example"
	separators := func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n", r) }
	var items []invitation.CreateParams
	for _, address := range strings.FieldsFunc(pasted, separators) {
		items = append(items, invitation.CreateParams{EmailAddress: address, Role: invitation.RoleMember})
	}
	created, failed, err := inviteRest(ctx, svc.As("ann"), "acme", items)
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range created {
		fmt.Println("invited:", inv.EmailAddress)
	}
	for _, item := range items {
		if err := failed[item.EmailAddress]; err != nil {
			var e *invitation.Error
			errors.As(err, &e)
			fmt.Println(item.EmailAddress+":", e.Message)
		}
	}
	// Output:
	// invited: carol@example.com
	// bob@example.com: Already invited
	// dave.example.com: Malformed parameter
	// ann@acme.example: Already a member
}
