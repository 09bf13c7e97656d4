package bunstore_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
)

// Random sequences of operations run on a database, in memory and on the model at once: all three give the same
// answers. Rapid prints a seed and a file on a failure; pass them as -rapid.seed or -rapid.failfile to repeat the
// sequence.

// The engines that the sequences run on. The concurrency tests cover the effects of other drivers and isolation levels.
var sequenceEngines = []string{"sqlite", "postgres", "mariadb", "galera"}

func TestModelSequences(t *testing.T) {
	for _, name := range sequenceEngines {
		steps := bySize(250, 2_500, 10_000) // on a server
		switch name {
		case "sqlite":
			steps = bySize(2_000, 20_000, 100_000)
		case "galera":
			steps /= 2
		}
		if bunstore.Slow {
			steps /= 10 // one goroutine, in which the race detector can find nothing
		}
		engines.On(t, []engines.Engine{engines.Named(t, name)}, func(t *testing.T, e engines.Engine) {
			d := newTables(t, e.Name, e.Open(t))
			done := runSequences(t, steps, func(t testing.TB, cfg modelConfig) []*world {
				return []*world{memoryWorld(t, cfg, dawn), d.world(t, cfg, dawn)}
			})
			t.Logf("%d steps on %s, in memory and on the model, without a difference", done.steps, e.Name)
		})
	}
}

// Sequences in memory are cheap, so more of them run.
func TestModelSequencesInMemory(t *testing.T) {
	t.Parallel()
	steps := bySize(100_000, 200_000, 1_000_000)
	if bunstore.Slow {
		steps /= 10
	}
	done := runSequences(t, steps, func(t testing.TB, cfg modelConfig) []*world {
		return []*world{memoryWorld(t, cfg, dawn)}
	})
	t.Logf("%d steps in memory and on the model, without a difference", done.steps)
	if bunstore.Slow {
		return
	}
	// Sequences that never reach an outcome do not test it.
	for op, outcomes := range outcomesToMeet {
		for _, outcome := range append([]string{""}, outcomes...) {
			if done.outcomes[op+": "+outcome] == 0 {
				t.Errorf("no %s ever returned %q", op, outcome)
			}
		}
	}
	for _, met := range slices.Sorted(maps.Keys(done.outcomes)) {
		t.Logf("%6d %s", done.outcomes[met], met)
	}
}

// outcomesToMeet lists the refusals, besides success, that each operation meets in any run.
var outcomesToMeet = map[string][]string{
	"Create": {noInvalid, noInvalid + "+" + noFound, noMember, noForbidden, noFound, noAlreadyMember, noDuplicate,
		noTooSoon, noQuota},
	"CreateBulk": {noInvalid, noMember, noForbidden, noFound, noAlreadyMember, noDuplicate, noTooSoon, noQuota},
	"Accept": {noInvalid, noTicket, noFound, noInvitee, noExpired, noAccepted, noRevoked, noPending, noChanged,
		noForbidden, noForbidden + "+" + noMember, noQuota},
	"Decline": {noInvalid, noTicket, noFound, noInvitee, noPending, noChanged, noForbidden},
	"Revoke":  {noMember, noForbidden, noFound, noPending},
	"Delete":  {noForbidden, noFound, isPending},
	"Resend": {noInvalid, noInvalid + "+" + noFound, noMember, noForbidden, noFound, noPending, noAlreadyMember,
		noDuplicate, noTooSoon, noQuota},
	"Update":             {noInvalid, noInvalid + "+" + noFound, noMember, noForbidden, noFound, noPending, noChanged},
	"RevokeAll":          {noInvalid, noMember, noForbidden},
	"Get":                {noMember, noForbidden, noFound},
	"Link":               {noForbidden, noForbidden + "+" + noMember, noFound, noPending},
	"Preview":            {noTicket, noInvitee, noExpired, noAccepted, noRevoked, noPending, noForbidden, noQuota},
	"List":               {noInvalid, noMember, noForbidden, noInvalid + "+" + noCursor},
	"ListAll":            {noInvalid, noForbidden, noInvalid + "+" + noCursor},
	"ListForUser":        {noInvalid, noFound, noForbidden},
	"Each":               {noMember, noForbidden},
	"ExpireDue":          {noInvalid, noForbidden},
	"Purge":              {noInvalid, noForbidden},
	"DeleteOrganization": {noForbidden, noInvalid},
	"EraseEmail":         {noInvalid, noForbidden},
}

// dawn is the start of every history.
var dawn = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// runSequences makes at least steps steps, each on every world, and tallies the results.
func runSequences(t *testing.T, steps int, worlds func(testing.TB, modelConfig) []*world) tally {
	t.Helper()
	done := tally{outcomes: map[string]int{}}
	var failed bool
	for done.steps < steps {
		rapid.Check(t, func(rt *rapid.T) {
			if done.steps >= steps && !failed {
				return
			}
			cfg := drawConfig(rt)
			s := &sequence{model: newModel(cfg), worlds: worlds(t, cfg), pick: picker{rt}, done: done.outcomes}
			defer func() { failed = failed || rt.Failed() }()
			s.populate(rt)
			for range 2 { // sequences twice as long as rapid's usual ones
				rt.Repeat(map[string]func(*rapid.T){"step": func(rt *rapid.T) {
					done.steps++
					s.step(rt, s.draw())
				}})
			}
			s.step(rt, call{Op: "ListAll", Limit: 500, Orders: []string{"created_at"}})
			s.step(rt, call{Op: "Members", Addresses: []string{"acme", "globex"}})
		})
	}
	return done
}

// tally counts the results of a run.
type tally struct {
	steps    int
	outcomes map[string]int // by operation and error
}

func newModel(cfg modelConfig) *model {
	return &model{modelConfig: cfg, now: dawn, users: map[string][]string{}, members: map[membership]string{},
		cursors: map[string]position{}}
}

func drawConfig(rt *rapid.T) modelConfig {
	p := picker{rt}
	cfg := modelConfig{
		MaxPending:        of(p, "MaxPending", 0, 0, 2, 5),
		ResendAfter:       of(p, "ResendAfter", -1, time.Minute),
		TicketProvesEmail: p.chance(3),
		IgnoreInviter:     p.chance(3),
		Organizations:     map[string]string{"acme": "Acme", "globex": "Globex"},
		Blocked:           "blocked@example.com", ExpiresIn: 30 * 24 * time.Hour, MaxBulk: 4, MaxPerPage: 500,
	}
	if seats := of(p, "Seats", -2, -2, -2, 0, 3, 3, 3, 4, 6, -1); seats != -2 { // -2: no Seats
		cfg.Counted, cfg.Seats = true, seats
	}
	for _, per := range []invitation.SendScope{invitation.PerOrganization, invitation.PerInviter, invitation.PerAddress} {
		if p.chance(4) {
			cfg.SendLimits = append(cfg.SendLimits, invitation.SendLimit{
				Per: per, Max: of(p, "Max", 1, 1, 2, 4), Within: of(p, "Within", time.Second, time.Minute, 2*time.Hour),
			})
		}
	}
	return cfg
}

// sequence is one run of steps.
type sequence struct {
	model  *model
	worlds []*world
	pick   picker
	done   map[string]int

	tickets, cursors []string
	pages            []call // the lists that returned the cursors
}

// populate creates the initial state.
func (s *sequence) populate(rt *rapid.T) {
	for user, addresses := range map[string][]string{
		"ann": {"ann@example.com"}, "bob": {"bob@example.com"}, "u1": {"u1@example.com"},
		"twin": {"u1@example.com", "u2@example.com"}, "u2": {"u2@example.com", "u2@xn--bcher-kva.example"}, "none": nil,
		"many": {"v0@example.com", "v1@example.com", "v2@example.com", "v3@example.com"},
	} {
		s.step(rt, call{Op: "SetUser", User: user, Addresses: addresses})
	}
	for _, m := range [][3]string{{"acme", "ann", "org:admin"}, {"acme", "bob", "org:lead"},
		{"globex", "ann", "org:member"}, {"globex", "bob", "org:admin"}} {
		s.step(rt, call{Op: "SetMember", Organization: m[0], User: m[1], Role: m[2]})
	}
}

// step makes a call on every world and on the model, and compares the answers.
func (s *sequence) step(rt *rapid.T, c call) {
	rt.Helper()
	var got answer
	for i, w := range s.worlds {
		a := w.do(context.Background(), c)
		if i > 0 && !reflect.DeepEqual(a, got) {
			rt.Fatalf("%v\n%s answers\n%v\n%s answers\n%v", c, s.worlds[0].name, got, w.name, a)
		}
		got = a
	}
	rt.Logf("%v: %v", c, got)
	if want := s.model.do(c, got); !reflect.DeepEqual(want, got) {
		rt.Fatalf("%v\nthe contract asks for\n%v\n%s answers\n%v", c, want, s.worlds[0].name, got)
	}
	s.done[c.Op+": "+got.Err]++
	for _, inv := range got.Invitations {
		if inv.Ticket != "" && !slices.Contains(s.tickets, inv.Ticket) {
			s.tickets = append(s.tickets, inv.Ticket)
		}
	}
	if got.Cursor != "" {
		s.cursors, s.pages = append(s.cursors, got.Cursor), append(s.pages, c)
	}
}

// picker draws the parts of calls.
type picker struct{ *rapid.T }

// below draws a number from 0 to n-1, each with the same probability. Rapid's own numbers favour small values, and then
// deep states are seldom reached.
func (p picker) below(n int, label string) int {
	const bits = 12
	return rapid.Custom(func(t *rapid.T) int {
		drawn := 0
		for range bits {
			drawn <<= 1
			if rapid.Bool().Draw(t, "bit") {
				drawn++
			}
		}
		return drawn * n >> bits
	}).Draw(p.T, label)
}

// of draws one of the values. The first is the simplest.
func of[T any](p picker, label string, values ...T) T { return values[p.below(len(values), label)] }

// chance is true once in n.
func (p picker) chance(n int) bool { return p.below(n, fmt.Sprint("one in ", n)) == n-1 }

// mostly draws from odd once in n, and otherwise one of the usual values, so that most operations pass the first
// checks.
func mostly[T any](p picker, n int, odd []T, label string, usual ...T) T {
	if p.chance(n) {
		return of(p, "odd "+label, odd...)
	}
	return of(p, label, usual...)
}

func (p picker) organization() string {
	return mostly(p, 20, []string{"nowhere", ""}, "organization", "acme", "acme", "acme", "globex")
}

func (p picker) user() string {
	return mostly(p, 10, []string{"none", "stranger", ""}, "user", "u1", "u2", "twin", "many", "bob")
}

func (p picker) acting() string {
	return mostly(p, 12, []string{"u1", "stranger"}, "acting", "", "", "", "ann", "ann", "bob")
}

func (p picker) address() string {
	return mostly(p, 16, []string{"blocked@example.com", "none", "", "bob@example.com"}, "address", "u1@example.com",
		"u2@example.com", "U1@Example.COM", " u2@bücher.example", "v1@example.com", "v2@example.com", "v3@example.com")
}

func (p picker) role() string {
	return mostly(p, 10, []string{roleGuest, ""}, "role", "org:member", "org:member", "org:lead", "org:admin",
		roleObserver)
}

func (p picker) expiresIn() time.Duration {
	return mostly(p, 16, []time.Duration{365 * 24 * time.Hour, time.Millisecond, 366 * 24 * time.Hour}, "expires in",
		0, time.Hour, 2*time.Hour, time.Minute, time.Second)
}

func (p picker) json() string {
	return of(p, "json", "", `{"a":1}`, `{"a":null}`, `{"b":{"c":2,"e":[1]}}`, `{"b":{"c":null,"d":"3"}}`, `{"b":1}`)
}

// as adds the user of Service.As to some calls.
func (p picker) as(c call) call {
	if p.chance(8) {
		c.As = mostly(p, 4, []string{"u1", "stranger", nobody}, "as", "ann", "bob")
	}
	return c
}

func (p picker) draft() draft {
	d := draft{Address: p.address(), Role: "org:member", Inviter: p.acting(), Replace: p.chance(4), Public: p.json()}
	if p.chance(3) {
		d.Role = p.role()
	}
	if p.chance(2) {
		d.ExpiresIn = p.expiresIn()
	}
	if p.chance(8) {
		d.Domain = "domain"
	}
	return d
}

// one names an invitation: usually an existing one, and usually together with its organization.
func (s *sequence) one(c call) call {
	c.Organization, c.ID = s.pick.organization(), "no-such-id"
	if all := s.model.entries; len(all) > 0 && !s.pick.chance(20) {
		e := all[s.pick.below(len(all), "invitation")]
		c.ID = e.id
		if !s.pick.chance(10) {
			c.Organization = e.organization
		}
		if s.pick.chance(2) {
			c.Terms = of(s.pick, "terms", e.current(), "others")
			if n := len(e.terms); n > 1 && s.pick.chance(2) {
				c.Terms = e.terms[n-2].text
			}
		}
	}
	return c
}

// draw draws the next call.
func (s *sequence) draw() call {
	p := s.pick
	switch op := of(p, "operation",
		"Create", "Create", "Create", "Create", "Create", "CreateBulk", "CreateBulk",
		"Accept", "Accept", "Accept", "Accept", "Decline", "Decline", "Revoke",
		"Resend", "Resend", "Resend", "Update", "Update", "RevokeAll", "Get", "Link", "Link", "Preview",
		"Preview",
		"List", "List", "ListAll", "ListAll", "ListForUser", "Each", "next page", "next page", "next page",
		"ExpireDue", "Purge", "Delete", "delete", "Advance", "Advance", "Advance",
		"SetUser", "SetMember", "SetMember", "SetMember", "RemoveMember", "RemoveMember",
	); op {
	case "Create":
		c := call{Op: op, Organization: p.organization(), Drafts: []draft{p.draft()}}
		blocked := c.Drafts[0].Address == s.model.Blocked
		c.Former = (c.Drafts[0].Role == roleGuest || blocked) && p.chance(2)
		return p.as(c)
	case "CreateBulk":
		c := call{Op: op, Organization: p.organization()}
		for range mostly(p, 12, []int{0, 5}, "items", 1, 2, 3, 4) {
			d := p.draft()
			if !p.chance(8) { // all different, as in most bulks
				d.Address = fmt.Sprintf("v%d@example.com", len(c.Drafts))
			}
			c.Drafts = append(c.Drafts, d)
		}
		return p.as(c)
	case "Accept", "Decline":
		return s.drawAnswer(op)
	case "Preview":
		return p.as(call{Op: op, Ticket: s.ticket()})
	case "Revoke":
		c := s.one(call{Op: op, User: p.acting()})
		c.Terms = ""
		return p.as(c)
	case "Resend":
		c := s.one(call{Op: op, User: p.acting(), ExpiresIn: p.expiresIn()})
		c.Terms = ""
		if p.chance(4) {
			c.Role = p.role()
		}
		return p.as(c)
	case "Update":
		c := s.one(call{Op: op, User: p.acting(), Public: p.json(), Private: p.json()})
		if p.chance(2) {
			c.Role = p.role()
		}
		return p.as(c)
	case "RevokeAll":
		c := call{Op: op, Organization: of(p, "organization", "acme", "globex", ""), User: p.acting(),
			Query: of(p, "inviter", "", "ann", "bob")}
		for range p.below(2+1, "addresses") {
			c.Addresses = append(c.Addresses, p.address())
		}
		return p.as(c)
	case "Get", "Link", "Delete":
		c := s.one(call{Op: op})
		c.Terms = ""
		return p.as(c)
	case "List", "ListAll", "ListForUser", "Each", "next page":
		return s.drawList(op)
	default:
		return s.drawOther(op)
	}
}

// ticket is usually one that was issued, current or not.
func (s *sequence) ticket() string {
	if len(s.tickets) == 0 || s.pick.chance(20) {
		return "forged"
	}
	newest := s.tickets
	if !s.pick.chance(4) {
		newest = newest[max(0, len(newest)-4):]
	}
	return newest[s.pick.below(len(newest), "ticket")]
}

func (s *sequence) drawAnswer(op string) call {
	p := s.pick
	c := call{Op: op}
	if p.chance(2) {
		c = s.one(c)
		if e := s.model.find(c.Organization, c.ID); e != nil && p.chance(3) {
			c.Ticket = e.tickets[len(e.tickets)-1]
		}
	} else {
		c.Ticket = s.ticket()
	}
	c.User = p.user()
	// Usually a user who owns the address.
	e := s.model.find(c.Organization, c.ID)
	if e == nil {
		e, _ = s.model.named(c.Ticket)
	}
	if e != nil && !p.chance(6) {
		var owners []string
		for user, addresses := range s.model.users {
			if slices.Contains(addresses, e.key) {
				owners = append(owners, user)
			}
		}
		if slices.Sort(owners); owners != nil {
			c.User = of(p, "owner", owners...)
		}
	}
	switch {
	case p.chance(6):
		c.As = c.User
		c.User = of(p, "user beside as", "", c.User, "ann")
	case op == "Decline" && p.chance(4):
		c.User = ""
	}
	return c
}

func (s *sequence) drawList(op string) call {
	p := s.pick
	if op == "next page" {
		if len(s.cursors) == 0 {
			return p.as(call{Op: "ListAll", Limit: 1})
		}
		at := len(s.cursors) - 1 - p.below(len(s.cursors), "page")
		c := s.pages[at]
		c.Cursor, c.Offset, c.SkipTotal = s.cursors[at], 0, p.chance(3)
		if p.chance(8) { // this is a different list
			c.Query = c.Query + "u"
		}
		if p.chance(3) {
			c.Limit = p.below(5+1, "limit")
		}
		return c
	}
	c := call{Op: op, Limit: of(p, "limit", 0, 1, 2, 3, 500), SkipTotal: op != "Each" && p.chance(3)}
	if p.chance(20) {
		c.Limit = of(p, "odd limit", -1, 501)
		if op == "Each" {
			c.Limit = 501
		}
	}
	if p.chance(3) {
		c.Offset = p.below(6+1, "offset")
	}
	for range p.below(2+1, "statuses") {
		c.Statuses = append(c.Statuses, of(p, "status", pending, expired, accepted, revoked, declined))
	}
	for range p.below(2+1, "orders") {
		c.Orders = append(c.Orders, of(p, "order", "created_at", "-created_at", "email_address", "-email_address",
			"expires_at", "-expires_at"))
	}
	if p.chance(4) {
		c.Query = of(p, "query", "u", "EXAMPLE", "2@", "xn--", "%", "_")
	}
	if p.chance(6) {
		c.Addresses = []string{p.address()}
	}
	switch op {
	case "List", "Each":
		c.Organization = p.organization()
	case "ListForUser":
		c.User = p.user()
	}
	if op == "ListForUser" && p.chance(4) {
		c.As = c.User
		c.User = of(p, "user beside as", "", c.User, "ann")
		return c
	}
	return p.as(c)
}

func (s *sequence) drawOther(op string) call {
	p := s.pick
	switch op {
	case "ExpireDue":
		return p.as(call{Op: op, Limit: of(p, "limit", 1, 2, 100_000, 0)})
	case "Purge":
		ago := of(p, "before", 0, time.Second, time.Hour, -time.Second)
		return p.as(call{Op: op, Limit: of(p, "limit", 1, 2, 100_000), Before: s.model.now.Add(-ago)})
	case "delete": // one share for all of them, because they end many histories
		if p.chance(4) {
			return p.as(call{Op: "DeleteOrganization", Organization: p.organization()})
		}
		return p.as(call{Op: "EraseEmail", Query: p.address()})
	case "Advance":
		return call{Op: op, ExpiresIn: s.jump()}
	case "SetUser":
		c := call{Op: op, User: of(p, "user", "u1", "u2", "twin", "none")}
		for _, a := range []string{"u1@example.com", "u2@example.com", "u2@xn--bcher-kva.example", "v1@example.com"} {
			if p.chance(2) {
				c.Addresses = append(c.Addresses, a)
			}
		}
		return c
	case "SetMember":
		return call{Op: op, Organization: of(p, "organization", "acme", "globex"),
			User: of(p, "user", "ann", "bob", "u1", "u2", "many", "none"),
			Role: of(p, "role", "org:admin", "org:lead", "org:sales", "org:member", roleObserver)}
	case "RemoveMember":
		return call{Op: op, Organization: of(p, "organization", "acme", "globex"),
			User: of(p, "user", "u1", "u2", "twin", "many", "bob", "ann")}
	}
	panic(op)
}

// jump draws how far the clock moves: any time, or to the moment at which the next invitation expires, or just before
// it.
func (s *sequence) jump() time.Duration {
	p := s.pick
	var next time.Duration
	for _, e := range s.model.entries {
		if left := e.expires.Sub(s.model.now); e.status == pending && (next == 0 || left < next) {
			next = left
		}
	}
	switch {
	case next == 0 || p.chance(2):
		return mostly(p, 10, []time.Duration{31 * 24 * time.Hour}, "jump", time.Second, time.Microsecond, time.Minute,
			10*time.Minute)
	case p.chance(2):
		return next - time.Microsecond
	}
	return next
}

// The model does not accept every answer: it refuses each of these.
func TestModelRefusesWrongAnswers(t *testing.T) {
	cfg := modelConfig{ResendAfter: -1, Organizations: map[string]string{"acme": "Acme"}, ExpiresIn: time.Hour, MaxBulk: 1,
		MaxPerPage: 500}
	m := newModel(cfg)
	m.users["u1"] = []string{"u1@example.com"}
	w := memoryWorld(t, cfg, dawn)
	w.do(t.Context(), call{Op: "SetUser", User: "u1", Addresses: m.users["u1"]})
	step := func(c call) answer {
		got := w.do(t.Context(), c)
		if want := m.do(c, got); !reflect.DeepEqual(want, got) {
			t.Fatalf("%v\nthe contract asks for\n%v\nthe service answers\n%v", c, want, got)
		}
		return got
	}
	inv := step(call{Op: "Create", Organization: "acme",
		Drafts: []draft{{Address: "u1@example.com", Role: "org:member"}}}).Invitations[0]
	for name, wrong := range map[string]struct {
		call
		change func(*answer)
	}{
		"a status":  {call{Op: "Get"}, func(a *answer) { a.Invitations[0].Status = accepted }},
		"terms":     {call{Op: "Get"}, func(a *answer) { a.Invitations[0].Terms += "x" }},
		"old terms": {call{Op: "Resend"}, func(a *answer) { a.Invitations[0].Terms = inv.Terms }},
		"a microsecond": {call{Op: "Get"}, func(a *answer) {
			a.Invitations[0].Expires = instant(dawn.Add(time.Hour + time.Microsecond))
		}},
		"an accept for nothing":  {call{Op: "Accept", User: "u1"}, func(a *answer) { *a = refuse(noForbidden) }},
		"an id that is taken":    {call{Op: "Resend"}, func(a *answer) { a.Invitations[0].ID = "other" }},
		"an old ticket":          {call{Op: "Resend"}, func(a *answer) { a.Invitations[0].Ticket = inv.Ticket }},
		"a total":                {call{Op: "List"}, func(a *answer) { a.N++ }},
		"a list that is too few": {call{Op: "List"}, func(a *answer) { a.Invitations = nil }},
	} {
		c := wrong.call
		c.Organization = "acme"
		if !strings.HasPrefix(c.Op, "List") {
			c.ID = inv.ID
		}
		right := m.clone().do(c, answer{Invitations: []shown{{Ticket: "new"}}})
		wrong.change(&right)
		if reflect.DeepEqual(m.clone().do(c, right), right) {
			t.Errorf("the model takes %s: %v: %v", name, c, right)
		}
	}
}
