package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

var screenshots = flag.Bool("screenshots", false, "TestBrowser: write the screenshots of the README into testdata")

// press clicks the button or the link with a label, or a button of the header.
func (w *window) press(label string) {
	w.t.Helper()
	w.leave(w.find("main button, main a, header button", label))
}

// find returns the only visible element with a label.
func (w *window) find(selector, label string) element {
	w.t.Helper()
	var found []element
	w.run(&found, `(selector, label) => [...document.querySelectorAll(selector)].filter(e => e.checkVisibility() &&
		(e.getAttribute("aria-label") || e.innerText).trim().toLowerCase() === label.toLowerCase())`, selector, label)
	if len(found) != 1 {
		w.t.Fatalf("%d elements %s are named %q in:\n%s", len(found), selector, label, w.text())
	}
	return found[0]
}

// field returns the field with a label.
func (w *window) field(label string) (e element) {
	w.t.Helper()
	w.run(&e, `label => label.control`, map[string]string{
		"element-6066-11e4-a52e-4f735466cecf": w.find("label", label).ID})
	return e
}

func (w *window) fill(label, text string) {
	w.t.Helper()
	w.write(w.field(label), text)
}

// choose selects an option of a field.
func (w *window) choose(field element, option string) {
	w.t.Helper()
	var e element
	w.run(&e, `(field, text) => [...field.options].find(o => o.text === text)`, map[string]string{
		"element-6066-11e4-a52e-4f735466cecf": field.ID}, option)
	w.click(e)
}

func (w *window) text() (text string) {
	w.t.Helper()
	w.run(&text, `() => document.body.innerText`)
	return strings.Join(strings.Fields(text), " ")
}

// sees tests that the page has texts, in any case.
func (w *window) sees(texts ...string) {
	w.t.Helper()
	for _, want := range texts {
		if got := w.text(); !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			w.t.Fatalf("no %q in:\n%s", want, got)
		}
	}
}

// violations returns what axe-core finds on the page.
func (w *window) violations() (found []string) {
	w.t.Helper()
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		w.t.Fatal(err)
	}
	w.call(http.MethodPost, "/execute/sync", map[string]any{"script": string(axe), "args": []any{}}, nil)
	w.run(&found, `() => axe.run({resultTypes: ["violations"]}).then(r => r.violations.map(v =>
		v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" | ")))`)
	return found
}

// accessible tests the page with axe-core, dark and narrow and then light and wide. It also tests that the page does
// not scroll sideways, and that the browser had nothing to complain about, such as what the policy refuses.
func (w *window) accessible() {
	w.t.Helper()
	for _, m := range w.console() {
		if !strings.Contains(m, "Failed to load resource") { // the status of a page that refuses
			w.t.Error(m)
		}
	}
	for _, look := range []struct {
		scheme string
		width  int
	}{{"dark", 360}, {"light", 960}} {
		w.prefers(look.scheme)
		w.viewport(look.width, 720)
		for _, v := range w.violations() {
			w.t.Errorf("%s, %d pixels: %s", look.scheme, look.width, v)
		}
		var over int
		if w.run(&over, `() => document.documentElement.scrollWidth - innerWidth`); over > 0 {
			w.t.Errorf("at %d pixels the page is %d pixels too wide:\n%s", look.width, over, w.text())
		}
	}
}

// shoot writes a screenshot for the README.
func (w *window) shoot(name string, height int) {
	w.t.Helper()
	if !*screenshots {
		return
	}
	w.viewport(960, height)
	var png []byte // base64 in JSON
	w.call(http.MethodGet, "/screenshot", nil, &png)
	if err := os.WriteFile(filepath.Join("testdata", name+".png"), png, 0o666); err != nil {
		w.t.Fatal(err)
	}
}

// mailed opens the newest mail to an address, in the mailbox.
func (w *window) mailed(address string) {
	w.t.Helper()
	if err := w.site.mailAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.open("/mail")
	var link element
	w.run(&link, `to => [...document.querySelectorAll("article")].find(a => a.innerText.includes(to)).querySelector("a")`,
		"To "+address)
	w.leave(link)
}

func (w *window) signIn(address string) {
	w.t.Helper()
	w.open("/signin")
	w.fill("Email address", address)
	w.press("Mail me a link")
	w.sees("We have sent you a mail")
	w.mailed(address)
	w.sees("Continue as " + address)
	w.accessible()
	w.press("Sign in")
	w.sees("Your organizations")
}

// TestBrowser is the whole life in a browser, without JavaScript of the application. Each kind of page is tested with
// axe-core.
func TestBrowser(t *testing.T) {
	is := is.New(t)
	d := startDriver(t)
	s := newSite(t)

	ann := d.window(t, s)
	ann.open("/")
	ann.sees("Sign in or sign up")
	ann.accessible()
	ann.signIn("ann@acme.example")
	ann.accessible()
	ann.fill("New organization", "Acme Rockets")
	ann.press("Create")
	ann.sees("Acme Rockets", "ann@acme.example Admin", "No invitations here")
	ann.accessible()

	// One address with a message, then a pasted list with two that are refused.
	ann.fill("Email addresses", "bob@example.com")
	ann.fill("Message (optional)", "Welcome to the launch team!")
	ann.press("Invite")
	ann.sees("Invited.", "pending 1")
	list := []string{"carol@example.com", "Dan <dan@example.com>", "bob@example.com", "erin@example.com"}
	for i := range 9 {
		list = append(list, fmt.Sprintf("pilot%d@example.com", i+1))
	}
	ann.fill("Email addresses", strings.Join(list, "\n"))
	ann.choose(ann.field("Role"), "Team lead")
	ann.press("Invite")
	ann.sees("This did not work", "Dan <dan@example.com>:", "Already invited", "pending 12")
	ann.accessible()
	ann.fill("Email addresses", "dan@example.com")
	ann.press("Invite")
	ann.sees("Invited.", "pending 13")

	// Order, pages, search.
	ann.choose(ann.field("Order"), "By address")
	ann.press("Show")
	ann.sees("bob@example.com", "13 in all")
	ann.press("Next")
	ann.sees("pilot9@example.com", "Previous")
	ann.press("Previous")
	ann.fill("Search addresses", "ERIN")
	ann.press("Show")
	ann.sees("erin@example.com", "1 in all")

	// Change a role, send again, revoke.
	ann.choose(ann.find("select", "Role of erin@example.com"), "Member")
	ann.press("Change the role of erin@example.com")
	ann.sees("Role changed", "1 in all")
	ann.press("Resend to erin@example.com")
	ann.sees("Too soon")
	s.now.Advance(2 * time.Minute)
	ann.press("Resend to erin@example.com")
	ann.sees("Sent again")
	erin := d.window(t, s)
	erin.mailed("erin@example.com")
	erin.sees("Join Acme Rockets", "as Member")
	ann.press("Revoke erin@example.com")
	ann.sees("Revoked.")

	// Erin's page is out of date. Her link is dead, and says what to do.
	erin.press("Sign up and accept")
	erin.sees("This did not work", "revoked")
	erin.accessible()
	erin.open("/mail")
	erin.accessible()
	erin.mailed("erin@example.com")
	erin.sees("Invitation revoked", "Ask ann@acme.example for a new invitation to Acme Rockets")
	erin.accessible()

	// Bob signs up through the link.
	bob := d.window(t, s)
	bob.mailed("bob@example.com")
	bob.sees("Join Acme Rockets", "ann@acme.example invites you as Member", "Welcome to the launch team!")
	bob.accessible()
	bob.shoot("join", 480)
	bob.press("Sign up and accept")
	bob.sees("You are a member now", "bob@example.com Member")
	bob.accessible()

	// Carol declines, without an account.
	carol := d.window(t, s)
	carol.mailed("carol@example.com")
	carol.press("Decline")
	carol.sees("You declined")

	// Dan signs up without the link. His invitation is at home. He is not whom Frank's link is for.
	dan := d.window(t, s)
	dan.signIn("dan@example.com")
	dan.sees("Acme Rockets", "You are invited as Team lead")
	dan.accessible()
	dan.shoot("home", 620)
	dan.press("Accept")
	dan.sees("You are a member now", "dan@example.com Team lead")
	dan.fill("Email addresses", "frank@example.com")
	dan.press("Invite")
	dan.sees("Invited.", "1 in all")
	dan.mailed("frank@example.com")
	dan.sees("for frank@example.com", "Sign out")
	dan.accessible()
	dan.press("Sign out")
	dan.sees("Sign in or sign up")

	ann.open("/")
	ann.press("Acme Rockets")
	ann.sees("accepted 2", "declined 1", "revoked 1", "pending 10")
	ann.accessible()
	ann.shoot("members", 1260)

	// With the keyboard alone: the first key shows the link that skips the header.
	ann.open("/")
	ann.key("\uE004")
	var focus string
	ann.run(&focus, `() => {
		const e = document.activeElement, r = e.getBoundingClientRect()
		return [e.innerText, r.left >= 0 && r.top >= 0, getComputedStyle(e).outlineStyle].join(", ")
	}`)
	is.Equal(focus, "Skip to the content, true, solid")
	ann.key("\uE007")
	ann.run(&focus, `() => location.hash`)
	is.Equal(focus, "#main")

	// axe-core finds what it should on a page with defects.
	ann.run(nil, `() => { document.body.innerHTML = "<input><p style='color: #ccc; background: #fff'>pale</p>" }`)
	is.True(len(ann.violations()) >= 3)
}
