package invitation_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/invitation"
)

func TestForgedTickets(t *testing.T) {
	w := setup(t, nil)
	ticket := ticketOf(t, w.invite("carl@example.com"))
	raw, err := base64.RawURLEncoding.DecodeString(ticket)
	w.is.NoErr(err)

	forged := map[string]string{
		"empty": "", "no base64": "%%%", "truncated": ticket[:len(ticket)-4], "a byte more": ticket + "AA",
		"padding": ticket + "==", "the claims alone": base64.RawURLEncoding.EncodeToString(raw[:len(raw)-32]),
		"short": "AAAA", "huge": strings.Repeat("A", 1<<20), "line break": ticket[:8] + "\n" + ticket[8:],
	}
	for i := range raw { // every byte counts
		changed := append([]byte{}, raw...)
		changed[i] ^= 1
		forged["flipped "+string(rune('0'+i/100))+string(
			rune('0'+i/10%10),
		)+string(rune('0'+i%10))] = base64.RawURLEncoding.EncodeToString(changed)
	}
	// The key id is public. A signature by another key is worthless.
	mac := hmac.New(sha256.New, key2)
	mac.Write(raw[:len(raw)-32])
	forged["another key"] = base64.RawURLEncoding.EncodeToString(mac.Sum(append([]byte{}, raw[:len(raw)-32]...)))
	// The last character has bits that belong to no byte. Only one spelling is valid.
	if last := strings.IndexByte(alphabet, ticket[len(ticket)-1]); len(ticket)%4 != 0 {
		forged["another spelling"] = ticket[:len(ticket)-1] + alphabet[last^1:last^1+1]
	}
	for name, f := range forged {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			want := []refusal{{400, "ticket_invalid_code", ""}}
			if f != "" {
				w.refuses(invitation.ErrInvalidTicket, want, func() error {
					_, err := w.svc.Accept(w.ctx, invitation.AcceptParams{Ticket: f, UserID: "carl"})
					return err
				})
				w.refuses(invitation.ErrInvalidTicket, want, func() error {
					_, err := w.svc.Decline(w.ctx, invitation.DeclineParams{Ticket: f, UserID: "carl"})
					return err
				})
			}
			w.refuses(invitation.ErrInvalidTicket, want, func() error {
				_, err := w.svc.Preview(w.ctx, f)
				return err
			})
		})
	}
	_, err = w.svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticket, UserID: "carl"})
	w.is.NoErr(err) // the real one still works
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestTicketKeysRotate(t *testing.T) {
	w := setup(t, &invitation.Config{TicketKeys: [][]byte{key1}})
	old := ticketOf(t, w.invite("carl@example.com"))

	rotated := w.service(w.host, &invitation.Config{TicketKeys: [][]byte{key2, key1}})
	_, err := rotated.Preview(w.ctx, old)
	w.is.NoErr(err) // the old key still verifies
	fresh, err := rotated.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)

	dropped := w.service(w.host, &invitation.Config{TicketKeys: [][]byte{key2}})
	_, err = dropped.Preview(w.ctx, old)
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket)) // dropped
	_, err = dropped.Preview(w.ctx, ticketOf(t, fresh))
	w.is.NoErr(err) // the first key signed

	reordered := w.service(w.host, &invitation.Config{TicketKeys: [][]byte{key1, key2}})
	_, err = reordered.Preview(w.ctx, ticketOf(t, fresh))
	w.is.NoErr(err) // the position of a key does not matter
}

// A ticket is valid only for the organization and the invitation that it was issued for.
func TestTicketOfOtherIDs(t *testing.T) {
	w := setup(t, nil)
	inv, second := w.invite("carl@example.com"), w.invite("dora@example.com")
	for _, p := range []invitation.AcceptParams{
		{OrganizationID: "other"}, {InvitationID: second.ID}, {OrganizationID: "other", InvitationID: inv.ID},
	} {
		p.Ticket, p.UserID = ticketOf(t, inv), "carl"
		w.refuses(invitation.ErrInvalidTicket, []refusal{{400, "ticket_invalid_code", ""}}, func() error {
			_, err := w.svc.Accept(w.ctx, p)
			return err
		})
	}
	_, err := w.svc.Accept(w.ctx, invitation.AcceptParams{
		Ticket: ticketOf(t, inv), OrganizationID: "acme", InvitationID: inv.ID, UserID: "carl"})
	w.is.NoErr(err) // both may be set
}

func TestTicketWithoutKeys(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	svc, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{Clock: w.clock})
	w.is.NoErr(err)
	_, err = svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticketOf(t, inv), UserID: "carl"})
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket))
	_, err = svc.Link(w.ctx, "acme", inv.ID)
	w.is.True(errors.Is(err, invitation.ErrInvalid))
}

func TestLinkTarget(t *testing.T) {
	w := setup(t, &invitation.Config{AcceptURL: "https://app.example.com/join?lang=de&a%3Bb#top", TicketParam: "t"})
	for redirect, want := range map[string]string{
		"":                                    "https://app.example.com/join?lang=de&a%3Bb&t=TICKET#top",
		"https://app.example.com":             "https://app.example.com?t=TICKET",
		"https://app.example.com/x?t=old&u=1": "https://app.example.com/x?u=1&t=TICKET",
		"HTTPS://APP.example.com:443/y":       "https://app.example.com:443/y?t=TICKET",
	} {
		t.Run(redirect, func(t *testing.T) {
			w.in(t)
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: redirect})
			w.is.NoErr(err)
			u, err := url.Parse(inv.URL)
			w.is.NoErr(err)
			w.is.Equal(strings.Replace(inv.URL, u.Query().Get("t"), "TICKET", 1), want)
			link, err := w.svc.Link(w.ctx, "acme", inv.ID)
			w.is.NoErr(err)
			w.is.Equal(link, inv.URL) // Link gives the same one again
			_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			w.is.NoErr(err)
		})
	}
}

// Another parameter stays, although it differs from the ticket's in one letter or digit only.
func TestParametersBesideTheTicket(t *testing.T) {
	w := setup(t, &invitation.Config{
		TicketParam: "az09", AcceptURL: acceptURL + "?_z09=1&AZ09=x&a_09=1&az_9=1&az0_=1&bz09=1",
	})
	inv := w.invite("carl@example.com")
	w.is.True(strings.HasPrefix(inv.URL, acceptURL+"?_z09=1&a_09=1&az_9=1&az0_=1&bz09=1&az09="))

	w = setup(t, &invitation.Config{TicketParam: "pass", AcceptURL: acceptURL + "?pa%C5%BFs=x&p"}) // with a long s
	w.is.True(strings.HasPrefix(w.invite("carl@example.com").URL, acceptURL+"?p&pass="))
}

// An address has one origin, however it is spelled.
func TestOriginOfAnAddress(t *testing.T) {
	w := setup(t, &invitation.Config{AcceptURL: "http://[::1]:8080/join"})
	inv, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = "http://[0:0:0:0:0:0:0:1]:8080/x" }),
	)
	w.is.NoErr(err)
	w.is.True(strings.HasPrefix(inv.URL, "http://[::1]:8080/x?"))
}

func TestRedirectsThatAreRefused(t *testing.T) {
	refused := func(w *world, urls ...string) {
		for _, u := range urls {
			w.refuses(invitation.ErrInvalid, []refusal{{422, "form_param_format_invalid", "redirect_url"}}, func() error {
				_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
					EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: u})
				return err
			})
		}
	}
	never := []string{
		"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "/join", "//app.example.com",
		"https://", "https:///x", "https://user@app.example.com", "https://app.example.com@evil.com", "mailto:a@b.c",
		"ftp://app.example.com",
		"https://app.example.com\\@evil.com", "https://evil.com\\.app.example.com",
		"https://app.example.com/\r\nSet-Cookie: x",
		"https://app.example.com/\x00", "https://app.example.com/ x", " https://app.example.com",
		"https://app.example.com:port", "\xff",
		"https://a,b.example", "https://xn--ü.example", "https://app.example.com/?a;b", "https://app.example.com/?a=<b>",
		`https://app.example.com/?a="`, "https://אa.example", "https://app.example.com/?a=%zz",
	}
	w := setup(t, nil)
	refused(w, never...)
	refused(w, "https://evil.com", "http://app.example.com", "https://app.example.com:8443",
		"https://app.example.com.evil.com",
		"https://sub.app.example.com") // only the origin of AcceptURL

	free, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{Clock: w.clock})
	w.is.NoErr(err)
	w.svc = free
	refused(w, never...)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: "http://anywhere.example/x"})
	w.is.NoErr(err) // without tickets nothing can leak there

	cause := errors.New("not on the list")
	w = setup(t, &invitation.Config{AllowRedirect: func(u *url.URL) error {
		if u.Hostname() == "partner.example" {
			return nil
		}
		return cause
	}})
	refused(w, never...)
	refused(w, acceptURL)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: acceptURL})
	w.is.True(errors.Is(err, cause)) // the host's reason stays in the chain
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: "https://partner.example/"})
	w.is.NoErr(err)

	for _, to := range []string{
		"https://r3---sn.partner.example", "https://a_b.partner.example", "https://[::1]:8443", "https://a_ü.example",
	} {
		w = setup(t, &invitation.Config{AllowRedirect: func(u *url.URL) error { return nil }})
		inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: to})
		w.is.NoErr(err)
		w.is.True(strings.HasPrefix(inv.URL, strings.Replace(to, "a_ü", "xn--a_-yka", 1)+"?")) // in ASCII as it is
	}
	for _, bad := range []string{"https://xn--ü.example", "https://app.example.com/?a=%zz"} {
		_, err = invitation.NewService(w.host.Storage(), w.host, &invitation.Config{AcceptURL: bad})
		var e *invitation.Error
		w.is.True(errors.As(err, &e) && e.Param == "AcceptURL" && len(e.Unwrap()) == 2) // with the cause in the chain
	}

	own := &invitation.Error{Status: 400, Code: "no_partner", Message: "No", LongMessage: "No such partner"}
	w = setup(t, &invitation.Config{AllowRedirect: func(*url.URL) error { return own }})
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, RedirectURL: acceptURL})
	var e *invitation.Error
	w.is.True(errors.As(err, &e) && e == own) // shown unchanged
}

// A ticket whose record is gone, or whose generation has passed, is void.
func TestVoidTickets(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	r := w.stored()[0]
	r.Generation++
	w.is.NoErr(w.host.Storage().Update(w.ctx, r))
	void := []refusal{{400, "ticket_invalid_code", ""}}
	both := func() {
		w.refuses(invitation.ErrInvalidTicket, void, func() error { return w.accept(byTicket(t, inv, "carl")) })
		w.refuses(
			invitation.ErrInvalidTicket, void, func() error { _, err := w.svc.Preview(w.ctx, ticketOf(t, inv)); return err },
		)
	}
	both()
	_, err := w.host.Storage().Delete(w.ctx, inv.ID)
	w.is.NoErr(err)
	both()
}

// A ticket of a later generation than the stored one is void, like one of an earlier generation. A link is always
// current.
func TestGenerations(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	r := w.stored()[0]
	r.Generation = 5
	w.is.NoErr(w.host.Storage().Update(w.ctx, r))
	link, err := w.svc.Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	later := ticketOf(t, invitation.Invitation{URL: link})
	_, err = w.svc.Preview(w.ctx, later)
	w.is.NoErr(err)
	r = w.stored()[0]
	r.Generation = 4
	w.is.NoErr(w.host.Storage().Update(w.ctx, r))
	_, err = w.svc.Preview(w.ctx, later)
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket))
}

// The longest values fit into a ticket and a cursor.
func TestLongestTicketAndCursor(t *testing.T) {
	n := 0
	w := setup(t, &invitation.Config{NewID: func() string { n++; return fmt.Sprintf("%064d", n) }})
	org := strings.Repeat("o", 128)
	w.host.AddOrganization(invitation.Organization{ID: org})
	domain := strings.Repeat("d", 63) + "." + strings.Repeat("d", 63) + "." + strings.Repeat("d", 59) + ".example"
	for _, local := range []string{strings.Repeat("a", 64), strings.Repeat("b", 64)} {
		inv, err := w.svc.Create(w.ctx, org, with(func(p *invitation.CreateParams) { p.EmailAddress = local + "@" + domain }))
		w.is.NoErr(err)
		_, err = w.svc.Preview(w.ctx, ticketOf(t, inv))
		w.is.NoErr(err)
	}
	p := invitation.ListParams{
		Limit: 1, OrderBy: []invitation.Order{{Field: "email_address"}, {Field: "created_at"}, {Field: "expires_at"}},
	}
	page, err := w.svc.List(w.ctx, org, p)
	w.is.NoErr(err)
	p.Cursor = page.NextCursor
	page, err = w.svc.List(w.ctx, org, p)
	w.is.NoErr(err)
	w.is.Equal(len(page.Data), 1)
	w.is.Equal(page.NextCursor, "")
}
