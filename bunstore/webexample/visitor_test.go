package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/net/html"

	"github.com/orginvite/orginvite/clock"
)

// site is the application on a database of its own, with a clock that the test sets.
type site struct {
	*app
	now *clock.Fake
}

func newSite(t *testing.T) *site {
	t.Helper()
	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	server := httptest.NewUnstartedServer(nil)
	a, err := newApp(t.Context(), filepath.Join(t.TempDir(), "app #1.db"), "http://"+server.Listener.Addr().String(),
		[]byte("a key of the tests, of 32 bytes or more"), now)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = a.routes()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		if err := a.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{a, now}
}

// mailTo returns the link of the newest mail to an address. It works the outbox first.
func (s *site) mailTo(t *testing.T, address string) string {
	t.Helper()
	if err := s.mailAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	var m mail
	newest := s.db.NewSelect().Model(&m).Where(`"to" = ?`, address).Order("id DESC").Limit(1)
	if err := newest.Scan(t.Context()); err != nil {
		t.Fatalf("no mail to %s: %v", address, err)
	}
	return strings.TrimPrefix(m.Link, s.base)
}

// person is somebody with a browser, which keeps cookies and shows one page.
type person struct {
	t      *testing.T
	site   *site
	client *http.Client

	status int
	body   string
	at     *url.URL // of the page, after redirects
	page   *html.Node
}

func (s *site) visitor(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, site: s, client: &http.Client{Jar: jar}}
}

// signedIn returns a person who has signed in with the link that was mailed to an address.
func (s *site) signedIn(t *testing.T, address string) *person {
	t.Helper()
	if err := s.mailAll(t.Context()); err != nil { // so that the link to sign in is the newest
		t.Fatal(err)
	}
	p := s.visitor(t)
	p.get("/signin")
	p.press("Mail me a link", "email", address)
	p.get(s.mailTo(t, address))
	p.press("Sign in")
	p.sees(http.StatusOK, "Your invitations", address)
	return p
}

// admin returns a person with an organization, and the path of its page.
func (s *site) admin(t *testing.T, address, organization string) (*person, string) {
	t.Helper()
	p := s.signedIn(t, address)
	p.press("Create", "name", organization)
	p.sees(http.StatusOK)
	return p, p.at.Path
}

func (p *person) get(path string) *person {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.site.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(req)
}

// post sends a form that need not be on the page.
func (p *person) post(path string, fields url.Values, header ...string) *person {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.site.base+path,
		strings.NewReader(fields.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return p.do(req)
}

func (p *person) do(req *http.Request) *person {
	p.t.Helper()
	res, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.status, p.body, p.at = res.StatusCode, string(body), res.Request.URL
	if p.page, err = html.Parse(strings.NewReader(p.body)); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// press sends the form of a button on the page, which is found by its label, with some fields filled in.
func (p *person) press(label string, fields ...string) *person {
	p.t.Helper()
	for button := range p.page.Descendants() {
		if button.Data != "button" || label != attr(button, "aria-label") && label != text(button) {
			continue
		}
		form := button.Parent
		for form.Data != "form" {
			form = form.Parent
		}
		values := formValues(form)
		for i := 0; i < len(fields); i += 2 {
			if !values.Has(fields[i]) {
				p.t.Fatalf("the form of %q has no field %q", label, fields[i])
			}
			values.Set(fields[i], fields[i+1])
		}
		to, err := p.at.Parse(attr(form, "action") + attr(button, "formaction"))
		if err != nil {
			p.t.Fatal(err)
		}
		if attr(form, "method") == "get" {
			to.RawQuery = values.Encode()
			return p.get(to.RequestURI())
		}
		return p.post(to.RequestURI(), values)
	}
	p.t.Fatalf("no button %q on %s, status %d:\n%s", label, p.at, p.status, text(p.page))
	return nil
}

// follow opens a link on the page, which is found by its text.
func (p *person) follow(label string) *person {
	p.t.Helper()
	for a := range p.page.Descendants() {
		if a.Data == "a" && text(a) == label {
			to, err := p.at.Parse(attr(a, "href"))
			if err != nil {
				p.t.Fatal(err)
			}
			return p.get(to.RequestURI())
		}
	}
	p.t.Fatalf("no link %q on %s:\n%s", label, p.at, text(p.page))
	return nil
}

// csrf returns the token of the page.
func (p *person) csrf() string {
	p.t.Helper()
	for n := range p.page.Descendants() {
		if attr(n, "name") == "csrf" {
			return attr(n, "value")
		}
	}
	p.t.Fatalf("no CSRF token on %s", p.at)
	return ""
}

// sees tests the status of the page, and that it has some texts.
func (p *person) sees(status int, texts ...string) {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("%s: status %d, want %d:\n%s", p.at, p.status, status, text(p.page))
	}
	for _, want := range texts {
		if !strings.Contains(text(p.page), want) {
			p.t.Fatalf("%s lacks %q:\n%s", p.at, want, text(p.page))
		}
	}
}

// rows returns the addresses in the table of invitations.
func (p *person) rows() (addresses []string) {
	for n := range p.page.Descendants() {
		if n.Data == "th" && attr(n, "scope") == "row" {
			addresses = append(addresses, strings.TrimSpace(n.FirstChild.Data))
		}
	}
	return addresses
}

// options returns the values of the options of a field.
func (p *person) options(id string) (values []string) {
	for n := range p.page.Descendants() {
		if n.Data == "select" && attr(n, "id") == id {
			for option := range n.Descendants() {
				if option.Data == "option" {
					values = append(values, attr(option, "value"))
				}
			}
		}
	}
	return values
}

func formValues(form *html.Node) url.Values {
	values := url.Values{}
	for n := range form.Descendants() {
		switch name := attr(n, "name"); n.Data {
		case "input":
			values.Set(name, attr(n, "value"))
		case "textarea":
			values.Set(name, text(n))
		case "select":
			for option := range n.Descendants() {
				if option.Data == "option" && (!values.Has(name) || has(option, "selected")) {
					values.Set(name, attr(option, "value"))
				}
			}
		}
	}
	return values
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func attr(n *html.Node, key string) string {
	if i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key }); i >= 0 {
		return n.Attr[i].Val
	}
	return ""
}

// text returns the text of a part of the page, with one space between words.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "title" {
			b.WriteString(d.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// TestText tests what the other tests look with.
func TestText(t *testing.T) {
	is := is.New(t)
	page, err := html.Parse(strings.NewReader("<p>one <b>two</b></p>\n<p>three</p>"))
	is.NoErr(err)
	is.Equal(text(page), "one two three")
}
