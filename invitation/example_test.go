package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// acme returns the service and the host of these examples, in memory: ann is an admin of the organization acme, eve is
// a member of it, and bob belongs to no organization.
func acme(cfg *invitation.Config) (*invitation.Service, *invitationtest.Host) {
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddUser("eve", "eve@acme.example")
	host.AddUser("bob", "bob@example.com")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	host.AddMember("acme", "eve", invitation.RoleMember)
	svc, err := invitation.NewService(host.Storage(), host, cfg)
	if err != nil {
		log.Fatal(err)
	}
	return svc, host
}

// withTickets returns a Config with a ticket key for examples. Real keys are random and secret.
func withTickets() *invitation.Config {
	return &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")},
		AcceptURL:  "https://app.acme.example/join",
	}
}

// ticketIn returns the ticket in a link, as the page behind the link reads it.
func ticketIn(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		log.Fatal(err)
	}
	return u.Query().Get("invitation_ticket")
}

func ExampleService_Create() {
	ctx := context.Background()
	svc, _ := acme(withTickets()) // ann is an admin of acme

	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "Bob@Example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",              // must be allowed to invite; leave it out if the back end itself invites
		ExpiresIn:     7 * 24 * time.Hour, // instead of Config.ExpiresIn
	})
	if err != nil {
		log.Fatal(err)
	}
	link, _, _ := strings.Cut(inv.URL, "=") // the ticket follows
	fmt.Println(inv.EmailAddress, inv.Role, inv.Status, inv.ExpiresAt.Sub(inv.CreatedAt))
	fmt.Println(link)

	// An address has one pending invitation in an organization, in whatever spelling.
	_, err = svc.Create(ctx, "acme", invitation.CreateParams{EmailAddress: "bob@example.COM", Role: invitation.RoleAdmin})
	fmt.Println(errors.Is(err, invitation.ErrDuplicate))
	// Output:
	// Bob@Example.com org:member pending 168h0m0s
	// https://app.acme.example/join?invitation_ticket
	// true
}

func ExampleService_CreateBulk() {
	ctx := context.Background()
	svc, _ := acme(nil)

	invs, err := svc.CreateBulk(ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "bob@example.com", Role: invitation.RoleMember},
		{EmailAddress: "carol@example.com", Role: invitation.RoleAdmin},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range invs {
		fmt.Println(inv.EmailAddress, inv.Role)
	}

	// All or none: dave is not invited, because bob already is.
	_, err = svc.CreateBulk(ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "dave@example.com", Role: invitation.RoleMember},
		{EmailAddress: "bob@example.com", Role: invitation.RoleMember},
	})
	var refused *invitation.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Code, refused.Meta["email_addresses"])
	}
	page, err := svc.List(ctx, "acme", invitation.ListParams{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.TotalCount, "invitations")
	// Output:
	// bob@example.com org:member
	// carol@example.com org:admin
	// duplicate_record [bob@example.com]
	// 2 invitations
}

// A signed-in user accepts an invitation from their list, by its ids. No ticket and no keys are needed: the user has
// verified the address of the invitation.
func ExampleService_Accept() {
	ctx := context.Background()
	svc, host := acme(nil)
	_, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}

	mine, err := svc.ListForUser(ctx, "bob", invitation.ListParams{})
	if err != nil {
		log.Fatal(err)
	}
	shown := mine.Data[0]
	inv, err := svc.Accept(ctx, invitation.AcceptParams{
		OrganizationID: shown.OrganizationID,
		InvitationID:   shown.ID,
		UserID:         "bob",
		Terms:          shown.Terms, // ErrChanged if the invitation has changed since bob saw it
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.Status, "by", inv.ResolvedBy)
	for _, m := range host.Members("acme") {
		fmt.Println(m.UserID, m.Role)
	}
	// Output:
	// accepted by bob
	// ann org:admin
	// bob org:member
	// eve org:member
}

// With TicketProvesEmail a link may be forwarded: whoever opens it can join, with any account. Sign-up behind a link
// does not need it; see the example signUp of package orginvite.
func ExampleConfig_ticketProvesEmail() {
	ctx := context.Background()
	cfg := withTickets()
	cfg.TicketProvesEmail = true
	svc, host := acme(cfg)
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "office@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}

	host.AddUser("carol", "carol@example.com") // carol reads the mail of the office
	inv, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticketIn(inv.URL), UserID: "carol"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.EmailAddress, inv.Status, "by", inv.ResolvedBy)
	// Output:
	// office@example.com accepted by carol
}

func ExampleService_Decline() {
	ctx := context.Background()
	svc, _ := acme(withTickets())
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	ticket := ticketIn(inv.URL)

	inv, err = svc.Decline(ctx, invitation.DeclineParams{Ticket: ticket, UserID: "bob"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.Status)

	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticket, UserID: "bob"})
	fmt.Println(errors.Is(err, invitation.ErrNotPending))
	// Output:
	// declined
	// true
}

// The page behind the link shows the invitation before the visitor signs in. Preview writes nothing, so a mail scanner
// that opens the link does no harm.
func ExampleService_Preview() {
	ctx := context.Background()
	cfg := withTickets()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	cfg.Organizations = host.Organizations // sets Invitation.Organization
	svc, err := invitation.NewService(host.Storage(), host, cfg)
	if err != nil {
		log.Fatal(err)
	}
	created, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	ticket := ticketIn(created.URL)

	inv, err := svc.Preview(ctx, ticket)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Join %s as %s, with the address %s?\n", inv.Organization.Name, inv.RoleName, inv.EmailAddress)

	_, err = svc.Preview(ctx, ticket[:len(ticket)-1])
	fmt.Println(errors.Is(err, invitation.ErrInvalidTicket))
	// Output:
	// Join Acme as Member, with the address bob@example.com?
	// true
}

func ExampleService_Revoke() {
	ctx := context.Background()
	svc, _ := acme(withTickets())
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	ticket := ticketIn(inv.URL)

	inv, err = svc.Revoke(ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.Status, "by", inv.ResolvedBy)

	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticket, UserID: "bob"})
	fmt.Println(errors.Is(err, invitation.ErrRevoked))
	// Output:
	// revoked by ann
	// true
}

// inviteMany invites user1@example.com and so on.
func inviteMany(svc *invitation.Service, n int) {
	ps := make([]invitation.CreateParams, n)
	for i := range ps {
		ps[i].EmailAddress = fmt.Sprintf("user%d@example.com", i+1)
		ps[i].Role = invitation.RoleMember
	}
	if _, err := svc.CreateBulk(context.Background(), "acme", ps); err != nil {
		log.Fatal(err)
	}
}

func ExampleService_List() {
	ctx := context.Background()
	svc, _ := acme(nil)
	inviteMany(svc, 25)

	page, err := svc.List(ctx, "acme", invitation.ListParams{
		Limit:    3,
		Statuses: []invitation.Status{invitation.StatusPending},
		Query:    "USER2", // part of the address
		OrderBy:  []invitation.Order{{Field: invitation.OrderEmailAddress}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range page.Data {
		fmt.Println(inv.EmailAddress)
	}
	fmt.Println("of", page.TotalCount)
	// Output:
	// user20@example.com
	// user21@example.com
	// user22@example.com
	// of 7
}

// A cursor leads to the next page of the same list. Unlike a page number, it neither repeats nor skips anything when
// invitations are added, and deep pages cost no more than the first.
func ExampleService_List_cursor() {
	ctx := context.Background()
	svc, _ := acme(nil)
	inviteMany(svc, 5)

	p := invitation.ListParams{Limit: 2, OrderBy: []invitation.Order{{Field: invitation.OrderEmailAddress}}}
	for n := 1; ; n++ {
		page, err := svc.List(ctx, "acme", p)
		if err != nil {
			log.Fatal(err)
		}
		for _, inv := range page.Data {
			fmt.Println("page", n, inv.EmailAddress)
		}
		if page.NextCursor == "" {
			break
		}
		p.Cursor = page.NextCursor
	}
	// Output:
	// page 1 user1@example.com
	// page 1 user2@example.com
	// page 2 user3@example.com
	// page 2 user4@example.com
	// page 3 user5@example.com
}

func ExamplePageNumber() {
	ctx := context.Background()
	svc, _ := acme(nil)
	inviteMany(svc, 5)

	p := invitation.ListParams{OrderBy: []invitation.Order{{Field: invitation.OrderEmailAddress}}}
	p.Limit, p.Offset = invitation.PageNumber(2, 2)
	page, err := svc.List(ctx, "acme", p)
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range page.Data {
		fmt.Println(inv.EmailAddress)
	}
	fmt.Println("of", page.TotalCount)
	// Output:
	// user3@example.com
	// user4@example.com
	// of 5
}

func ExampleService_Each() {
	ctx := context.Background()
	svc, _ := acme(nil)
	inviteMany(svc, 1000)

	domains := map[string]int{}
	for inv, err := range svc.Each(ctx, "acme", invitation.ListParams{}) {
		if err != nil {
			log.Fatal(err)
		}
		_, domain, _ := strings.Cut(inv.EmailAddress, "@")
		domains[domain]++
	}
	fmt.Println(domains)
	// Output:
	// map[example.com:1000]
}

func ExampleService_Get() {
	ctx := context.Background()
	svc, _ := acme(nil)
	created, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}

	inv, err := svc.Get(ctx, "acme", created.ID)
	fmt.Println(inv.EmailAddress, inv.Status, err)
	_, err = svc.Get(ctx, "bazaar", created.ID) // an invitation of another organization is not found
	fmt.Println(errors.Is(err, invitation.ErrNotFound))
	// Output:
	// bob@example.com pending <nil>
	// true
}

// ListAll is for the staff of the application. It is not available through Service.As.
func ExampleService_ListAll() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{
		Organizations: host.Organizations, // sets Invitation.Organization
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"Acme", "Bazaar"} {
		org := invitation.Organization{ID: strings.ToLower(name), Name: name}
		host.AddOrganization(org)
		_, err := svc.Create(ctx, org.ID, invitation.CreateParams{
			EmailAddress: "carol@" + org.ID + ".example",
			Role:         invitation.RoleAdmin,
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	order, err := invitation.ParseOrder("email_address")
	if err != nil {
		log.Fatal(err)
	}
	page, err := svc.ListAll(ctx, invitation.ListParams{OrderBy: []invitation.Order{order}})
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range page.Data {
		fmt.Println(inv.EmailAddress, "into", inv.Organization.Name)
	}
	// Output:
	// carol@acme.example into Acme
	// carol@bazaar.example into Bazaar
}

// A user who has signed in sees their pending invitations, from all organizations.
func ExampleService_ListForUser() {
	ctx := context.Background()
	svc, host := acme(nil)
	host.AddOrganization(invitation.Organization{ID: "bazaar", Name: "Bazaar"})
	for _, org := range []string{"acme", "bazaar"} {
		_, err := svc.Create(ctx, org, invitation.CreateParams{
			EmailAddress: "bob@example.com",
			Role:         invitation.RoleMember,
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	page, err := svc.ListForUser(ctx, "bob", invitation.ListParams{})
	if err != nil {
		log.Fatal(err)
	}
	for _, inv := range page.Data {
		fmt.Println(inv.OrganizationID, inv.Status)
	}
	// Output:
	// bazaar pending
	// acme pending
}

// Metadata is attached to the invitation and passed on to the membership. The invited person may see the public part.
func ExampleNewMetadata() {
	ctx := context.Background()
	svc, host := acme(nil)
	public, err := invitation.NewMetadata(map[string]any{"team": "Platform"})
	if err != nil {
		log.Fatal(err)
	}
	private, err := invitation.NewMetadata(struct {
		CostCentre int `json:"cost_centre"`
	}{4711})
	if err != nil {
		log.Fatal(err)
	}
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:    "bob@example.com",
		Role:            invitation.RoleMember,
		PublicMetadata:  public,
		PrivateMetadata: private,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID, UserID: "bob"})
	if err != nil {
		log.Fatal(err)
	}

	bob := host.Members("acme")[1]
	text, err := json.Marshal(bob.PrivateMetadata)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("marshalled:", string(text))
	fmt.Println("printed:", bob.PrivateMetadata) // logs never contain it
	// Output:
	// marshalled: {"cost_centre":4711}
	// printed: metadata(20 bytes)
}

func ExampleMetadata_Decode() {
	m, err := invitation.ParseMetadata([]byte(`{"team": "Platform", "seat": 12}`))
	if err != nil {
		log.Fatal(err)
	}
	var v struct {
		Team string `json:"team"` // keys match names exactly
		Seat int    `json:"seat"`
	}
	if err := m.Decode(&v); err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Team, v.Seat)
	// Output:
	// Platform 12
}

func ExampleMetadata_Merge() {
	m, err := invitation.ParseMetadata([]byte(`{"team":"Platform","desk":{"floor":2,"number":14},"trial":true}`))
	if err != nil {
		log.Fatal(err)
	}
	patch, err := invitation.ParseMetadata([]byte(`{"desk":{"floor":3},"trial":null}`))
	if err != nil {
		log.Fatal(err)
	}
	merged, err := m.Merge(patch) // m is unchanged
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(merged)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output:
	// {"team":"Platform","desk":{"floor":3,"number":14}}
}

func ExampleNewRoles() {
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "org:owner", Name: "Owner", Manages: true,
			Grants: []invitation.Role{"org:owner", "org:lead", "org:guest"}},
		invitation.RoleDefinition{Key: "org:lead", Name: "Team lead", Manages: true,
			Grants: []invitation.Role{"org:guest"}}, // but no other leads
		invitation.RoleDefinition{Key: "org:guest", Name: "Guest"},
	)
	if err != nil {
		log.Fatal(err)
	}
	svc, host := acme(&invitation.Config{Roles: roles})
	host.AddMember("acme", "eve", "org:lead")

	for _, role := range []invitation.Role{"org:guest", "org:lead"} {
		inv, err := svc.Create(context.Background(), "acme", invitation.CreateParams{
			EmailAddress:  "bob@example.com",
			Role:          role,
			InviterUserID: "eve",
		})
		if err != nil {
			fmt.Println(role, err)
			continue
		}
		fmt.Println(role, "invited as", inv.RoleName)
	}
	// Output:
	// org:guest invited as Guest
	// org:lead invitation: role: the inviter's role may not grant this role
}

// Sentinels tell a program the kind of error. Errors tells the client which parameters are wrong, and why.
func ExampleErrors() {
	svc, _ := acme(nil)
	_, err := svc.Create(context.Background(), "acme", invitation.CreateParams{
		EmailAddress: "bob@localhost",
		Role:         "org:emperor",
	})

	fmt.Println("invalid:", errors.Is(err, invitation.ErrInvalid))
	var all invitation.Errors // also matches a single *Error
	if errors.As(err, &all) {
		for _, e := range all {
			fmt.Println(e.Status, e.Code, e.Param)
		}
	}
	// Output:
	// invalid: true
	// 422 form_param_format_invalid email_address
	// 404 resource_not_found role
}

// A route for browsers acts as the signed-in user. Only the session says who that is; no parameter can.
func ExampleService_As() {
	ctx := context.Background()
	svc, _ := acme(nil)
	p := invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann", // as a browser might claim
	}
	for _, session := range []string{"eve", "", "ann"} {
		inv, err := svc.As(session).Create(ctx, "acme", p)
		if err != nil {
			fmt.Printf("%q: %v\n", session, err)
			continue
		}
		fmt.Printf("%q: invited by %s\n", session, inv.InviterUserID)
	}
	// Output:
	// "eve": invitation: inviter_user_id: the role of this user does not manage invitations
	// "": invitation: user_id: nobody is signed in; sign in and try again
	// "ann": invited by ann
}

// The library sends no mail. In the transaction that creates an invitation, OnEvents enqueues a job with its ids. The
// worker asks for the link when it runs. So no secret is ever queued, and a revoked invitation is not mailed.
func ExampleService_Link() {
	type job struct{ organizationID, invitationID string }
	var queue []job // in production a table, written through tx

	ctx := context.Background()
	cfg := withTickets()
	cfg.OnEvents = func(_ context.Context, tx storage.Storage, events []invitation.Event) error {
		for _, e := range events {
			if e.Notify {
				queue = append(queue, job{e.Invitation.OrganizationID, e.Invitation.ID})
			}
		}
		return nil
	}
	svc, _ := acme(cfg)
	inviteMany(svc, 2)
	first, err := svc.Get(ctx, queue[0].organizationID, queue[0].invitationID)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := svc.Revoke(ctx, "acme", first.ID, invitation.RevokeParams{}); err != nil {
		log.Fatal(err)
	}

	for _, j := range queue { // the worker
		link, err := svc.Link(ctx, j.organizationID, j.invitationID)
		if errors.Is(err, invitation.ErrNotPending) {
			fmt.Println("nothing to send any more")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		inv, err := svc.Preview(ctx, ticketIn(link))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("mail to", inv.EmailAddress)
	}
	// Output:
	// nothing to send any more
	// mail to user2@example.com
}

// Time is a dependency: a test moves the clock instead of waiting. Invitations expire without a running job.
func ExampleConfig_clock() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddUser("bob", "bob@example.com")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{
		Clock:     now,
		ExpiresIn: 7 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("expires", inv.ExpiresAt)

	now.Set(inv.ExpiresAt) // the first instant at which it is expired
	inv, err = svc.Get(ctx, "acme", inv.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inv.Status)
	_, err = svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID, UserID: "bob"})
	fmt.Println(errors.Is(err, invitation.ErrExpired))
	// Output:
	// expires 2027-03-08 09:00:00 +0000 UTC
	// expired
	// true
}

// Members and pending invitations take seats. The limit holds however many users invite at once.
func ExampleConfig_seats() {
	ctx := context.Background()
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	svc, err := invitation.NewService(host.Storage(), host, &invitation.Config{
		Seats: host.Seats(2), // in production: count the members through tx, and look up the plan
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, address := range []string{"bob@example.com", "carol@example.com"} {
		_, err := svc.Create(ctx, "acme", invitation.CreateParams{EmailAddress: address, Role: invitation.RoleMember})
		fmt.Println(address, errors.Is(err, invitation.ErrQuotaExceeded))
	}
	// Output:
	// bob@example.com false
	// carol@example.com true
}

func ExampleConfig_allowEmail() {
	svc, _ := acme(&invitation.Config{
		AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
			if !strings.HasSuffix(r.EmailAddress, "@acme.example") {
				return fmt.Errorf("not of the company: %w", invitation.ErrForbidden)
			}
			return nil
		},
	})
	_, err := svc.Create(context.Background(), "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com",
		Role:         invitation.RoleMember,
	})
	fmt.Println(err)
	// Output:
	// invitation: email_address: the address may not be invited into this organization
}

// Several operations, and writes of the host on the same storage, in one transaction. With a bun.Tx of the host use
// svc.WithStorage(store.WithTx(tx)); see the examples of package orginvite.
func ExampleService_WithStorage() {
	ctx := context.Background()
	svc, host := acme(nil)

	err := host.Storage().RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		svc := svc.WithStorage(tx)
		_, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: "bob@example.com",
			Role:         invitation.RoleMember,
		})
		if err != nil {
			return err
		}
		return errors.New("the host changed its mind")
	})
	fmt.Println(err)

	page, err := svc.List(ctx, "acme", invitation.ListParams{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.TotalCount, "invitations")
	// Output:
	// the host changed its mind
	// 0 invitations
}

// The JSON of an invitation may go to a browser: it has no link, no inviter and no private metadata.
func ExampleInvitation_MarshalJSON() {
	cfg := withTickets()
	cfg.Clock = clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	cfg.NewID = func() string { return "orginv_1" }
	svc, _ := acme(cfg)
	inv, err := svc.Create(context.Background(), "acme", invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
	})
	if err != nil {
		log.Fatal(err)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(inv); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {
	//   "object": "organization_invitation",
	//   "id": "orginv_1",
	//   "email_address": "bob@example.com",
	//   "role": "org:member",
	//   "role_name": "Member",
	//   "organization_id": "acme",
	//   "status": "pending",
	//   "public_metadata": {},
	//   "terms": "tEHRLCOmNh8PCBhMRiYN0A",
	//   "expires_at": 1806483600000,
	//   "created_at": 1803891600000,
	//   "updated_at": 1803891600000,
	//   "sent_at": 1803891600000,
	//   "resolved_at": null
	// }
}

func ExampleCanonicalEmail() {
	for _, address := range []string{" Bob@Example.COM ", "bob@bücher.example", "bob.b+acme@example.com", "bob"} {
		key, err := invitation.CanonicalEmail(address)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(key)
	}
	// Output:
	// bob@example.com
	// bob@xn--bcher-kva.example
	// bob.b+acme@example.com
	// invitation: email_address: must be an e-mail address such as ann@example.com
}

// The mail was lost: Resend issues a new link, and the old link stops working.
func ExampleService_Resend() {
	ctx := context.Background()
	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	cfg := withTickets()
	cfg.Clock = now
	svc, _ := acme(cfg)

	old, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.Resend(ctx, "acme", old.ID, invitation.ResendParams{RequestingUserID: "ann"})
	fmt.Println("at once:", errors.Is(err, invitation.ErrTooSoon))
	now.Advance(time.Hour)
	inv, err := svc.Resend(ctx, "acme", old.ID, invitation.ResendParams{RequestingUserID: "ann"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.Preview(ctx, ticketIn(old.URL))
	fmt.Println("old link void:", errors.Is(err, invitation.ErrInvalidTicket))
	fmt.Println(inv.InviterUserID, "answers for it until", inv.ExpiresAt)
	// Output:
	// at once: true
	// old link void: true
	// ann answers for it until 2027-03-31 10:00:00 +0000 UTC
}

// A new role voids the link, so that nobody accepts a role that they were not shown. A merge patch changes metadata.
func ExampleService_Update() {
	ctx := context.Background()
	svc, _ := acme(withTickets())
	team, err := invitation.NewMetadata(map[string]any{"team": "red", "desk": 7})
	if err != nil {
		log.Fatal(err)
	}
	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember, PublicMetadata: team})
	if err != nil {
		log.Fatal(err)
	}
	patch, err := invitation.ParseMetadata([]byte(`{"desk":null,"team":"blue"}`))
	if err != nil {
		log.Fatal(err)
	}
	changed, err := svc.Update(ctx, "acme", inv.ID, invitation.UpdateParams{
		RequestingUserID: "ann", Role: invitation.RoleAdmin, PublicMetadata: patch})
	if err != nil {
		log.Fatal(err)
	}
	b, err := json.Marshal(changed.PublicMetadata)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(changed.Role, string(b), changed.URL != inv.URL)
	// Output: org:admin {"team":"blue"} true
}

// Ann leaves: her pending invitations are revoked, in every organization.
func ExampleService_RevokeAll() {
	ctx := context.Background()
	svc, _ := acme(nil)
	for _, email := range []string{"bob@example.com", "carol@example.com"} {
		_, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann"})
		if err != nil {
			log.Fatal(err)
		}
	}
	n, err := svc.RevokeAll(ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
	fmt.Println(n, err)
	// Output: 2 <nil>
}

// A nightly job stores the expiry of invitations, which emits their events, and deletes old invitations.
func ExampleService_Purge() {
	ctx := context.Background()
	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	svc, _ := acme(&invitation.Config{Clock: now})
	if _, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress: "bob@example.com", Role: invitation.RoleMember, ExpiresIn: time.Hour}); err != nil {
		log.Fatal(err)
	}
	now.Advance(24 * time.Hour)
	expired, err := svc.ExpireDue(ctx, 10_000)
	fmt.Println(expired, err)
	purged, err := svc.Purge(ctx, now.Now().Add(-2*time.Hour), 10_000)
	fmt.Println(purged, err)
	// Output:
	// 1 <nil>
	// 1 <nil>
}

// Somebody has pasted addresses. The good ones are invited, and the page says what is wrong with the others.
func ExampleService_CreateEach() {
	ctx := context.Background()
	svc, _ := acme(nil)
	var ps []invitation.CreateParams
	for _, line := range []string{"bob@example.com", "Carol <carol@example.com>", "eve@acme.example", "bob@Example.com"} {
		ps = append(ps, invitation.CreateParams{EmailAddress: line, Role: invitation.RoleMember})
	}

	results, err := svc.As("ann").CreateEach(ctx, "acme", ps)
	if err != nil {
		log.Fatal(err)
	}
	for i, r := range results {
		var refused *invitation.Error
		if errors.As(r.Err, &refused) {
			fmt.Printf("%s: %s\n", ps[i].EmailAddress, refused.LongMessage)
			continue
		}
		fmt.Println(r.Invitation.EmailAddress, "is", r.Invitation.Status)
	}
	// Output:
	// bob@example.com is pending
	// Carol <carol@example.com>: must be the address alone, such as ann@example.com, without a name and angle brackets
	// eve@acme.example: the address belongs to a member of this organization
	// bob@Example.com: is listed twice; list it once
}

func ExampleService_CanInvite() {
	ctx := context.Background()
	svc, _ := acme(nil)

	for _, email := range []string{"bob@example.com", "eve@acme.example"} {
		err := svc.As("ann").CanInvite(ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember})
		fmt.Println(email, err == nil, errors.Is(err, invitation.ErrAlreadyMember))
	}
	// Output:
	// bob@example.com true false
	// eve@acme.example false true
}

// The select box of a form offers the roles that the signed-in user may grant.
func ExampleService_Grantable() {
	ctx := context.Background()
	svc, _ := acme(nil)

	for _, user := range []string{"ann", "eve"} {
		roles, err := svc.As(user).Grantable(ctx, "acme", "")
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range roles {
			fmt.Printf("%s may grant %s: %s\n", user, r.Key, r.Name)
		}
	}
	// Output:
	// ann may grant org:admin: Admin
	// ann may grant org:member: Member
}

// The tabs of a page show how many invitations have each status.
func ExampleService_Counts() {
	ctx := context.Background()
	svc, _ := acme(nil)
	for _, email := range []string{"bob@example.com", "carol@example.com", "dave@example.org"} {
		if _, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := svc.RevokeAll(ctx, invitation.RevokeAllParams{
		OrganizationID: "acme", EmailAddresses: []string{"carol@example.com"}}); err != nil {
		log.Fatal(err)
	}

	counts, err := svc.Counts(ctx, "acme", invitation.ListParams{Query: "example.com"})
	fmt.Println(counts, err)
	// Output: map[accepted:0 declined:0 expired:0 pending:1 revoked:1] <nil>
}
