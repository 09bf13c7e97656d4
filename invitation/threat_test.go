package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// TestThreat has a case for each class of attack that was exploited or reported in a real invitation system. If the
// database is the defence, the case is in the tests of bunstore, on every engine. Each case fails without its defence.
func TestThreat(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, w *world){
		"C01_unverified_address":        threatUnverified,
		"C02_any_holder_of_the_link":    threatHolder,
		"C03_forged_claims":             threatForged,
		"C07_shown_is_not_accepted":     threatShown,
		"C08_above_ones_own_role":       threatCeiling,
		"C08_own_above_ones_own_role":   threatOwnCeiling,
		"C09_inviter_without_a_say":     threatInviter,
		"C12_links_in_lists_and_logs":   threatLeaks,
		"C13_guessable_tokens":          threatGuess,
		"C14_expiry_needs_a_job":        threatExpiry,
		"C15_second_path":               threatSecondPath,
		"C15_own_second_path":           threatOwnSecondPath,
		"C18_sibling_without_check":     threatSibling,
		"C18_own_sibling":               threatOwnSibling,
		"C19_address_rules_dodged":      threatAddress,
		"C20_refusals_that_tell":        threatOracle,
		"C22_redirects_and_injection":   threatInjection,
		"C23_delimiters":                threatDelimiters,
		"C25_granted_before_acceptance": threatConsent,
		"C28_links_of_other_mailboxes":  threatOthersLink,
		"C29_private_metadata":          threatPrivate,
		"C31_origin_by_lower_case":      threatOrigin,
		"C33_redirect_not_asked_again":  threatStoredRedirect,
		"C34_query_before_the_ticket":   threatQuery,
		"C37_another_audience":          threatAudience,
		"C39_role_changed_unmailed":     threatUnmailed,
		"C30_merge_under_a_lock":        threatMerge,
		"C32_unprintable_text":          threatUnprintable,
		"C35_items_and_errors":          threatFlood,
		"C38_strict_readers":            threatStrictReaders,
	} {
		t.Run(name, func(t *testing.T) { attack(t, setup(t, nil)) })
	}
}

// Mallory registers with the victim's address without verifying it, and accepts the invitation.
func threatUnverified(t *testing.T, w *world) {
	inv := w.invite("victim@example.com")
	w.host.AddUser("mallory", "mallory@example.com") // the account has the address, but it is not verified
	w.host.AddUser("nobody")
	for _, user := range []string{"mallory", "nobody"} {
		for _, p := range []invitation.AcceptParams{byTicket(t, inv, user), byIDs(inv, user)} {
			w.refuses(invitation.ErrNotInvitee, []refusal{
				{403, "organization_invitation_identification_not_exist", ""},
			}, func() error { return w.accept(p) })
			_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(p))
			w.is.True(errors.Is(err, invitation.ErrNotInvitee))
		}
		page, err := w.svc.ListForUser(w.ctx, user, invitation.ListParams{})
		w.is.NoErr(err)
		w.is.Equal(page.TotalCount, 0) // nor do they see it
	}
}

// Somebody gets the mail forwarded and joins in the invitee's place.
func threatHolder(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	w.refuses(invitation.ErrNotInvitee, []refusal{
		{403, "organization_invitation_identification_not_exist", ""},
	}, func() error {
		return w.accept(byTicket(t, inv, "dora"))
	})
}

// The claims in a ticket are changed, or signed by another key or for another purpose.
func threatForged(t *testing.T, w *world) {
	carls, doras := ticketOf(t, w.invite("carl@example.com")), ticketOf(t, w.invite("dora@example.com"))
	elsewhere := w.service(w.host, &invitation.Config{TicketKeys: [][]byte{key2}})
	foreign, err := elsewhere.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "eve@example.com", Role: invitation.RoleAdmin,
	})
	w.is.NoErr(err)
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Limit: 1})
	w.is.NoErr(err)
	for _, forged := range []string{
		// claims of one ticket, signature of the other
		carls[:len(carls)/2] + doras[len(doras)/2:], doras[:len(carls)-43] + carls[len(carls)-43:],
		ticketOf(t, foreign), page.NextCursor,
	} {
		w.refuses(invitation.ErrInvalidTicket, []refusal{{400, "ticket_invalid_code", ""}}, func() error {
			return w.accept(invitation.AcceptParams{Ticket: forged, UserID: "carl"})
		})
	}
}

// The role changes between the page and the click.
func threatShown(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	shown, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.NoErr(err)
	_, err = w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		Role: invitation.RoleAdmin, RequestingUserID: "ann",
	})
	w.is.NoErr(err)
	p := byIDs(inv, "carl")
	p.Terms = shown.Terms
	w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error { return w.accept(p) })
	w.refuses(invitation.ErrInvalidTicket, []refusal{
		{400, "ticket_invalid_code", ""},
	}, func() error { return w.accept(byTicket(t, inv, "carl")) })
}

// An admin invites an owner: by Create, in a bulk, or by updating, resending or linking an invitation from somebody
// else.
func threatCeiling(t *testing.T, _ *world) {
	w := setup(t, &invitation.Config{Roles: ladder(t), ResendAfter: -1})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	owners, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: "org:owner", InviterUserID: "ann",
	})
	w.is.NoErr(err)
	members := w.invite("dora@example.com")
	bob := w.svc.As("bob")
	for name, call := range map[string]func() error{
		"create": func() error {
			_, err := bob.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "x@example.com", Role: "org:owner"})
			return err
		},
		"bulk": func() error {
			_, err := bob.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				{EmailAddress: "x@example.com", Role: invitation.RoleMember}, {EmailAddress: "y@example.com", Role: "org:owner"}})
			return err
		},
		"replace": func() error {
			_, err := bob.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "carl@example.com", Role: "org:owner", Replace: true,
			})
			return err
		},
		"promote": func() error {
			_, err := bob.Update(w.ctx, "acme", members.ID, invitation.UpdateParams{Role: "org:owner"})
			return err
		},
		"edit": func() error {
			_, err := bob.Update(w.ctx, "acme", owners.ID, invitation.UpdateParams{Role: invitation.RoleMember})
			return err
		},
		"resend": func() error { _, err := bob.Resend(w.ctx, "acme", owners.ID, invitation.ResendParams{}); return err },
		"link":   func() error { _, err := bob.Link(w.ctx, "acme", owners.ID); return err },
	} {
		before := w.stored()
		if err := call(); !errors.Is(err, invitation.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
		w.is.Equal(w.stored(), before)
	}
}

// The invitation of a removed or demoted inviter still grants its role.
func threatInviter(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	for _, strip := range []func(){
		func() { w.host.AddMember("acme", "ann", invitation.RoleMember) },
		func() { w.host.RemoveMember("acme", "ann") },
	} {
		strip()
		w.refuses(invitation.ErrForbidden, []refusal{
			{403, "not_allowed_access", ""},
		}, func() error { return w.accept(byTicket(t, inv, "carl")) })
		w.refuses(invitation.ErrForbidden, []refusal{
			{403, "not_allowed_access", ""},
		}, func() error { return w.accept(byIDs(inv, "carl")) })
	}
}

// Tickets leak through lists, events, errors and logs.
func threatLeaks(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	ticket := ticketOf(t, inv)
	list, err := w.svc.List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	all, err := w.svc.ListAll(w.ctx, invitation.ListParams{})
	w.is.NoErr(err)
	mine, err := w.svc.ListForUser(w.ctx, "carl", invitation.ListParams{})
	w.is.NoErr(err)
	preview, err := w.svc.Preview(w.ctx, ticket)
	w.is.NoErr(err)
	_, refused := w.svc.Accept(w.ctx, byTicket(t, inv, "dora"))
	stored := w.stored() // nothing that grants access is stored
	for _, v := range []any{
		list.Backend(), all.Backend(), mine.Backend(), preview.Backend(), w.get(inv).Backend(), w.events, stored, inv,
	} {
		b, err := json.Marshal(v)
		w.is.NoErr(err)
		w.is.True(!strings.Contains(string(b)+fmt.Sprintf("%+v", v), ticket[len(ticket)-40:]))
	}
	w.is.True(!strings.Contains(refused.Error()+string(invitation.ErrorBody(refused)), ticket[len(ticket)-40:]))
}

// Tokens and ids are sequential, or come from a weak source.
func threatGuess(t *testing.T, w *world) {
	is := is.New(t)
	seen := map[string]bool{}
	for i := range 50 {
		inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember,
		})
		is.NoErr(err)
		ticket := ticketOf(t, inv)
		is.True(regexp.MustCompile(`^orginv_[0-9A-HJKMNP-TV-Z]{26}$`).MatchString(inv.ID))
		is.True(!seen[ticket[len(ticket)-43:]]) // 256 bits of HMAC, different each time
		seen[ticket[len(ticket)-43:]] = true
	}
	var random []string // the random parts of ids, one clock tick apart
	for i := range 20 {
		w.clock.Advance(time.Second)
		inv, err := w.svc.Create(w.ctx, "other", invitation.CreateParams{
			EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember,
		})
		is.NoErr(err)
		random = append(random, inv.ID[17:])
	}
	is.True(!slices.IsSorted(random)) // it is drawn anew, not counted up
	_, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{
		TicketKeys: [][]byte{[]byte("short")}, AcceptURL: acceptURL,
	})
	is.True(errors.Is(err, invitation.ErrInvalid))
}

// An expired link works until a job has run, or for the rest of the second, the day or the time zone.
func threatExpiry(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	w.clock.Set(inv.ExpiresAt.In(time.FixedZone("west", -12*3600)))
	expired := []refusal{{400, "ticket_expired_code", ""}}
	for _, p := range []invitation.AcceptParams{byTicket(t, inv, "carl"), byIDs(inv, "carl")} {
		w.refuses(invitation.ErrExpired, expired, func() error { return w.accept(p) })
	}
	_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrExpired))
	_, err = w.svc.Link(w.ctx, "acme", inv.ID)
	w.is.True(errors.Is(err, invitation.ErrNotPending))
	w.clock.Set(inv.ExpiresAt.Add(-time.Microsecond))
	w.is.NoErr(w.accept(byTicket(t, inv, "carl"))) // nor too early
}

// One operation accepts what another one refuses.
func threatSecondPath(t *testing.T, w *world) {
	blocked := func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
		if strings.HasSuffix(r.EmailAddress, "@evil.example") {
			return fmt.Errorf("blocked: %w", invitation.ErrForbidden)
		}
		return nil
	}
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "x@evil.example", Role: invitation.RoleMember, ExpiresIn: time.Second,
	})
	w.is.NoErr(err) // before the rule
	w.clock.Advance(time.Hour)
	w.svc = w.service(w.host, &invitation.Config{AllowEmail: blocked})
	for name, call := range map[string]func() error{
		"create": func() error {
			_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "y@EVIL.example", Role: invitation.RoleMember,
			})
			return err
		},
		"bulk": func() error {
			_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				{EmailAddress: "y@evil.example", Role: invitation.RoleMember},
			})
			return err
		},
		"replace": func() error {
			_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "x@evil.example", Role: invitation.RoleMember, Replace: true,
			})
			return err
		},
		"revive": func() error { _, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{}); return err },
	} {
		if err := call(); !errors.Is(err, invitation.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unknown := invitation.UpdateParams{Role: "org:king"}
	_, err = w.svc.Update(w.ctx, "acme", w.invite("carl@example.com").ID, unknown)
	w.is.True(errors.Is(err, invitation.ErrNotFound)) // as in Create
}

// One operation checks its caller, and another one does not.
func threatSibling(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	for name, call := range operations(w, w.svc.As("bob"), inv) { // a member whose role does not manage
		switch name {
		case "Preview", "ListForUser", "Accept", "Decline":
			continue // not about the organization
		case "LockOrganization":
			continue // changes and reveals nothing
		}
		before := w.stored()
		if err := call(); !errors.Is(err, invitation.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
		w.is.Equal(w.stored(), before)
	}
}

// Another spelling bypasses a rule for a domain, or a look-alike an address.
func threatAddress(t *testing.T, w *world) {
	var asked []string
	w.svc = w.service(w.host, &invitation.Config{AllowEmail: func(_ context.Context, _ storage.Storage,
		r invitation.AllowEmailRequest) error {
		asked = append(asked, r.EmailAddress)
		if strings.HasSuffix(r.EmailAddress, "@corp.example") {
			return nil
		}
		return fmt.Errorf("only corp.example: %w", invitation.ErrForbidden)
	}})
	create := func(email string) error {
		_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember})
		return err
	}
	for _, email := range []string{"e@evilcorp.example", "e@corp.example.evil.com", "e@сorp.example",
		"e@corp.example@evil.com",
		"e＠evil.com@corp.example", "e@evil.com＠corp.example", "e@evil.com\x00@corp.example", "e@evil.com,x@corp.example",
		`"e@evil.com"@corp.example`, "e@evil.com>@corp.example"} {
		if err := create(email); err == nil {
			t.Errorf("%q got through", email)
		}
	}
	for _, email := range asked { // the rule only sees canonical addresses
		key, err := invitation.CanonicalEmail(email)
		w.is.NoErr(err)
		w.is.Equal(key, email)
	}
	w.host.AddUser("mallory", "İvan@corp.example", "vıctim@corp.example") // different letters
	w.is.NoErr(create("ivan@corp.example"))
	page, err := w.svc.ListForUser(w.ctx, "mallory", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(page.TotalCount, 0)
}

// Errors reveal whether an address has an account, a membership or an invitation.
func threatOracle(t *testing.T, w *world) {
	hers := w.invite("dora@example.com")
	_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "stranger@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	answers := map[string]bool{}
	note := func(err error) { answers[fmt.Sprint(err)+string(invitation.ErrorBody(err))] = true }
	// By ids, to a user who is not the invitee.
	for _, id := range []string{hers.ID, "orginv_00000000000000000000000000"} {
		note(w.accept(invitation.AcceptParams{OrganizationID: "acme", InvitationID: id, UserID: "carl"}))
		_, err := w.svc.As("carl").Accept(w.ctx, invitation.AcceptParams{
			OrganizationID: "acme", InvitationID: id, Terms: "others",
		})
		note(err)
	}
	w.is.Equal(len(answers), 1)
	// To a user who may not invite, whoever the address belongs to.
	clear(answers)
	for _, email := range []string{"ann@example.com", "dora@example.com", "carl@example.com", "unknown@example.com"} {
		_, err := w.svc.As("bob").Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: invitation.RoleMember,
		})
		note(err)
	}
	w.is.Equal(len(answers), 1)
	// To outsiders, whether or not the organization has the invitation.
	clear(answers)
	for _, id := range []string{hers.ID, "orginv_00000000000000000000000000"} {
		for _, user := range []string{"carl"} {
			_, err := w.svc.As(user).Get(w.ctx, "acme", id)
			note(err)
		}
	}
	w.is.Equal(len(answers), 1)
}

// Links lead to an attacker's page or run a script, addresses and URLs break mail headers, and one call mails thousands
// of people.
func threatInjection(t *testing.T, w *world) {
	for _, redirect := range []string{"javascript:alert(1)", "JAVASCRIPT://app.example.com/%0aalert(1)",
		"https://evil.com/", "https://app.example.com@evil.com/",
		"//evil.com", `https://app.example.com\.evil.com`, "https://app.example.com/\r\nX: y", "data:text/html,x",
		"https://app.example.com.evil.com"} {
		_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = redirect }))
		if !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%q: %v", redirect, err)
		}
	}
	// allows everything
	careless := w.service(w.host, &invitation.Config{AllowRedirect: func(*url.URL) error { return nil }})
	for _, redirect := range []string{
		"javascript://app.example.com/%0aalert(1)", "https://user@app.example.com/", `https://app.example.com/a\b`,
	} {
		_, err := careless.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = redirect }))
		if !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%q: %v", redirect, err)
		}
	}
	for _, email := range []string{"a@example.com\r\nBcc: all@example.com", "a\n@example.com",
		"a@example.com,b@example.com",
		"a\u202e@example.com", "a\u200b@example.com", strings.Repeat("a", 400) + "@example.com"} {
		_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = email }))
		if !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%q: %v", email, err)
		}
	}
	spam := make([]invitation.CreateParams, 1001)
	for i := range spam {
		spam[i] = with(func(p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@example.com", i) })
	}
	_, err := w.svc.CreateBulk(w.ctx, "acme", spam)
	w.is.True(errors.Is(err, invitation.ErrInvalid))
	inv := w.invite("carl@example.com")
	_, err = w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.True(errors.Is(err, invitation.ErrTooSoon)) // nor one address many times
}

// A value that contains a delimiter becomes another field: in a cursor, a ticket, an order or a search.
func threatDelimiters(t *testing.T, w *world) {
	n := 0
	w.svc = w.service(w.host, &invitation.Config{NewID: func() string { n++; return fmt.Sprintf("a|b,%d", n) }})
	for _, org := range []string{"o", "o|i", "o|i|1", "%", "_", "o'--"} {
		w.host.AddOrganization(invitation.Organization{ID: org})
		for _, email := range []string{"c_1@example.com", "cx1@example.com", "c%1@example.com"} {
			_, err := w.svc.Create(w.ctx, org, invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember})
			w.is.NoErr(err)
		}
		page, err := w.svc.List(w.ctx, org, invitation.ListParams{Limit: 1})
		w.is.NoErr(err)
		w.is.Equal(page.TotalCount, 3) // only of this organization
		for _, other := range []string{"o", "o|i", "%"} {
			if _, err := w.svc.List(w.ctx, other, invitation.ListParams{
				Cursor: page.NextCursor,
			}); (err == nil) != (other == org) {
				t.Errorf("a cursor of %q in %q: %v", org, other, err)
			}
		}
		for query, want := range map[string]int{"_": 1, "%": 1, "c_1": 1, "'": 0, "c%1": 1, "c": 3, `\`: 0} {
			page, err := w.svc.List(w.ctx, org, invitation.ListParams{Query: query})
			w.is.NoErr(err)
			w.is.Equal(page.TotalCount, want)
		}
	}
	for _, order := range []string{
		"created_at;drop table x", "created_at desc", "created_at,email_address", "email_key", "1",
	} {
		_, err := invitation.ParseOrder(order)
		w.is.True(errors.Is(err, invitation.ErrInvalid))
	}
	got, err := invitation.ParseListParams(url.Values{"order_by": {"created_at,-email_address"}})
	w.is.NoErr(err)
	w.is.Equal(len(got.OrderBy), 2)
}

// An invitation makes a member before it is accepted.
func threatConsent(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.NoErr(err)
	w.clock.Advance(time.Hour)
	_, err = w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	_, err = w.host.Role(w.ctx, w.host.Storage(), "acme", "carl")
	w.is.True(errors.Is(err, invitation.ErrNotMember))
	_, err = w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
	w.is.NoErr(err)
	w.is.Equal(len(w.host.Members("acme")), 2)
}

// Zoe manages an organization of her own. She invites the victim's address into it, and takes the link from a response.
// Sign-up with the link verifies the address. Then she accepts by ids what acme sent to the victim.
func threatOthersLink(t *testing.T, w *world) {
	victims := w.invite("victim@bank.example") // by ann, into acme
	zoe := w.svc.As("zoe")
	bait, err := zoe.Create(w.ctx, "other", invitation.CreateParams{
		EmailAddress: "victim@bank.example", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	for _, step := range []struct {
		name string
		call func() (invitation.Invitation, error)
	}{
		{"create", func() (invitation.Invitation, error) { return bait, nil }},
		{"bulk", func() (invitation.Invitation, error) {
			invs, err := zoe.CreateBulk(w.ctx, "other", []invitation.CreateParams{
				{EmailAddress: "v2@bank.example", Role: invitation.RoleMember},
			})
			w.is.NoErr(err)
			return invs[0], err
		}},
		{"replace", func() (invitation.Invitation, error) {
			return zoe.Create(w.ctx, "other", invitation.CreateParams{
				EmailAddress: "v2@bank.example", Role: invitation.RoleMember, Replace: true,
			})
		}},
		{"resend", func() (invitation.Invitation, error) {
			return zoe.Resend(w.ctx, "other", bait.ID, invitation.ResendParams{})
		}},
		{"update", func() (invitation.Invitation, error) {
			return zoe.Update(w.ctx, "other", bait.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
		}},
		{"an update of nothing", func() (invitation.Invitation, error) {
			return zoe.Update(w.ctx, "other", bait.ID, invitation.UpdateParams{})
		}},
		{"get", func() (invitation.Invitation, error) { return zoe.Get(w.ctx, "other", bait.ID) }},
		{"link", func() (invitation.Invitation, error) {
			link, err := zoe.Link(w.ctx, "other", bait.ID)
			w.is.True(errors.Is(err, invitation.ErrForbidden))
			return invitation.Invitation{URL: link}, nil
		}},
	} {
		w.clock.Advance(time.Hour)
		inv, err := step.call()
		w.is.NoErr(err)
		if inv.URL != "" {
			t.Errorf("%s gives away %q", step.name, inv.URL)
		}
	}
	w.refuses(invitation.ErrNotInvitee, []refusal{
		{403, "organization_invitation_identification_not_exist", ""},
	}, func() error {
		return w.accept(byIDs(victims, "zoe"))
	})

	// Conversely, a configuration in which managers see links does not let links prove an address.
	_, err = invitation.NewService(w.host.Storage(), w.host, &invitation.Config{
		TicketKeys: [][]byte{key1}, AcceptURL: acceptURL, ManagersSeeLinks: true, TicketProvesEmail: true})
	w.is.Equal(refusals(err), []refusal{{422, "form_param_value_invalid", "TicketProvesEmail"}})
	seeing := w.service(w.host, &invitation.Config{ManagersSeeLinks: true})
	link, err := seeing.As("ann").Link(w.ctx, "acme", victims.ID)
	w.is.NoErr(err)
	w.is.Equal(link, victims.URL)
	resent, err := seeing.As("ann").Resend(w.ctx, "acme", victims.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	w.is.True(resent.URL != "" && resent.URL != link)
}

// A browser sets or deletes private metadata, which becomes part of the membership.
func threatPrivate(t *testing.T, w *world) {
	ann := w.svc.As("ann")
	private := mustMetadata(t, `{"plan":"gold"}`)
	inv, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID, p.PrivateMetadata = "ann", private }),
	)
	w.is.NoErr(err) // the back end may
	denied := refusal{403, "not_allowed_access", "private_metadata"}
	w.refuses(invitation.ErrForbidden, []refusal{denied}, func() error {
		_, err := ann.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "x@example.com", Role: invitation.RoleMember, PrivateMetadata: private,
		})
		return err
	})
	// Too much of it is refused like any other, and not before the size of the bulk.
	flood := make([]invitation.CreateParams, 10_000)
	for i := range flood {
		flood[i].PrivateMetadata = private
	}
	_, err = ann.CreateBulk(w.ctx, "acme", flood)
	w.is.Equal(refusals(err), []refusal{{400, "bulk_size_exceeded", ""}})
	_, err = ann.CreateBulk(w.ctx, "acme", flood[:1000])
	w.is.True(errors.Is(err, invitation.ErrForbidden))
	w.is.Equal(len(refusals(err)), 100)

	bulk := []invitation.CreateParams{
		{EmailAddress: "x@example.com", Role: invitation.RoleMember},
		{EmailAddress: "y@example.com", Role: invitation.RoleMember, PrivateMetadata: private},
	}
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", "[1].private_metadata"}}, func() error {
		_, err := ann.CreateBulk(w.ctx, "acme", bulk)
		return err
	})
	for _, patch := range []string{`{"plan":"platinum"}`, `{"plan":null}`} {
		w.refuses(invitation.ErrForbidden, []refusal{denied}, func() error {
			_, err := ann.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{PrivateMetadata: mustMetadata(t, patch)})
			return err
		})
	}
	w.refuses(invitation.ErrForbidden, []refusal{denied}, func() error { // before what is wrong with the parameters
		_, err := ann.Create(w.ctx, "", invitation.CreateParams{PrivateMetadata: private})
		return err
	})
	w.refuses(invitation.ErrForbidden, []refusal{denied}, func() error {
		_, err := ann.Update(w.ctx, "", "", invitation.UpdateParams{PrivateMetadata: private, Role: "org:king"})
		return err
	})
	got, err := ann.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		PublicMetadata: mustMetadata(t, `{"a":1}`), PrivateMetadata: mustMetadata(t, `{}`),
	})
	w.is.NoErr(err)
	// As returns none either, in case a host marshals the wrong view.
	w.is.Equal(got.PrivateMetadata, invitation.Metadata{})
	w.is.Equal(w.events[len(w.events)-1].Invitation.PrivateMetadata, private) // the back end's own callback has it
	got, err = ann.Get(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	w.is.Equal(got.PrivateMetadata, invitation.Metadata{})
	for _, list := range []func() (invitation.Page, error){
		func() (invitation.Page, error) { return ann.List(w.ctx, "acme", invitation.ListParams{}) },
		func() (invitation.Page, error) {
			return w.svc.As("carl").ListForUser(w.ctx, "", invitation.ListParams{})
		},
	} {
		page, err := list()
		w.is.NoErr(err)
		w.is.Equal(len(page.Data), 1)
		w.is.Equal(page.Data[0].PrivateMetadata, invitation.Metadata{})
	}
	w.is.Equal(w.get(inv).PrivateMetadata, private)
}

// A redirect leaves the application through a letter whose lower case in Unicode is another letter: İ becomes i.
func threatOrigin(t *testing.T, _ *world) {
	w := setup(t, &invitation.Config{AcceptURL: "https://invite.example.com/join"})
	redirect := func(svc *invitation.Service, to string) (invitation.Invitation, error) {
		return svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = to }))
	}
	for _, to := range []string{
		"https://İnvite.example.com/", "https://i̇nvite.example.com/", "https://ınvite.example.com/",
		"https://xn--nvite-2bb.example.com/",
		"https://invite.exam\u00adple.com.evil.example/", "https://invite.example.com\"/", "https://in_vite.example.com/",
	} {
		if inv, err := redirect(w.svc, to); !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%q: %q, %v", to, inv.URL, err)
		}
	}
	// the same host for browsers
	for _, to := range []string{"https://INVITE.example.com/x", "https://ｉnvite.exam\u00adple.com/x"} {
		inv, err := redirect(w.svc, to)
		w.is.NoErr(err)
		w.is.True(strings.HasPrefix(inv.URL, "https://invite.example.com/x?")) // and the link says so
		_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
	// AllowRedirect sees what a browser would look up.
	var asked string
	own := w.service(w.host, &invitation.Config{AllowRedirect: func(u *url.URL) error { asked = u.Host; return nil }})
	_, err := redirect(own, "https://BÜCHER.example:8443/")
	w.is.NoErr(err)
	w.is.Equal(asked, "xn--bcher-kva.example:8443")
	for _, to := range []string{"https://xn--ü.example/", "https://\u0300a.example/", "https://\u2024.example/",
		"https://exa\"mple.com/", "https://exa'mple.com/", "https://a,b.example/"} {
		if _, err := redirect(own, to); !errors.Is(err, invitation.ErrInvalid) { // not a host name
			t.Errorf("%q: %v", to, err)
		}
	}
	// IP addresses are hosts too.
	for _, local := range []string{"http://127.0.0.1:8080/join", "http://[::1]:8080/join", "http://localhost:8080/join"} {
		svc := w.service(w.host, &invitation.Config{AcceptURL: local, ManagersSeeLinks: true})
		inv, err := svc.Create(w.ctx, "other", invitation.CreateParams{
			EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: local + "/x",
		})
		w.is.NoErr(err)
		w.is.True(strings.HasPrefix(inv.URL, local+"/x?"))
		_, err = svc.DeleteOrganization(w.ctx, "other")
		w.is.NoErr(err)
	}
}

// A redirect that was once allowed, or is allowed in another application, stays in use for ever.
func threatStoredRedirect(t *testing.T, w *world) {
	allowed := true
	var asked []string
	cfg := &invitation.Config{AllowRedirect: func(u *url.URL) error {
		asked = append(asked, u.String())
		if !allowed {
			return errors.New("not any more")
		}
		return nil
	}}
	w.svc = w.service(w.host, cfg)
	inv, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = "https://partner.example/welcome" }),
	)
	w.is.NoErr(err)
	w.is.True(strings.HasPrefix(inv.URL, "https://partner.example/welcome?"))
	link := func(svc *invitation.Service) string {
		link, err := svc.Link(w.ctx, "acme", inv.ID)
		w.is.NoErr(err)
		return link
	}
	w.is.Equal(link(w.svc), inv.URL)
	// the other application allows only its own origin
	w.is.True(strings.HasPrefix(link(w.service(w.host, nil)), acceptURL+"?"))

	allowed, asked = false, nil
	w.clock.Advance(time.Hour)
	w.is.True(strings.HasPrefix(link(w.svc), acceptURL+"?"))
	w.is.Equal(asked, []string{"https://partner.example/welcome"})
	updated, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		PublicMetadata: mustMetadata(t, `{"a":1}`),
	})
	w.is.NoErr(err)
	w.is.True(strings.HasPrefix(updated.URL, acceptURL+"?"))
	resent, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	w.is.True(strings.HasPrefix(resent.URL, acceptURL+"?"))

	// Stored URLs are not trusted either.
	allowed = true
	for _, stored := range []string{"javascript:alert(1)", "https://user@partner.example/",
		"https://partner.example/?a;b", "%zz",
		"https://partner.example/#invitation_ticket=x"} {
		r := w.stored()[0]
		r.RedirectURL = stored
		w.is.NoErr(w.host.Storage().Update(w.ctx, r))
		w.is.True(strings.HasPrefix(link(w.svc), acceptURL+"?"))
	}
	w.is.NoErr(w.accept(byTicket(t, resent, "carl")))
}

// The text before the ticket is HTML in the mail, or another ticket for some parser.
func threatQuery(t *testing.T, w *world) {
	redirect := func(query string) (invitation.Invitation, error) {
		return w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = acceptURL + "?" + query }))
	}
	for _, query := range []string{
		`a="><script>`, "a=<b>", "a;invitation_ticket=x", "a=%", "a=%zz", "a=%1", "a=ü", "a={b}", "a=|", "a=^",
		"a=`", "a[]=1",
		// for parsers that search the text
		"a=1?invitation_ticket=x", "a=1%26invitation_ticket%3Dx",
		"a=1%2526Invitation%255FTicket%253Dx", "a=1&amp%3Binvitation_ticket=",
		"#invitation_ticket=x", "#/join?invitation.ticket=x", "&a=1#a&invitation_ticket%5B0%5D=x", // or after the '#'
	} {
		if inv, err := redirect(query); !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%q: %q, %v", query, inv.URL, err)
		}
	}
	// or the path
	for _, path := range []string{"&invitation_ticket=x", ";invitation_ticket=x", "/%3Finvitation_ticket=x"} {
		_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = acceptURL + path }))
		w.is.True(errors.Is(err, invitation.ErrInvalid))
	}
	const ticketParam = "invitation_ticket="
	for query, kept := range map[string]string{
		"":                             "",
		"lang=de&a=b%20c&x":            "lang=de&a=b%20c&x&",
		"a='(*)!$,:@/?~":               "a='(*)!$,:@/?~&",
		"&&a=1&&":                      "a=1&",
		"invitation_ticket=x&a=1":      "a=1&",
		"invitation_ticket":            "",
		"Invitation_Ticket=x":          "",
		"invitation%5Fticket=x":        "",
		"invitation%255fticket=x":      "", // unescaped twice
		"invitation.ticket=x":          "", // in PHP
		"invitation+ticket=x":          "",
		"%20invitation_ticket=x":       "",
		"invitation_ticket%00y=x":      "",
		"invitation_ticket%5B%5D=x":    "", // for parsers of lists
		"invitation_ticket%5B0%5D=x":   "",
		"invitation%5Bticket=x":        "",
		"Invitation_Ticket%5B%5D=x":    "",
		"invitation_tic%E2%84%AAet=x":  "", // a Kelvin sign
		"invitation%C3%BCticket=x":     "",
		"invitation%25255fticket=x":    "", // and three times
		"%09invitation_ticket=x":       "",
		"invitation_ticket%00%2525=x":  "", // an escape that is none, behind where PHP stops
		"my_invitation_ticket=x&b":     "my_invitation_ticket=x&b&",
		"invitation_tickets=x":         "invitation_tickets=x&",
		"a=invitation_ticket&b=%3Dx":   "a=invitation_ticket&b=%3Dx&",
		"invitation_ticket%20=x":       "", // for parsers that trim
		"%EF%BB%BFinvitation_ticket=x": "",
	} {
		inv, err := redirect(query)
		if err != nil {
			t.Errorf("%q: %v", query, err)
			continue
		}
		_, got, _ := strings.Cut(inv.URL, "?")
		if before, ticket, found := strings.Cut(
			got, ticketParam+"CN",
		); !found || before != kept || strings.Contains(ticket, "&") {
			t.Errorf("%q: %q", query, got)
		}
		u, err := url.Parse(inv.URL)
		w.is.NoErr(err)
		w.is.Equal(len(u.Query()["invitation_ticket"]), 1)
		_, err = w.svc.Preview(w.ctx, u.Query().Get("invitation_ticket"))
		w.is.NoErr(err)
		_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
}

// Two applications share a key or a database, and a ticket of one is valid in the other.
func threatAudience(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	forged := []refusal{{400, "ticket_invalid_code", ""}}
	for name, cfg := range map[string]*invitation.Config{
		"another page":     {AcceptURL: "https://app.example.com/other"},
		"another host":     {AcceptURL: "https://admin.example.com/join"},
		"another scheme":   {AcceptURL: "http://app.example.com/join"},
		"another port":     {AcceptURL: "https://app.example.com:8443/join"},
		"another audience": {Audience: "staging"},
	} {
		other := w.service(w.host, cfg)
		_, err := other.Preview(w.ctx, ticketOf(t, inv))
		if !errors.Is(err, invitation.ErrInvalidTicket) {
			t.Errorf("%s: %v", name, err)
		}
		svc := w.svc
		w.svc = other
		w.refuses(invitation.ErrInvalidTicket, forged, func() error { return w.accept(byTicket(t, inv, "carl")) })
		w.svc = svc
	}
	slash := w.service(w.host, &invitation.Config{AcceptURL: "https://app.example.com/a%2Fb"})
	link, err := slash.Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	_, err = w.service(w.host, &invitation.Config{
		AcceptURL: "https://app.example.com/a/b",
	}).Preview(w.ctx, ticketOf(t, invitation.Invitation{URL: link}))
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket)) // another page
	// The same one, as it is or as it is called.
	for _, cfg := range []*invitation.Config{
		{AcceptURL: "HTTPS://APP.example.com:443/join?lang=de#top"},
		{AcceptURL: "https://moved.example.com/", Audience: "https://app.example.com:443/join"},
	} {
		_, err := w.service(w.host, cfg).Preview(w.ctx, ticketOf(t, inv))
		w.is.NoErr(err)
	}
	for audience, want := range map[string]refusal{
		strings.Repeat("a", 2049): {422, "form_param_exceeds_allowed_size", "Audience"},
		"a\nb":                    {422, "form_param_format_invalid", "Audience"},
		"a\x00":                   {422, "form_param_format_invalid", "Audience"},
		"\xff":                    {422, "form_param_format_invalid", "Audience"},
	} {
		_, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{Audience: audience})
		w.is.Equal(refusals(err), []refusal{want})
	}
	longest := w.service(w.host, &invitation.Config{Audience: strings.Repeat("a", 2048)})
	_, err = longest.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket))
}

// A role changes: the mailed link is void and no new one is mailed. Or a note is saved, and the page of the invitee is
// stale.
func threatUnmailed(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	shown, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.NoErr(err)
	mailed := func() int { // the number of mails of a host that follows Notify
		n := 0
		for _, e := range w.events {
			if e.Notify {
				n++
			}
		}
		return n
	}
	w.is.Equal(mailed(), 1)
	change := func(p invitation.UpdateParams) invitation.Invitation {
		got, err := w.svc.Update(w.ctx, "acme", inv.ID, p)
		w.is.NoErr(err)
		return got
	}
	// The back end saves notes while carl's page and ann's form are open.
	for _, note := range []string{`{"crm":1}`, `{"crm":2}`, `{"crm":null}`} {
		w.clock.Advance(time.Minute)
		w.is.Equal(change(invitation.UpdateParams{PrivateMetadata: mustMetadata(t, note)}).Terms, shown.Terms)
	}
	w.is.Equal(change(invitation.UpdateParams{
		PublicMetadata: mustMetadata(t, `{"a":null}`), PrivateMetadata: mustMetadata(t, `{"b":1}`),
	}).Terms, shown.Terms)
	w.is.Equal(mailed(), 1)
	w.is.Equal(w.get(inv).Terms, shown.Terms)

	changed := change(invitation.UpdateParams{Role: invitation.RoleAdmin, Terms: shown.Terms})
	w.is.Equal(mailed(), 2)
	w.is.Equal(w.events[len(w.events)-1].Invitation.ID, inv.ID)
	link, err := w.svc.Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	w.is.Equal(link, changed.URL)
	p := byTicket(t, changed, "carl")
	p.Terms = shown.Terms
	w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error { return w.accept(p) })
	p.Terms = changed.Terms
	w.is.NoErr(w.accept(p))
}

// begins counts the transactions that begin.
type begins struct {
	storage.Storage
	n *int
}

func (s begins) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	*s.n++
	return s.Storage.RunInTx(ctx, fn)
}

// allocated returns how many bytes a call allocates. This shows how often it copies its input.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A large or deep patch is merged while a lock is held, and every other writer waits.
func threatMerge(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	n := 0
	svc := w.svc.WithStorage(begins{w.host.Storage(), &n})
	large := mustMetadata(t, deepObject(10000, 60))
	for _, p := range []invitation.UpdateParams{
		{PublicMetadata: large}, {PrivateMetadata: large}, {PublicMetadata: large, RequestingUserID: "ann"},
	} {
		_, err := svc.Update(w.ctx, "acme", inv.ID, p)
		w.is.True(errors.Is(err, invitation.ErrInvalid))
		w.is.Equal(n, 0) // over MaxMetadata: no transaction begins
	}
	// If a host allows any size, depth costs nothing.
	w.svc = w.service(w.host, &invitation.Config{MaxMetadata: -1})
	update := func(depth int) uint64 {
		inv := w.invite(fmt.Sprintf("u%d@example.com", depth))
		patch := invitation.UpdateParams{PublicMetadata: mustMetadata(t, deepObject(1<<20, depth))}
		return allocated(func() {
			_, err := w.svc.Update(w.ctx, "acme", inv.ID, patch)
			w.is.NoErr(err)
		})
	}
	wide, deep := update(2), update(64)
	if deep > 2*wide {
		t.Errorf("merging 1 MiB allocates %d bytes if it is 2 deep, and %d if it is 64 deep", wide, deep)
	}
}

// A key of a body, or other text from outside, breaks a log line, changes the colours of a terminal or reverses its
// text.
func threatUnprintable(t *testing.T, w *world) {
	fit := func(what, text string) {
		t.Helper()
		if !utf8.ValidString(text) || strings.ContainsFunc(
			strings.TrimRight(text, "\n"), func(r rune) bool { return !strconv.IsPrint(r) },
		) {
			t.Errorf("%s: %q", what, text)
		}
		if len(text) > 3000 {
			t.Errorf("%s has %d bytes", what, len(text))
		}
	}
	// printed checks everything that a value prints.
	printed := func(what string, v any) {
		t.Helper()
		for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
			fit(what+" by "+verb, fmt.Sprintf(verb, v))
		}
		var lines strings.Builder
		slog.New(slog.NewTextHandler(&lines, nil)).Info("m", "v", v)
		fit(what+" as text", lines.String())
		lines.Reset()
		slog.New(slog.NewJSONHandler(&lines, nil)).Info("m", "v", v)
		fit(what+" as JSON", lines.String())
	}
	refused := func(what string, err error) {
		t.Helper()
		var errs invitation.Errors
		if !errors.As(err, &errs) || !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		for _, e := range errs {
			fit(what, e.Error())
			fit(what, e.LongMessage)
			fit(what, e.Param)
			printed(what, []any{e.Error(), e.Param}) // what hosts log
			lines := strings.Builder{}
			slog.New(slog.NewJSONHandler(&lines, nil)).Info("m", "err", e)
			fit(what, lines.String())
		}
		fit(what, string(invitation.ErrorBody(err)))
	}
	for _, bad := range []string{
		"\u202e", "\u2028", "\u0085", "\x1b[31m",
		"\n", "\r\nroot: ", "\x00", "\u200b", "\ufeff", "\x7f", "\U000e0041", "\xff", strings.Repeat("x", 5000)} {
		text := "a" + bad + "b"
		key, err := json.Marshal(text)
		w.is.NoErr(err)
		for what, body := range map[string]string{
			"a key": `{` + string(key) + `:1}`, "a key of an item": `[{` + string(key) + `:1}]`,
			"a key twice": `{"public_metadata":{"a":{` + string(key) + `:1,` + string(key) + `:1}}}`,
		} {
			if strings.HasPrefix(body, "[") {
				refused(what, decodeAs[[]invitation.CreateParams](strings.NewReader(body)))
			} else {
				refused(what, decodeAs[invitation.CreateParams](strings.NewReader(body)))
			}
		}
		if utf8.ValidString(text) { // unescaped text
			refused("a raw key", decodeAs[invitation.RevokeParams](strings.NewReader(`{"`+text+`":1}`)))
		}
		_, err = invitation.ParseMetadata([]byte(`{"x":[{` + string(key) + `:1,` + string(key) + `:2}]}`))
		refused("a key of metadata", err)
		_, err = invitation.ParseListParams(url.Values{
			"status": {text}, "order_by": {text, text}, "limit": {text}, "offset": {text},
		})
		refused("a query", err)
		_, err = w.svc.List(w.ctx, "acme", invitation.ListParams{Cursor: text,
			EmailAddress: text, Statuses: []invitation.Status{invitation.Status(text)},
			OrderBy: []invitation.Order{{Field: text}}})
		refused("a list", err)
		_, err = w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{{
			EmailAddress: text, Role: invitation.Role(text), RedirectURL: text,
		},
			{EmailAddress: text + "@example.com", Role: invitation.Role(text), RedirectURL: "https://" + text}})
		refused("a bulk", err)
		_, err = w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: []string{text}})
		refused("addresses", err)
		role := invitation.Role(text)
		_, err = invitation.NewRoles(invitation.RoleDefinition{Key: "a\u202e", Grants: []invitation.Role{role, "b\u2028"}},
			invitation.RoleDefinition{
				Key: "b\u2028", Manages: true, Grants: []invitation.Role{role},
			}, invitation.RoleDefinition{Key: "a\u202e"}, invitation.RoleDefinition{Key: role})
		refused("roles", err)

		printed("params", invitation.CreateParams{EmailAddress: text, Role: role})
		printed("params in a list", []invitation.CreateParams{{EmailAddress: text, Role: role}})
		printed("a change", invitation.UpdateParams{Role: role})
		printed("a membership", &invitation.Membership{OrganizationID: text, UserID: text, InvitationID: text, Role: role})
		inv := invitation.Invitation{
			ID: text, OrganizationID: text, EmailAddress: text, Role: role, Status: invitation.Status(text),
		}
		printed("an invitation", inv)
		printed("a view", inv.Backend())
		fit("a transition", (&invitation.TransitionError{
			From: invitation.Status(text), Event: invitation.EventAccepted,
		}).Error())

		numbers := map[int]string{}
		if err := mustMetadata(t, `{`+strings.ReplaceAll(string(key), `\u0000`, "")+`:"x"}`).Decode(&numbers); err == nil {
			t.Errorf("%q is no number", text)
		} else {
			fit("metadata", err.Error())
		}
	}
	// A store that breaks the rules is named in the error.
	odd := oddIDs{w.host.Storage()}
	inv := w.invite("carl@example.com")
	_, err := w.svc.WithStorage(odd).List(w.ctx, "acme", invitation.ListParams{})
	w.is.True(err != nil)
	fit("a store", err.Error())
	_, err = w.svc.WithStorage(odd).Link(w.ctx, "acme", inv.ID)
	w.is.True(errors.Is(err, invitation.ErrNotPending))
	fit("a status", err.Error())
}

// oddIDs is a storage that returns records that were not asked for.
type oddIDs struct{ storage.Storage }

func (oddIDs) List(context.Context, storage.Query) ([]storage.Record, error) {
	return []storage.Record{{ID: "a\u202eb\n"}}, nil
}

func (oddIDs) Get(context.Context, string) (storage.Record, error) {
	return storage.Record{OrganizationID: "acme", Status: "a\u202eb\n"}, nil
}

// A small body becomes hundreds of thousands of items, or an answer of thousands of errors.
func threatFlood(t *testing.T, w *world) {
	for _, item := range []string{"0", "{}", "[]", `""`} {
		body := "[" + strings.Repeat(item+",", 200000) + item + "]"
		read := allocated(func() { // the cost of reading and checking useless JSON
			_, err := invitation.Decode[invitation.CreateParams](strings.NewReader(body))
			w.is.Equal(refusals(err), []refusal{{400, "request_body_invalid", ""}})
		})
		items := allocated(func() {
			ps, err := invitation.Decode[[]invitation.CreateParams](strings.NewReader(body))
			w.is.Equal(refusals(err), []refusal{{400, "bulk_size_exceeded", ""}})
			w.is.True(errors.Is(err, invitation.ErrInvalid))
			w.is.True(strings.Contains(err.Error(), "10000"))
			w.is.Equal(len(ps), 0)
		})
		if items > read+1<<16 {
			t.Errorf("%d bytes for the items of %d bytes of %s", items-read, len(body), item)
		}
	}
	ps, err := invitation.Decode[[]invitation.CreateParams](strings.NewReader("[" + strings.Repeat("{},", 9999) + "{}]"))
	w.is.NoErr(err) // the limit itself is fine
	w.is.Equal(len(ps), 10000)
	unlimited := w.service(w.host, &invitation.Config{MaxBulk: -1})
	_, err = unlimited.CreateBulk(w.ctx, "acme", ps)
	errs := atMost100(t, err, 20000)
	w.is.True(len(invitation.ErrorBody(errs)) < 100*300)
	_, err = invitation.Decode[[]invitation.CreateParams](strings.NewReader("[" + strings.Repeat("{},", 10000) + "{}]"))
	w.is.Equal(refusals(err), []refusal{{400, "bulk_size_exceeded", ""}})
}

// Go reads metadata that other readers refuse or truncate: a JSONB column, a mobile client, a browser.
func threatStrictReaders(t *testing.T, w *world) {
	inv := w.invite("carl@example.com")
	for _, object := range []string{
		`{"a":"b\u0000"}`, `{"a\u0000":1}`, `{"a":["\ud800"]}`, `{"a":{"\udfff":1}}`, `{"a":1e999999}`, `{"a":[-1e309]}`,
	} {
		if !json.Valid([]byte(object)) {
			t.Errorf("%s is no JSON at all", object)
		}
		_, err := invitation.ParseMetadata([]byte(object))
		w.is.Equal(refusals(err), []refusal{{422, "form_param_format_invalid", "metadata"}})
		_, err = invitation.NewMetadata(json.RawMessage(object))
		w.is.Equal(refusals(err), []refusal{{422, "form_param_format_invalid", "metadata"}})
		var m invitation.Metadata
		w.is.True(json.Unmarshal([]byte(object), &m) != nil)
		for _, param := range []string{"public_metadata", "private_metadata"} {
			body := `{"` + param + `":` + object + `}`
			w.is.Equal(refusals(decodeAs[invitation.CreateParams](strings.NewReader(body))), []refusal{
				{422, "form_param_format_invalid", param},
			})
			w.is.Equal(refusals(decodeAs[invitation.UpdateParams](strings.NewReader(body))), []refusal{
				{422, "form_param_format_invalid", param},
			})
			w.is.Equal(refusals(decodeAs[[]invitation.CreateParams](strings.NewReader("[{},"+body+"]"))), []refusal{
				{422, "form_param_format_invalid", "[1]." + param},
			})
		}
		// Metadata that was stored earlier is still shown, and can be repaired.
		r := w.stored()[0]
		r.PublicMetadata = []byte(object)
		w.is.NoErr(w.host.Storage().Update(w.ctx, r))
		w.is.Equal(text(t, w.get(inv).PublicMetadata), object)
		shown, err := json.Marshal(w.get(inv))
		w.is.NoErr(err)
		w.is.True(strings.Contains(string(shown), object))
		got, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
			PublicMetadata: mustMetadata(t, `{"a":null,"b":1}`),
		})
		w.is.NoErr(err)
		w.is.True(strings.HasSuffix(text(t, got.PublicMetadata), `"b":1}`))
	}
	// Keys that differ only in case are legal, and their order does not decide which one a struct gets.
	for _, object := range []string{
		`{"role":"member","Role":"admin"}`, `{"ROLE":"admin","role":"member","rOLE":"admin"}`,
	} {
		var got struct {
			Role string `json:"role"`
		}
		w.is.NoErr(mustMetadata(t, object).Decode(&got))
		w.is.Equal(got.Role, "member")
	}
}
