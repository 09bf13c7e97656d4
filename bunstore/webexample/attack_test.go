package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/net/html"
)

// TestForgedForms sends forms that another site could make a browser send. All are refused, and nothing changes.
func TestForgedForms(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com\ncarol@example.com")
	eve, _ := s.admin(t, "eve@evil.example", "Evil")
	ticket := ticketOf(t, s.mailTo(t, "carol@example.com"))
	bob := s.signedIn(t, "bob@example.com")
	bobs := bob.formOf("Accept")
	inv := bobs.Get("invitation_id")
	forms := map[string]struct {
		who    *person
		fields url.Values
	}{
		"/signin":                                {s.visitor(t), url.Values{"email": {"dan@example.com"}}},
		"/signin/link":                           {s.visitor(t), url.Values{"token": {"x"}}},
		"/signout":                               {ann, url.Values{}},
		"/orgs":                                  {ann, url.Values{"name": {"Forged"}}},
		acme + "/invitations":                    {ann, url.Values{"emails": {"eve@evil.example"}, "role": {"org:admin"}}},
		acme + "/invitations/" + inv + "/resend": {ann, url.Values{}},
		acme + "/invitations/" + inv + "/revoke": {ann, url.Values{}},
		acme + "/invitations/" + inv + "/role":   {ann, url.Values{"role": {"org:admin"}}},
		"/join/accept":                           {bob, bobs},
		"/join/decline":                          {bob, bobs},
		"/join/accept?":                          {s.visitor(t), url.Values{"ticket": {ticket}}},
		"/join/decline?":                         {s.visitor(t), url.Values{"ticket": {ticket}}},
	}
	before := s.dump(t)
	for path, form := range forms {
		page := form.who.get("/signin")
		good := page.csrf()
		for name, token := range map[string]string{"none": "", "another's": eve.get("/").csrf(), "part": good[:10]} {
			form.fields.Set("csrf", token)
			page.post(path, form.fields)
			if page.status != http.StatusForbidden || !strings.Contains(page.body, "too old or too large") {
				t.Errorf("POST %s with the token %q: status %d", path, name, page.status)
			}
		}
		form.fields.Set("csrf", good)
		for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
			if page.post(path, form.fields, header...); page.status != http.StatusForbidden {
				t.Errorf("POST %s with %s: status %d", path, header, page.status)
			}
		}
	}
	is.Equal(s.dump(t), before)
	ann.get("/").sees(http.StatusOK, "Acme") // still signed in
}

// dump returns the rows that matter, as text.
func (s *site) dump(t *testing.T) (all string) {
	t.Helper()
	for _, table := range []string{"users", "organizations", "members", "mail_jobs", "mails", "organization_invitations"} {
		var rows []map[string]any
		if err := s.db.NewSelect().Table(table).Order("rowid").Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, row := range rows {
			for _, column := range []string{"id", "name", "email", "email_address", "role", "status", "version", "user_id"} {
				if v, ok := row[column]; ok {
					b.WriteString(strings.Join([]string{column, "=", fmt.Sprint(v), " "}, ""))
				}
			}
			b.WriteByte('\n')
		}
		all += table + "\n" + b.String()
	}
	return all
}

// formOf returns what the form of a button would send.
func (p *person) formOf(label string) url.Values {
	p.t.Helper()
	for button := range p.page.Descendants() {
		if button.Data == "button" && text(button) == label {
			form := button.Parent
			for form.Data != "form" {
				form = form.Parent
			}
			return formValues(form)
		}
	}
	p.t.Fatalf("no button %q on %s", label, p.at)
	return nil
}

func ticketOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("invitation_ticket") == "" {
		t.Fatalf("%q has no ticket, error %v", link, err)
	}
	return u.Query().Get("invitation_ticket")
}

// TestOthersOrganization lets an admin of one organization, a member, a team lead and a stranger try what they may not.
func TestOthersOrganization(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com")
	ticket := ticketOf(t, s.mailTo(t, "bob@example.com"))
	ann.press("Invite", "emails", "lea@example.com", "role", "org:lead")
	lea := s.visitor(t).get(s.mailTo(t, "lea@example.com")).press("Sign up and accept")
	lea.press("Invite", "emails", "fred@example.com")
	ann.press("Invite", "emails", "carol@example.com")
	carol := s.visitor(t).get(s.mailTo(t, "carol@example.com"))
	carol.press("Sign up and accept").sees(http.StatusOK, "You are a member now")
	bob := s.signedIn(t, "bob@example.com")
	bobs := bob.formOf("Accept")
	inv := bobs.Get("invitation_id")
	eve, evil := s.admin(t, "eve@evil.example", "Evil")
	before := s.dump(t)

	try := func(who *person, status int, path string, fields url.Values) {
		t.Helper()
		if fields == nil {
			fields = url.Values{}
		}
		fields.Set("csrf", who.get("/").csrf())
		who.post(path, fields)
		who.sees(status)
	}
	role := url.Values{"role": {"org:admin"}}
	invite := url.Values{"emails": {"eve2@evil.example"}, "role": {"org:admin"}}
	for _, who := range []*person{eve, carol, lea} {
		for operation, fields := range map[string]url.Values{"resend": nil, "revoke": nil, "role": role} {
			// A member is refused. For the others the invitation does not exist, in their organization or among their own.
			want := http.StatusForbidden
			if who == lea {
				want = http.StatusNotFound
			}
			try(who, want, acme+"/invitations/"+inv+"/"+operation, fields)
		}
	}
	for operation, fields := range map[string]url.Values{"resend": nil, "revoke": nil, "role": role} {
		try(eve, http.StatusNotFound, evil+"/invitations/"+inv+"/"+operation, fields)
	}
	try(eve, http.StatusForbidden, acme+"/invitations", invite)
	try(carol, http.StatusForbidden, acme+"/invitations", invite)
	try(lea, http.StatusUnprocessableEntity, acme+"/invitations", invite) // she grants only members
	is.True(strings.Contains(text(lea.page), "Not allowed in this organization"))
	eve.get(acme).sees(http.StatusForbidden, "Not a member")
	is.True(!strings.Contains(eve.body, "bob@example.com"))
	carol.get(acme).sees(http.StatusOK, "Members")
	is.True(!strings.Contains(carol.body, "bob@example.com"))
	stranger := s.visitor(t).get(acme)
	stranger.sees(http.StatusOK, "Sign in or sign up")
	stranger.post("/orgs", url.Values{"csrf": {stranger.csrf()}, "name": {"Nobody's"}})
	stranger.sees(http.StatusOK, "Sign in or sign up")

	// Nobody accepts or declines for somebody else, by ids or by the ticket. The answer does not tell what exists.
	bobs.Del("csrf")
	for _, answer := range []string{"accept", "decline"} {
		try(eve, http.StatusForbidden, "/join/"+answer, bobs)
		foreign := eve.body
		bobs.Set("invitation_id", "orginv_none")
		try(eve, http.StatusForbidden, "/join/"+answer, bobs)
		is.Equal(eve.body, foreign)
		bobs.Set("invitation_id", inv)
		try(eve, http.StatusForbidden, "/join/"+answer, url.Values{"ticket": {ticket}})
		bobs.Set("csrf", stranger.get("/signin").csrf())
		stranger.post("/join/"+answer, bobs).sees(http.StatusOK, "Sign in or sign up")
	}
	try(eve, http.StatusNotFound, evil+"/invitations/"+inv+"/destroy", nil)
	try(bob, http.StatusNotFound, "/join/destroy", bobs)
	is.Equal(s.dump(t), before)
}

// TestMarkup writes markup wherever people write. No page has it as markup, and the policy would run nothing anyway.
func TestMarkup(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	ann, acme := s.admin(t, "o'neil+`{{.}}`@acme.example", evil)
	ann.press("Invite", "emails", "bob@example.com", "message", evil).sees(http.StatusOK, evil)
	link := s.mailTo(t, "bob@example.com")
	bob := s.signedIn(t, "bob@example.com")
	pages := map[string]*person{
		acme:       ann.get(acme),
		"/mail":    s.visitor(t).get("/mail"),
		link:       s.visitor(t).get(link),
		"/":        bob,
		"refused":  s.signedIn(t, "eve@evil.example").get(link),
		"search":   s.clone(t, ann).get(acme + "?query=" + url.QueryEscape(evil) + "&order_by=created_at"),
		"done":     s.visitor(t).get("/signin?done=" + url.QueryEscape(evil)),
		"token":    s.visitor(t).get("/signin?token=" + url.QueryEscape(evil)),
		"ticket":   s.visitor(t).get("/join?invitation_ticket=" + url.QueryEscape(evil)),
		"problems": s.clone(t, ann).get(acme).press("Invite", "emails", evil, "message", evil),
	}
	for name, p := range pages {
		for n := range p.page.Descendants() {
			if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "img" || n.Data == "style" || has(n, "style")) {
				t.Errorf("%s has the element %s", name, n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s has the attribute %s", name, a.Key)
				}
			}
		}
	}
	for _, name := range []string{link, "/"} { // they show what was written
		is.True(strings.Contains(text(pages[name].page), evil))
	}
	res, err := http.Get(s.base + "/static/style.css")
	is.NoErr(err)
	is.NoErr(res.Body.Close())
	is.Equal(res.Header.Get("Content-Type"), "text/css; charset=utf-8") // nosniff
	is.Equal(res.Header.Get("Content-Security-Policy"),
		"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	is.Equal(res.Header.Get("Referrer-Policy"), "no-referrer")
	is.Equal(res.Header.Get("X-Content-Type-Options"), "nosniff")
	is.Equal(res.Header.Get("Cache-Control"), "no-store")
}

// clone returns another window of a person's browser.
func (s *site) clone(t *testing.T, p *person) *person {
	return &person{t: t, site: s, client: p.client}
}

// TestFixation plants a cookie in a victim's browser before the sign-in. Afterwards it is worth nothing.
func TestFixation(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	base, err := url.Parse(s.base)
	is.NoErr(err)
	cookieOf := func(p *person) string {
		for _, c := range p.client.Jar.Cookies(base) {
			if c.Name == "session" {
				return c.Value
			}
		}
		return ""
	}
	plant := func(value string) *person {
		p := s.visitor(t)
		p.client.Jar.SetCookies(base, []*http.Cookie{{Name: "session", Value: value}})
		return p
	}
	victim := plant("planted").get("/signin")
	is.Equal(cookieOf(victim), "planted")
	victim.press("Mail me a link", "email", "ann@acme.example")
	asked := cookieOf(victim)
	victim.get(s.mailTo(t, "ann@acme.example")).press("Sign in").sees(http.StatusOK, "Your organizations")
	signedIn := cookieOf(victim)
	victim.press("Create", "name", "Acme").sees(http.StatusOK, "Acme")
	for _, old := range []string{"planted", asked} {
		is.True(old != signedIn)
		thief := plant(old).get("/")
		is.Equal(thief.at.Path, "/signin")
	}

	// A copy of the cookie dies with the session. The cookie itself is not in the table.
	copied := plant(signedIn).get("/")
	copied.sees(http.StatusOK, "Your organizations")
	var digests []string
	is.NoErr(s.db.NewSelect().Model((*session)(nil)).Column("digest").Scan(t.Context(), &digests))
	is.True(len(digests) > 0)
	for _, d := range digests {
		is.Equal(len(d), 64)
		is.Equal(plant(d).get("/").at.Path, "/signin")
	}
	victim.press("Sign out")
	is.Equal(copied.get("/").at.Path, "/signin")

	// The flags of the cookie.
	res, err := http.Get(s.base + "/signin")
	is.NoErr(err)
	is.NoErr(res.Body.Close())
	cookie := res.Cookies()[0]
	is.True(cookie.HttpOnly)
	is.Equal(cookie.SameSite, http.SameSiteLaxMode)
	is.Equal(len(cookie.Value), 26)
	is.Equal((&app{base: "https://app.example"}).setCookie(discard{}).Secure, true)

	// Signing up through the link of an invitation changes the cookie too.
	ann, _ := s.admin(t, "ann2@acme.example", "Acme")
	ann.press("Invite", "emails", "bob@example.com")
	bob := plant("planted2").get(s.mailTo(t, "bob@example.com"))
	bob.press("Sign up and accept").sees(http.StatusOK, "You are a member now")
	is.True(cookieOf(bob) != "planted2")
	is.Equal(plant("planted2").get("/").at.Path, "/signin")
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// TestRedirects asks for redirects to other sites. All lead to the application.
func TestRedirects(t *testing.T) {
	is := is.New(t)
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	const evil = "next=//evil.example&redirect=https://evil.example&redirect_url=https://evil.example&to=//evil.example"
	client := &http.Client{Jar: ann.client.Jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	form := url.Values{"csrf": {ann.csrf()}, "emails": {"bob@example.com"}, "role": {"org:member"},
		"redirect_url": {"https://evil.example"}, "name": {"//evil.example"}, "email": {"x@example.com"}}
	for _, path := range []string{
		acme + "/invitations?" + evil, "/orgs?" + evil, "/orgs//evil.example/invitations", "//evil.example/orgs",
		"/signin?" + evil, "/signout?" + evil,
	} {
		res, err := client.PostForm(s.base+path, form)
		is.NoErr(err)
		is.NoErr(res.Body.Close())
		to, err := url.Parse(res.Header.Get("Location"))
		is.NoErr(err)
		if to.Host != "" && to.Host != ann.at.Host || strings.HasPrefix(to.Path, "//") {
			t.Errorf("POST %s leads to %s", path, to)
		}
	}
	link := s.mailTo(t, "bob@example.com")
	is.True(strings.HasPrefix(link, "/join?invitation_ticket=")) // the form sets no redirect URL

	// A name of another site that leads here gets no page, so that a script there reads no mail.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/mail", nil)
	is.NoErr(err)
	req.Host = "evil.example:80"
	res, err := client.Do(req)
	is.NoErr(err)
	is.NoErr(res.Body.Close())
	is.Equal(res.StatusCode, http.StatusSeeOther)
	is.Equal(res.Header.Get("Location"), s.base)
}

// TestTooLarge sends more than a form of the application has.
func TestTooLarge(t *testing.T) {
	s := newSite(t)
	ann, acme := s.admin(t, "ann@acme.example", "Acme")
	for _, name := range []string{" ", strings.Repeat("x", 201)} {
		ann.get("/").press("Create", "name", name).sees(http.StatusUnprocessableEntity, "Give it a name")
	}
	ann.get(acme)
	ann.post(acme+"/invitations", url.Values{"csrf": {ann.csrf()}, "emails": {strings.Repeat("a@b.example\n", 10_000)}})
	ann.sees(http.StatusForbidden)
	ann.get(acme).press("Invite", "emails", strings.Repeat("a@b.example\n", 1001))
	ann.sees(http.StatusBadRequest, "Too many")
	ann.get(acme).sees(http.StatusOK, "No invitations here")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	ann.client.Jar = jar
	ann.get("/")
	ann.sees(http.StatusOK, "Sign in or sign up")
}
