package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

func ids(invs []invitation.Invitation) []string {
	var out []string
	for _, inv := range invs {
		out = append(out, inv.ID)
	}
	return out
}

// populate returns a world in which acme has seven invitations. i1 to i5 were created as pending, a minute apart; i2 is
// revoked, i3 expires early, and carl accepts i4. An organization domain generated another one, and one is in other.
func populate(t *testing.T) *world {
	n := 0
	w := setup(t, &invitation.Config{NewID: func() string { n++; return fmt.Sprintf("i%d", n) }})
	w.svc = w.service(w.host, &invitation.Config{
		NewID: func() string { n++; return fmt.Sprintf("i%d", n) }, Organizations: w.host.Organizations,
	})
	for i, email := range []string{
		"eve@b.example", "Al@a.example", "flo@c.example", "carl@example.com", "dora@example.com",
	} {
		p := invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember}
		if i == 2 {
			p.ExpiresIn = time.Hour
		}
		_, err := w.svc.Create(w.ctx, "acme", p)
		w.is.NoErr(err)
		w.clock.Advance(time.Minute)
	}
	_, err := w.svc.Revoke(w.ctx, "acme", "i2", invitation.RevokeParams{})
	w.is.NoErr(err)
	_, err = w.svc.Accept(w.ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: "i4", UserID: "carl"})
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dom@d.example", Role: invitation.RoleMember, OrganizationDomainID: "dom-1",
	})
	w.is.NoErr(err) // i6
	_, err = w.svc.Create(w.ctx, "other", invitation.CreateParams{
		EmailAddress: "Dora@Example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err) // i7
	w.clock.Set(noon.Add(2 * time.Hour))
	return w
}

func TestList(t *testing.T) {
	w := populate(t)
	by := func(orders ...string) []invitation.Order {
		var os []invitation.Order
		for _, s := range orders {
			o, err := invitation.ParseOrder(s)
			w.is.NoErr(err)
			os = append(os, o)
		}
		return os
	}
	for name, tt := range map[string]struct {
		p     invitation.ListParams
		want  []string
		total int
	}{
		"newest first": {invitation.ListParams{}, []string{"i5", "i4", "i3", "i2", "i1"}, 5},
		"oldest first": {invitation.ListParams{OrderBy: by("created_at")}, []string{"i1", "i2", "i3", "i4", "i5"}, 5},
		"by address": {invitation.ListParams{
			OrderBy: by("+email_address"),
		}, []string{"i2", "i4", "i5", "i1", "i3"}, 5},
		"by expiry": {invitation.ListParams{OrderBy: by("-expires_at")}, []string{"i5", "i4", "i2", "i1", "i3"}, 5},
		"a field twice": {invitation.ListParams{
			OrderBy: by("-created_at", "created_at"),
		}, []string{"i5", "i4", "i3", "i2", "i1"}, 5},
		"a bounded total":      {invitation.ListParams{Limit: 2, TotalUpTo: 3}, []string{"i5", "i4"}, 4},
		"a total at its bound": {invitation.ListParams{Limit: 2, TotalUpTo: 5}, []string{"i5", "i4"}, 5},
		"no bound":             {invitation.ListParams{Limit: 2, TotalUpTo: math.MaxInt}, []string{"i5", "i4"}, 5},
		"a page":               {invitation.ListParams{Limit: 2}, []string{"i5", "i4"}, 5},
		"the next by offset":   {invitation.ListParams{Limit: 2, Offset: 2}, []string{"i3", "i2"}, 5},
		"beyond the end":       {invitation.ListParams{Offset: 9}, nil, 5},
		"without a total":      {invitation.ListParams{Limit: 2, Offset: 2, SkipTotal: true}, []string{"i3", "i2"}, 4},
		"pending":              {invitation.ListParams{Statuses: []invitation.Status{"pending"}}, []string{"i5", "i1"}, 2},
		"expired":              {invitation.ListParams{Statuses: []invitation.Status{"expired"}}, []string{"i3"}, 1},
		"several, one twice": {invitation.ListParams{
			Statuses: []invitation.Status{"revoked", "accepted", "revoked"},
		}, []string{"i4", "i2"}, 2},
		"declined": {invitation.ListParams{Statuses: []invitation.Status{"declined"}}, nil, 0},
		"none means all": {invitation.ListParams{
			Statuses: []invitation.Status{},
		}, []string{"i5", "i4", "i3", "i2", "i1"}, 5},
		"a part, any case":    {invitation.ListParams{Query: " EXAMPLE.COM "}, []string{"i5", "i4"}, 2},
		"wildcards are plain": {invitation.ListParams{Query: "%"}, nil, 0},
		"an address":          {invitation.ListParams{EmailAddress: " AL@A.EXAMPLE"}, []string{"i2"}, 1},
		"a part of another":   {invitation.ListParams{EmailAddress: "al@a.example", Query: "flo"}, nil, 0},
		"the largest page":    {invitation.ListParams{Limit: 500}, []string{"i5", "i4", "i3", "i2", "i1"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			page, err := w.svc.List(w.ctx, "acme", tt.p)
			w.is.NoErr(err)
			w.is.Equal(ids(page.Data), tt.want)
			w.is.Equal(page.TotalCount, tt.total)
			w.is.True(page.Data != nil)
			w.is.Equal(page.NextCursor != "", len(tt.want) == 2 && tt.p.Limit == 2)
			for _, inv := range page.Data {
				w.is.Equal(inv, w.get(inv))
				w.is.Equal(inv.URL, "")
			}
		})
	}
	// Only a page that does not show the total itself is counted.
	counts := 0
	svc := w.svc.WithStorage(countingStorage{w.host.Storage(), &counts})
	for _, tt := range []struct {
		p      invitation.ListParams
		counts int
	}{
		{invitation.ListParams{}, 0},
		{invitation.ListParams{Limit: 5}, 0},
		{invitation.ListParams{Offset: 4}, 0},
		{invitation.ListParams{Statuses: []invitation.Status{"declined"}}, 0},
		{invitation.ListParams{Limit: 4}, 1},
		{invitation.ListParams{Offset: 5}, 1},
	} {
		counts = 0
		_, err := svc.List(w.ctx, "acme", tt.p)
		w.is.NoErr(err)
		w.is.Equal(counts, tt.counts)
	}

	page, err := w.svc.List(w.ctx, "nowhere", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(page.TotalCount, 0)

	pending, err := w.svc.ListPending(w.ctx, "acme", 1, 1)
	w.is.NoErr(err)
	w.is.Equal(ids(pending.Data), []string{"i1"})
	w.is.Equal(pending.TotalCount, 2)

	all, err := w.svc.ListAll(w.ctx, invitation.ListParams{Statuses: []invitation.Status{"pending"}})
	w.is.NoErr(err)
	w.is.Equal(ids(all.Data), []string{"i7", "i6", "i5", "i1"}) // every organization, and what domains made
	w.is.Equal(all.Data[0].Organization.Name, "Other")
	w.is.Equal(*all.Data[1].Organization, invitation.Organization{
		ID: "acme", Name: "Acme", Slug: "acme", HasImage: true, ImageURL: "https://img.example.com/a",
	})
}

func TestListForUser(t *testing.T) {
	w := populate(t)
	list := func(user string, p invitation.ListParams) invitation.Page {
		t.Helper()
		page, err := w.svc.ListForUser(w.ctx, user, p)
		w.is.NoErr(err)
		w.is.True(page.Data != nil)
		return page
	}
	page := list("dora", invitation.ListParams{})
	w.is.Equal(ids(page.Data), []string{"i7", "i5"}) // in every organization
	w.is.Equal(page.TotalCount, 2)
	w.is.Equal(page.Data[1].Organization.Name, "Acme")
	w.is.Equal(len(list("carl", invitation.ListParams{}).Data), 0) // pending is the default
	w.is.Equal(ids(list("carl", invitation.ListParams{Statuses: []invitation.Status{"accepted"}}).Data), []string{"i4"})

	w.host.AddUser("dora", "broken", "AL@a.example", "EVE@b.example")
	// in any spelling, invalid ones passed over
	w.is.Equal(ids(list("dora", invitation.ListParams{}).Data), []string{"i1"})
	w.is.Equal(len(list("dora", invitation.ListParams{EmailAddress: "al@a.example"}).Data), 0)
	w.is.Equal(len(list("dora", invitation.ListParams{EmailAddress: "dora@example.com"}).Data), 0) // no longer hers
	w.is.Equal(ids(list("dora", invitation.ListParams{EmailAddress: "eve@B.example"}).Data), []string{"i1"})
	for _, none := range [][]string{nil, {}, {"broken"}} {
		w.host.AddUser("dora", none...)
		page = list("dora", invitation.ListParams{}) // nobody's is not everybody's (C01)
		w.is.Equal(len(page.Data), 0)
		w.is.Equal(page.TotalCount, 0)
	}
	_, err := w.svc.ListForUser(w.ctx, "nobody", invitation.ListParams{})
	w.is.True(errors.Is(err, invitation.ErrNotFound))
	w.is.Equal(refusals(err), []refusal{{404, "resource_not_found", "user_id"}})
}

func TestListsRefuseParameters(t *testing.T) {
	w := populate(t)
	boom := invitation.Order{Field: "role"}
	for name, tt := range map[string]struct {
		p    invitation.ListParams
		want []refusal
	}{
		"limit -1":  {invitation.ListParams{Limit: -1}, []refusal{{422, "form_param_value_invalid", "limit"}}},
		"limit 501": {invitation.ListParams{Limit: 501}, []refusal{{422, "form_param_value_invalid", "limit"}}},
		"limit huge": {invitation.ListParams{Limit: math.MaxInt}, []refusal{
			{422, "form_param_value_invalid", "limit"},
		}},
		"total up to -1": {
			invitation.ListParams{TotalUpTo: -1}, []refusal{{422, "form_param_value_invalid", "total_up_to"}},
		},
		"offset -1": {invitation.ListParams{Offset: -1}, []refusal{{422, "form_param_value_invalid", "offset"}}},
		"an unknown status": {invitation.ListParams{
			Statuses: []invitation.Status{"pending", "lost"},
		}, []refusal{{422, "form_param_value_invalid", "status"}}},
		"an unknown order": {invitation.ListParams{OrderBy: []invitation.Order{boom}}, []refusal{
			{422, "form_param_value_invalid", "order_by"},
		}},
		"a long query": {invitation.ListParams{Query: strings.Repeat("q", 321)}, []refusal{
			{422, "form_param_exceeds_allowed_size", "query"},
		}},
		"a NUL in it": {invitation.ListParams{Query: "\x00"}, []refusal{
			{422, "form_param_format_invalid", "query"},
		}},
		"a malformed address": {invitation.ListParams{EmailAddress: "x"}, []refusal{
			{422, "form_param_format_invalid", "email_address"},
		}},
		"a foreign cursor": {invitation.ListParams{Cursor: "AAAA"}, []refusal{
			{422, "form_param_value_invalid", "cursor"},
		}},
		"a cursor and an offset": {invitation.ListParams{Cursor: "AAAA", Offset: 1}, []refusal{
			{422, "form_param_value_invalid", "offset"},
		}},
		"all at once": {invitation.ListParams{Limit: 501, Offset: -1, Statuses: []invitation.Status{
			"x",
		}, OrderBy: []invitation.Order{boom}, EmailAddress: "x", Query: "\xff"},
			[]refusal{{
				422, "form_param_format_invalid", "query",
			}, {422, "form_param_value_invalid", "limit"}, {422, "form_param_value_invalid", "offset"},
				{
					422, "form_param_value_invalid", "status",
				}, {422, "form_param_value_invalid", "order_by"}, {422, "form_param_format_invalid", "email_address"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			for _, call := range []func() error{
				func() error { _, err := w.svc.List(w.ctx, "acme", tt.p); return err },
				func() error { _, err := w.svc.ListAll(w.ctx, tt.p); return err },
				func() error { _, err := w.svc.ListForUser(w.ctx, "carl", tt.p); return err },
			} {
				w.refuses(invitation.ErrInvalid, tt.want, call)
			}
		})
	}
	_, err := w.svc.List(w.ctx, "", invitation.ListParams{Limit: -1})
	w.is.Equal(refusals(err), []refusal{
		{422, "form_param_missing", "organization_id"}, {422, "form_param_value_invalid", "limit"},
	})
	_, err = w.svc.ListForUser(w.ctx, "", invitation.ListParams{})
	w.is.Equal(refusals(err), []refusal{{422, "form_param_missing", "user_id"}})
	_, err = w.svc.List(w.ctx, "acme", invitation.ListParams{Cursor: "AAAA"})
	w.is.True(errors.Is(err, invitation.ErrInvalidCursor))
}

// Cursors visit every row exactly once, in every order, while the clock and the page size change.
func TestCursor(t *testing.T) {
	w := setup(t, nil)
	for i := range 25 {
		_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: fmt.Sprintf(
			"u%d@example.com", i*7%25,
		), Role: invitation.RoleMember,
			ExpiresIn: time.Duration(1+i%3) * 24 * time.Hour})
		w.is.NoErr(err)
		if i%4 == 0 {
			w.clock.Advance(time.Minute) // to avoid ties
		}
	}
	for _, orders := range [][]string{nil, {"created_at"}, {"-email_address"}, {"expires_at"},
		{"-expires_at", "created_at"}, {"created_at", "-email_address"}} {
		t.Run(strings.Join(orders, " "), func(t *testing.T) {
			w.in(t)
			var p invitation.ListParams
			for _, s := range orders {
				o, err := invitation.ParseOrder(s)
				w.is.NoErr(err)
				p.OrderBy = append(p.OrderBy, o)
			}
			p.Limit = 500
			whole, err := w.svc.List(w.ctx, "acme", p)
			w.is.NoErr(err)
			w.is.Equal(whole.NextCursor, "")
			var got []string
			for n := 1; ; n++ {
				p.Limit, p.SkipTotal = n, n%2 == 0
				page, err := w.svc.List(w.ctx, "acme", p)
				w.is.NoErr(err)
				if !p.SkipTotal {
					w.is.Equal(page.TotalCount, 25) // of the whole filter, on every page
				} else {
					w.is.Equal(page.TotalCount, len(page.Data))
				}
				got = append(got, ids(page.Data)...)
				w.clock.Advance(time.Second)
				if p.Cursor = page.NextCursor; p.Cursor == "" {
					break
				}
			}
			w.is.Equal(got, ids(whole.Data))
		})
	}
}

// Every other list refuses the cursor of a list, and all lists refuse a damaged one (C23).
func TestCursorIsBoundToItsList(t *testing.T) {
	w := populate(t)
	base := invitation.ListParams{Limit: 1, Statuses: []invitation.Status{"pending", "expired"}, Query: "example"}
	page, err := w.svc.List(w.ctx, "acme", base)
	w.is.NoErr(err)
	base.Cursor = page.NextCursor
	ok := base
	ok.Statuses, ok.Query, ok.Limit, ok.SkipTotal = []invitation.Status{
		"expired", "pending", "expired",
	}, " EXAMPLE", 3, true
	_, err = w.svc.List(w.ctx, "acme", ok)
	w.is.NoErr(err) // the same list, said differently

	change := func(f func(p *invitation.ListParams)) invitation.ListParams { p := base; f(&p); return p }
	refused := func(name, org string, p invitation.ListParams) {
		t.Helper()
		if _, err := w.svc.List(w.ctx, org, p); !errors.Is(
			err, invitation.ErrInvalidCursor,
		) || !errors.Is(err, invitation.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("another organization", "other", base)
	refused("other statuses", "acme", change(func(p *invitation.ListParams) { p.Statuses = p.Statuses[:1] }))
	refused("another query", "acme", change(func(p *invitation.ListParams) { p.Query = "exampl" }))
	refused("an address", "acme", change(func(p *invitation.ListParams) { p.EmailAddress = "dora@example.com" }))
	refused("another order", "acme", change(func(p *invitation.ListParams) {
		p.OrderBy = []invitation.Order{
			{Field: "created_at"},
		}
	}))
	_, err = w.svc.ListAll(w.ctx, base)
	w.is.True(errors.Is(err, invitation.ErrInvalidCursor)) // another operation
	_, err = w.svc.ListForUser(w.ctx, "acme", base)
	w.is.True(err != nil)

	user, err := w.svc.ListForUser(w.ctx, "dora", invitation.ListParams{Limit: 1})
	w.is.NoErr(err)
	w.host.AddUser("dora", "dora@example.com", "eve@b.example")
	_, err = w.svc.ListForUser(w.ctx, "dora", invitation.ListParams{Cursor: user.NextCursor})
	w.is.NoErr(err) // another address of the same user is the same list
	_, err = w.svc.ListForUser(w.ctx, "carl", invitation.ListParams{Cursor: user.NextCursor})
	w.is.True(errors.Is(err, invitation.ErrInvalidCursor)) // another user's is not

	for i := range base.Cursor {
		for _, c := range []byte{'A', '_', '\n', '=', base.Cursor[i] ^ 1} {
			if damaged := base.Cursor[:i] + string(c) + base.Cursor[i+1:]; damaged != base.Cursor {
				refused("damaged", "acme", change(func(p *invitation.ListParams) { p.Cursor = damaged }))
			}
		}
		refused("truncated", "acme", change(func(p *invitation.ListParams) { p.Cursor = base.Cursor[:max(i, 1)] }))
	}
	refused("longer", "acme", change(func(p *invitation.ListParams) { p.Cursor += "AAAA" }))
	refused("padded", "acme", change(func(p *invitation.ListParams) { p.Cursor += "=" }))
	refused("huge", "acme", change(func(p *invitation.ListParams) { p.Cursor = strings.Repeat("A", 1<<20) }))
}

func FuzzCursor(f *testing.F) {
	n := 0 // all processes of the fuzzer need the same cursor
	w := setup(f, &invitation.Config{NewID: func() string { n++; return fmt.Sprint("i", n) }})
	for _, email := range []string{"c@example.com", "d@example.com"} {
		w.invite(email)
	}
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Limit: 1})
	w.is.NoErr(err)
	f.Add(page.NextCursor)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		_, err := w.svc.List(context.Background(), "acme", invitation.ListParams{Cursor: cursor})
		if cursor != "" && cursor != page.NextCursor && !errors.Is(err, invitation.ErrInvalidCursor) {
			t.Fatalf("%q is taken: %v", cursor, err)
		}
	})
}

func TestParseOrder(t *testing.T) {
	is := is.New(t)
	for s, want := range map[string]invitation.Order{
		"created_at": {Field: "created_at"}, "+created_at": {Field: "created_at"}, "-created_at": {Field: "created_at",
			Descending: true},
		"-email_address": {Field: "email_address", Descending: true}, "expires_at": {Field: "expires_at"},
	} {
		got, err := invitation.ParseOrder(s)
		is.NoErr(err)
		is.Equal(got, want)
	}
	for _, s := range []string{"", "-", "+", "--created_at", "+-created_at", "-+created_at", "++created_at", "id",
		"created_at ", "created_at desc", "CREATED_AT"} {
		_, err := invitation.ParseOrder(s)
		is.True(errors.Is(err, invitation.ErrInvalid))
		is.Equal(refusals(err), []refusal{{422, "form_param_value_invalid", "order_by"}})
	}
}

func TestPageNumber(t *testing.T) {
	is := is.New(t)
	for _, tt := range [][4]int{
		{1, 20, 20, 0}, {2, 20, 20, 20}, {5, 500, 500, 2000}, {3, 0, 0, 20}, {0, 20, 20, 0}, {-3, 20, 20, 0}, {2, -1, -1, 0},
		{math.MaxInt, 500, 500, math.MaxInt},
	} {
		limit, offset := invitation.PageNumber(tt[0], tt[1])
		is.Equal([2]int{limit, offset}, [2]int{tt[2], tt[3]})
	}
	w := populate(t)
	limit, offset := invitation.PageNumber(2, 2)
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Limit: limit, Offset: offset})
	is.NoErr(err)
	is.Equal(ids(page.Data), []string{"i3", "i2"})
}

func TestEach(t *testing.T) {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, 1000)
	for i := range ps {
		ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember}
	}
	invs, err := w.svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	more, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "last@example.com", Role: invitation.RoleMember},
	})
	w.is.NoErr(err)
	want := ids(append(invs, more...))
	slices.Reverse(want)
	each := func(p invitation.ListParams) (got []string) {
		for inv, err := range w.svc.Each(w.ctx, "acme", p) {
			w.is.NoErr(err)
			got = append(got, inv.ID)
		}
		return got
	}
	w.is.Equal(each(invitation.ListParams{}), want) // 0 means all
	w.is.Equal(each(invitation.ListParams{Limit: 700}), want[:700])
	w.is.Equal(each(invitation.ListParams{Limit: 500}), want[:500])
	w.is.Equal(each(invitation.ListParams{Limit: 5000, Offset: 400}), want[400:])
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Limit: 10})
	w.is.NoErr(err)
	w.is.Equal(each(invitation.ListParams{Cursor: page.NextCursor, Limit: 600}), want[10:610])

	for inv := range w.svc.Each(w.ctx, "acme", invitation.ListParams{}) {
		w.is.Equal(inv.ID, want[0])
		break // Each stops with the loop
	}
	n := 0
	for inv, err := range w.svc.Each(w.ctx, "acme", invitation.ListParams{Limit: -1}) {
		n++
		w.is.Equal(inv, invitation.Invitation{})
		w.is.True(errors.Is(err, invitation.ErrInvalid))
	}
	w.is.Equal(n, 1) // exactly once
	// Each holds nothing while it yields: a write in the loop does not wait.
	for inv, err := range w.svc.Each(w.ctx, "acme", invitation.ListParams{Limit: 3}) {
		w.is.NoErr(err)
		_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	n = 0
	for _, err := range w.svc.Each(ctx, "acme", invitation.ListParams{}) {
		if n++; n == 500 {
			cancel()
		}
		w.is.Equal(errors.Is(err, context.Canceled), n == 501)
	}
	w.is.Equal(n, 501)
}

// A store that ignores a field of a filter causes an error, and its records are not shown.
func TestStoreThatIgnoresAFilter(t *testing.T) {
	w := setup(t, nil)
	w.invite("carl@example.com")
	svc := w.svc.WithStorage(ignorant{w.host.Storage()})
	_, err := svc.List(w.ctx, "other", invitation.ListParams{})
	w.is.True(err != nil && strings.Contains(err.Error(), "storage.Filter"))
	var e *invitation.Error
	w.is.True(!errors.As(err, &e)) // an internal error
}

// ignorant is a store that ignores filters.
type ignorant struct{ storage.Storage }

func (s ignorant) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	return s.Storage.List(ctx, storage.Query{Limit: q.Limit})
}

func TestReadsFailWithTheStore(t *testing.T) {
	w := populate(t)
	boom := errors.New("boom")
	svc := w.svc.WithStorage(broken{w.host.Storage(), boom})
	for name, call := range map[string]func() error{
		"list":          func() error { _, err := svc.List(w.ctx, "acme", invitation.ListParams{}); return err },
		"list all":      func() error { _, err := svc.ListAll(w.ctx, invitation.ListParams{}); return err },
		"list for user": func() error { _, err := svc.ListForUser(w.ctx, "carl", invitation.ListParams{}); return err },
		"get":           func() error { _, err := svc.Get(w.ctx, "acme", "i1"); return err },
		"link":          func() error { _, err := svc.Link(w.ctx, "acme", "i1"); return err },
		"create": func() error {
			_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
			return err
		},
	} {
		err := call()
		w.is.True(errors.Is(err, boom))
		w.is.True(strings.HasPrefix(err.Error(), "invitation: "+name+": "))
	}
}

// broken is a store whose calls fail.
type broken struct {
	storage.Storage
	err error
}

func (s broken) Get(context.Context, string) (storage.Record, error)           { return storage.Record{}, s.err }
func (s broken) List(context.Context, storage.Query) ([]storage.Record, error) { return nil, s.err }
func (s broken) RunInTx(context.Context, func(context.Context, storage.Storage) error) error {
	return s.err
}

// Each can be ranged over again, also after a break.
func TestEachCanBeRangedAgain(t *testing.T) {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, 700)
	for i := range ps {
		ps[i] = with(func(p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@example.com", i) })
	}
	_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	seq := w.svc.Each(w.ctx, "acme", invitation.ListParams{Offset: 10})
	for range 2 {
		for range seq {
			break
		}
		n := 0
		for _, err := range seq {
			w.is.NoErr(err)
			n++
		}
		w.is.Equal(n, 690)
	}
}

// countingStorage counts the calls of Count.
type countingStorage struct {
	storage.Storage
	n *int
}

func (s countingStorage) Count(ctx context.Context, f storage.Filter) (int, error) {
	*s.n++
	return s.Storage.Count(ctx, f)
}
