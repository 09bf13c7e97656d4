package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// TestLife is the whole life of the invitations of an organization, as its admin and the invited people see it.
func TestLife(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	ann.sees(http.StatusOK, "Acme", "ann@acme.example Admin", "No invitations here.")
	is.Equal(ann.options("role"), []string{"org:admin", "org:lead", "org:member"})

	// One address, with a message.
	ann.press("Invite", "emails", "bob@example.com", "message", "Hello Bob")
	ann.sees(http.StatusOK, "Invited.", "bob@example.com invited by ann@acme.example", "1 in all", "pending 1")

	// A pasted list. What is refused stays in the form, with a reason.
	ann.press("Invite", "emails", "carol@example.com, dan@example.com\r\n\r\nBob <bob@example.com>\r\nbob@example.com; ;"+
		"ann@acme.example\r\nerin@example.com", "role", "org:lead")
	ann.sees(http.StatusUnprocessableEntity, "This did not work", "4 in all", "Bob <bob@example.com>: Malformed",
		"bob@example.com: Already invited", "ann@acme.example: Already a member")
	is.Equal(strings.Fields(ann.field("emails")),
		[]string{"Bob", "<bob@example.com>", "bob@example.com", "ann@acme.example"})
	is.Equal(ann.field("role"), "org:lead")
	ann.follow("pending 4") // the links of the page lead to the list, not to where the form went
	is.Equal(ann.at.Path, acme)
	ann.press("Invite", "emails", "bob@example.com").sees(http.StatusUnprocessableEntity, "Already invited")
	ann.press("Show", "query", "carol").sees(http.StatusOK, "1 in all")
	ann.press("Invite", "emails", " \n").sees(http.StatusUnprocessableEntity, "send at least one")

	// Bob signs up through the link, and is a member.
	bob := s.visitor(t).get(s.mailTo(t, "bob@example.com"))
	bob.sees(http.StatusOK, "Join Acme", "ann@acme.example invites you as Member", "Hello Bob", "Sign up and accept")
	bob.press("Sign up and accept")
	bob.sees(http.StatusOK, "You are a member now", "Acme", "bob@example.com Member")
	is.Equal(bob.at.Path, acme)
	is.True(!strings.Contains(bob.body, "Invite people")) // members do not manage
	bob.get("/").sees(http.StatusOK, "Nobody has invited you", "Acme")
	bob.get(s.mailTo(t, "bob@example.com")).sees(http.StatusBadRequest, "already accepted", "Go to your organizations")

	// Carol declines without an account.
	carol := s.visitor(t).get(s.mailTo(t, "carol@example.com"))
	carol.press("Decline").sees(http.StatusOK, "You declined")
	carol.get(s.mailTo(t, "carol@example.com"))
	carol.sees(http.StatusNotFound, "Ask ann@acme.example for a new invitation to Acme")

	// Dan signs up without the link. His invitations are at home.
	dan := s.signedIn(t, "dan@example.com")
	dan.sees(http.StatusOK, "Acme", "You are invited as Team lead")
	dan.press("Accept").sees(http.StatusOK, "You are a member now", "dan@example.com Team lead")
	is.Equal(dan.options("role"), []string{"org:member"}) // what a team lead may grant
	is.Equal(dan.rows(), nil)                             // the others are not his
	dan.press("Invite", "emails", "frank@example.com").sees(http.StatusOK, "1 in all", "frank@example.com")

	// Erin's role is changed, and her older link is dead. So is the one before the last after it is sent again.
	old := s.mailTo(t, "erin@example.com")
	ann.get(acme+"?status=pending").press("Change the role of erin@example.com", "role", "org:admin")
	ann.sees(http.StatusOK, "Role changed")
	is.Equal(ann.at.Query().Get("status"), "pending") // the list is the same
	is.True(!strings.Contains(ann.follow("All").body, "Role changed"))
	ann.get(acme + "?status=pending")
	erin := s.visitor(t).get(old)
	erin.sees(http.StatusBadRequest, "Look for the newest mail")
	erin.get(s.mailTo(t, "erin@example.com")).sees(http.StatusOK, "as Admin")
	ann.press("Resend to erin@example.com").sees(http.StatusTooManyRequests, "Too soon")
	s.now.Advance(2 * time.Minute)
	ann.get(acme).press("Resend to erin@example.com").sees(http.StatusOK, "Sent again")

	// The page that Erin has open is out of date. The form says so, and changes nothing.
	erin.press("Sign up and accept").sees(http.StatusBadRequest, "Invalid ticket")

	// An expired link says whom to ask. A revoked one too.
	link := s.mailTo(t, "erin@example.com")
	s.now.Advance(8 * 24 * time.Hour)
	erin.get(link).sees(http.StatusBadRequest, "expired", "Ask ann@acme.example")
	ann = s.signedIn(t, "ann@acme.example").get(acme + "?status=expired")
	is.Equal(ann.rows(), []string{"frank@example.com", "erin@example.com"})
	ann.press("Resend to erin@example.com").sees(http.StatusOK, "Sent again")
	link = s.mailTo(t, "erin@example.com")
	ann.get(acme).press("Revoke erin@example.com").sees(http.StatusOK, "Revoked", "revoked 1")
	erin.get(link).sees(http.StatusBadRequest, "revoked", "Ask ann@acme.example for a new invitation to Acme")

	// Signing out ends the session.
	ann.press("Sign out").get("/")
	is.Equal(ann.at.Path, "/signin")
}

// field returns the value of a field of the form that invites.
func (p *person) field(name string) string {
	for n := range p.page.Descendants() {
		if n.Data == "form" && strings.Contains(attr(n, "action"), "/invitations?") {
			return formValues(n).Get(name)
		}
	}
	return ""
}

// TestList goes through the pages of a list, searches and sorts it.
func TestList(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	var addresses []string
	for i := range 25 {
		addresses = append(addresses, fmt.Sprintf("p%02d@example.com", i))
	}
	addresses = append(addresses, "zoe@other.example")
	ann.press("Invite", "emails", strings.Join(addresses, "\n")).sees(http.StatusOK, "26 in all")

	ann.get(acme)
	ann.press("Show", "order_by", "email_address")
	got := ann.rows()
	is.Equal(len(got), 10)
	ann.follow("Next")
	second := ann.rows()
	is.True(strings.Contains(text(ann.page), "Previous Next"))
	got = append(got, second...)
	ann.follow("Next")
	got = append(got, ann.rows()...)
	is.Equal(got, addresses)
	is.True(!strings.Contains(text(ann.page), "Previous Next")) // the last page
	ann.follow("Previous")
	is.Equal(ann.rows(), second)

	ann.press("Revoke p12@example.com").sees(http.StatusOK, "Revoked", "revoked 1", "pending 25")
	ann.follow("revoked 1")
	is.Equal(ann.rows(), []string{"p12@example.com"})
	ann.follow("pending 25").press("Show", "query", "OTHER").sees(http.StatusOK, "pending 1", "1 in all")
	is.Equal(ann.rows(), []string{"zoe@other.example"})
	ann.get(acme+"?status=lost").sees(http.StatusUnprocessableEntity, "Invalid parameter value")
	ann.get(acme+"?cursor=lost").sees(http.StatusUnprocessableEntity, "Invalid parameter value")
}

// TestSignInWithLink leads a visitor who has an account from the link of an invitation to the sign-in, and home.
func TestSignInWithLink(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	s.signedIn(t, "bob@example.com")
	s.now.Advance(time.Hour)
	ann, _ := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com")
	link := s.mailTo(t, "bob@example.com")

	// A visitor with only the link, perhaps forwarded, does not get the account.
	bob := s.visitor(t).get(link)
	bob.press("Sign up and accept").sees(http.StatusConflict, "This address has an account")
	bob.get("/")
	is.Equal(bob.at.Path, "/signin")

	bob.get(link).press("Mail me a link to sign in").sees(http.StatusOK, "We have sent you a mail")
	bob.get(s.mailTo(t, "bob@example.com")).press("Sign in").sees(http.StatusOK, "Acme", "You are invited")
	bob.get(link).sees(http.StatusOK, "Accept")
	bob.press("Accept").sees(http.StatusOK, "You are a member now")

	// Ann is not who is invited. She learns for whom the link is, and what to do.
	ann.press("Invite", "emails", "carol@example.com")
	ann.get(s.mailTo(t, "carol@example.com")).sees(http.StatusForbidden, "for carol@example.com", "Sign out")
}

// TestNotMailed revokes an invitation before its mail is sent, so there is nothing to mail. A job is committed with its
// invitation and holds no link.
func TestNotMailed(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com\ncarol@example.com")
	var jobs []mailJob
	is.NoErr(s.db.NewSelect().Model(&jobs).Scan(t.Context()))
	is.Equal(len(jobs), 2)
	is.Equal("/orgs/"+jobs[0].OrganizationID, acme)
	ann.press("Revoke bob@example.com")
	is.NoErr(s.db.NewSelect().Model(&jobs).Scan(t.Context()))
	is.Equal(len(jobs), 2) // nothing is mailed about a revocation
	is.NoErr(s.mailAll(t.Context()))
	var mailed []string
	is.NoErr(s.db.NewSelect().Model((*mail)(nil)).Column("to").Order("id").Scan(t.Context(), &mailed))
	is.Equal(mailed, []string{"ann@acme.example", "carol@example.com"})
	left, err := s.db.NewSelect().Model(&jobs).Count(t.Context())
	is.NoErr(err)
	is.True(left == 0)
	ann.get("/mail").sees(http.StatusOK, "Invitation as Member", "To carol@example.com")

	// An inviter who may no longer invite sends no mail, and neither does an invitation that was deleted.
	ann.get(acme).press("Invite", "emails", "eve@example.com\nfay@example.com")
	_, err = s.svc.EraseEmail(t.Context(), "eve@example.com")
	is.NoErr(err)
	for _, role := range []string{"org:member", "org:admin"} { // the job is gone when Ann may again
		_, err = s.db.ExecContext(t.Context(), "UPDATE members SET role = ?", role)
		is.NoErr(err)
		is.NoErr(s.mailAll(t.Context()))
		sent, err := s.db.NewSelect().Model((*mail)(nil)).Count(t.Context())
		is.NoErr(err)
		is.True(sent == 2)
	}

	// A job that fails stays.
	ann.get(acme).press("Invite", "emails", "dan@example.com")
	_, err = s.db.ExecContext(t.Context(), "ALTER TABLE mails RENAME TO elsewhere")
	is.NoErr(err)
	is.True(s.mailAll(t.Context()) != nil)
	_, err = s.db.ExecContext(t.Context(), "ALTER TABLE elsewhere RENAME TO mails")
	is.NoErr(err)
	is.True(strings.HasPrefix(s.mailTo(t, "dan@example.com"), "/join?"))
}

// TestSignInLink tests that a link to sign in works once, for 15 minutes, in the browser that asked for it.
func TestSignInLink(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ask := func() (*person, string) {
		p := s.visitor(t).get("/signin")
		p.press("Mail me a link", "email", " Ann@ACME.example").sees(http.StatusOK, "We have sent you a mail")
		return p, s.mailTo(t, "ann@acme.example")
	}
	use := func(p *person, link string) *person {
		u, err := url.Parse(link)
		is.NoErr(err)
		token := p.get("/signin").csrf()
		return p.post("/signin/link", url.Values{"csrf": {token}, "token": {u.Query().Get("token")}})
	}
	ann, link := ask()
	use(s.visitor(t), link).sees(http.StatusNotFound, "another browser")
	use(ann, "/signin?token=").sees(http.StatusNotFound)
	ann.get(link).get(link).sees(http.StatusOK, "Continue as ann@acme.example") // looking uses nothing up
	s.now.Advance(15*time.Minute - time.Second)
	use(ann, link).sees(http.StatusOK, "Your organizations")
	use(ann, link).sees(http.StatusNotFound, "was used")

	late, link := ask()
	s.now.Advance(15 * time.Minute)
	use(late, link).sees(http.StatusNotFound, "expired")

	// A second sign-in is in the same account.
	users, err := s.db.NewSelect().Model((*user)(nil)).Count(t.Context())
	is.NoErr(err)
	is.True(users == 1)

	// Nobody floods a mailbox.
	for range 3 {
		ask()
	}
	p := s.visitor(t).get("/signin")
	p.press("Mail me a link", "email", "ann@acme.example").sees(http.StatusTooManyRequests, "several mails")
	p.get("/signin").press("Mail me a link", "email", "nonsense").sees(http.StatusUnprocessableEntity, "Malformed")

	// A session ends by itself.
	ann.get("/").sees(http.StatusOK, "Your organizations")
	s.now.Advance(lifetime)
	ann.get("/")
	is.Equal(ann.at.Path, "/signin")
	is.True(!slices.Contains(strings.Fields(text(ann.page)), "ann@acme.example"))
}

// TestStale changes an invitation while others look at it. What they send then says so, and changes nothing.
func TestStale(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com")
	bob := s.signedIn(t, "bob@example.com")

	stale := s.clone(t, ann).get(acme)
	ann.press("Change the role of bob@example.com", "role", "org:admin").sees(http.StatusOK, "Role changed")
	stale.press("Change the role of bob@example.com", "role", "org:lead")
	stale.sees(http.StatusConflict, "Changed in the meantime")

	bob.press("Accept").sees(http.StatusConflict, "Changed in the meantime")
	bob.get("/").sees(http.StatusOK, "You are invited as Admin")
	ann.press("Change the role of bob@example.com", "role", "org:member").sees(http.StatusOK, "Role changed")
	bob.press("Decline").sees(http.StatusConflict, "Changed in the meantime")
	bob.get("/").sees(http.StatusOK, "You are invited as Member")
	bob.press("Decline").sees(http.StatusOK, "You declined")
	is.Equal(bob.at.Path, "/")
	ann.get(acme+"?status=declined").sees(http.StatusOK, "1 in all")
}

// TestSendLimit tests that nobody invites without end.
func TestSendLimit(t *testing.T) {
	s := newSite(t)
	ann, _ := s.admin(t, "ann@acme.example", "Acme")
	var b strings.Builder
	for i := range 201 {
		fmt.Fprintf(&b, "p%d@example.com\n", i)
	}
	ann.press("Invite", "emails", b.String())
	ann.sees(http.StatusUnprocessableEntity, "p200@example.com: Too soon", "200 in all")
}

// TestMailUntil runs the worker of the outbox until its context ends.
func TestMailUntil(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, _ := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.mailUntil(ctx)
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mailed, err := s.db.NewSelect().Model((*mail)(nil)).Where(`"to" = ?`, "bob@example.com").Exists(t.Context())
		is.NoErr(err)
		if mailed {
			break
		}
		is.True(time.Now().Before(deadline)) // the worker mails
	}
	cancel()
	<-ended
}

// TestBroken breaks the database. The pages say that something is wrong, and not what.
func TestBroken(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	_, err := s.db.ExecContext(t.Context(), "ALTER TABLE members RENAME TO elsewhere")
	is.NoErr(err)
	for _, path := range []string{"/", acme} {
		ann.get(path).sees(http.StatusInternalServerError, "Something went wrong")
		is.True(!strings.Contains(ann.body, "members"))
	}
	_, err = s.db.ExecContext(t.Context(), "ALTER TABLE sessions RENAME TO others")
	is.NoErr(err)
	ann.get("/signin").sees(http.StatusInternalServerError, "Something went wrong")
}
