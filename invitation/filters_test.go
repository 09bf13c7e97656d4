package invitation_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// filtered returns a world in which acme has four invitations, created an hour apart from noon on: i1 and i3 by ann, i2
// by the back end, i4 by zoe; i2 and i4 as admins; i1 and i2 expire after a day, the others after 30.
func filtered(t *testing.T) *world {
	w := setup(t, nil)
	n := 0
	w.svc = w.service(w.host, &invitation.Config{NewID: func() string { n++; return "i" + strconv.Itoa(n) }})
	w.host.AddMember("acme", "zoe", invitation.RoleAdmin)
	for i, inviter := range []string{"ann", "", "ann", "zoe"} {
		p := entry("u"+strconv.Itoa(i)+"@example.com", []invitation.Role{"org:member", "org:admin"}[i%2], inviter)
		if i < 2 {
			p.ExpiresIn = 24 * time.Hour
		}
		_, err := w.svc.Create(w.ctx, "acme", p)
		w.is.NoErr(err)
		w.clock.Advance(time.Hour)
	}
	w.host.AddUser("dora", "u0@example.com", "u1@example.com", "u3@example.com")
	return w
}

func TestListFilters(t *testing.T) {
	w := filtered(t)
	const member, admin = invitation.RoleMember, invitation.RoleAdmin
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	for name, tt := range map[string]struct {
		p    invitation.ListParams
		want string
	}{
		"nothing":          {invitation.ListParams{}, "i4 i3 i2 i1"},
		"a role":           {invitation.ListParams{Roles: []invitation.Role{admin}}, "i4 i2"},
		"roles, one twice": {invitation.ListParams{Roles: []invitation.Role{member, admin, member}}, "i4 i3 i2 i1"},
		"no roles":         {invitation.ListParams{Roles: []invitation.Role{}}, "i4 i3 i2 i1"},
		"an inviter":       {invitation.ListParams{InviterUserID: "ann"}, "i3 i1"},
		"nobody":           {invitation.ListParams{InviterUserID: "an"}, ""},
		"created from":     {invitation.ListParams{CreatedFrom: hour(2)}, "i4 i3"},
		"created before":   {invitation.ListParams{CreatedBefore: hour(2)}, "i2 i1"},
		"created within": {invitation.ListParams{
			CreatedFrom: hour(1), CreatedBefore: hour(3).In(time.FixedZone("", 7200)),
		}, "i3 i2"},
		"expires from":   {invitation.ListParams{ExpiresFrom: hour(25)}, "i4 i3 i2"},
		"expires before": {invitation.ListParams{ExpiresBefore: hour(25)}, "i1"},
		"expires within": {invitation.ListParams{ExpiresFrom: hour(24), ExpiresBefore: hour(26)}, "i2 i1"},
		"everything at once": {invitation.ListParams{
			Roles: []invitation.Role{member}, InviterUserID: "ann", CreatedFrom: hour(1), ExpiresBefore: hour(800),
			Query: "u", Statuses: []invitation.Status{"pending"},
		}, "i3"},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			check := func(list func(invitation.ListParams) (invitation.Page, error), want string) {
				t.Helper()
				page, err := list(tt.p)
				w.is.NoErr(err)
				w.is.Equal(strings.Join(ids(page.Data), " "), want)
				w.is.Equal(page.TotalCount, len(page.Data))
			}
			check(func(p invitation.ListParams) (invitation.Page, error) { return w.svc.List(w.ctx, "acme", p) }, tt.want)
			ann := w.svc.As("ann")
			check(func(p invitation.ListParams) (invitation.Page, error) { return ann.List(w.ctx, "acme", p) }, tt.want)
			check(func(p invitation.ListParams) (invitation.Page, error) { return w.svc.ListAll(w.ctx, p) }, tt.want)
			hers := strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(tt.want, "i3", ""), "  ", " "))
			check(func(p invitation.ListParams) (invitation.Page, error) { return w.svc.ListForUser(w.ctx, "dora", p) }, hers)
			if len(tt.p.Statuses) == 0 {
				counts, err := w.svc.Counts(w.ctx, "acme", tt.p)
				w.is.NoErr(err)
				w.is.Equal(counts["pending"], len(strings.Fields(tt.want)))
			}
			var each []invitation.Invitation
			for inv, err := range w.svc.Each(w.ctx, "acme", tt.p) {
				w.is.NoErr(err)
				each = append(each, inv)
			}
			w.is.Equal(strings.Join(ids(each), " "), tt.want)
		})
	}
	_, err := w.svc.As("dora").ListForUser(w.ctx, "", invitation.ListParams{InviterUserID: "ann"})
	w.is.True(errors.Is(err, invitation.ErrForbidden)) // she could find out who invited her
	w.is.Equal(refusals(err), []refusal{{403, "not_allowed_access", "inviter_user_id"}})
}

func TestListFiltersRefuse(t *testing.T) {
	w := filtered(t)
	value := func(param string) refusal { return refusal{422, "form_param_value_invalid", param} }
	for name, tt := range map[string]struct {
		p    invitation.ListParams
		want []refusal
	}{
		"unknown roles": {invitation.ListParams{
			Roles: []invitation.Role{"org:admin", "org:none", ""},
		}, []refusal{value("role")}},
		"an inviter": {invitation.ListParams{InviterUserID: strings.Repeat("u", 129)}, []refusal{
			{422, "form_param_exceeds_allowed_size", "inviter_user_id"}}},
		"no text": {invitation.ListParams{InviterUserID: "\x00"}, []refusal{
			{422, "form_param_format_invalid", "inviter_user_id"}}},
		"empty ranges": {invitation.ListParams{
			CreatedFrom: noon, CreatedBefore: noon.Add(999), ExpiresFrom: noon, ExpiresBefore: noon.Add(-time.Hour),
		}, []refusal{value("created_at_before"), value("expires_at_before")}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			for _, call := range []func() error{
				func() error { _, err := w.svc.List(w.ctx, "acme", tt.p); return err },
				func() error { _, err := w.svc.ListAll(w.ctx, tt.p); return err },
				func() error { _, err := w.svc.ListForUser(w.ctx, "dora", tt.p); return err },
				func() error { _, err := w.svc.Counts(w.ctx, "acme", tt.p); return err },
			} {
				w.refuses(invitation.ErrInvalid, tt.want, call)
			}
		})
	}
}

// A cursor belongs to the filters, too.
func TestCursorsAreBoundToFilters(t *testing.T) {
	w := filtered(t)
	lists := []invitation.ListParams{
		{},
		{Roles: []invitation.Role{"org:member"}},
		{Roles: []invitation.Role{"org:admin"}},
		{Roles: []invitation.Role{"org:admin", "org:member"}},
		{InviterUserID: "ann"},
		{CreatedFrom: noon},
		{CreatedBefore: noon.Add(100 * time.Hour)},
		{ExpiresFrom: noon},
		{ExpiresBefore: noon.Add(1000 * time.Hour)},
		{ExpiresBefore: noon.Add(1001 * time.Hour)},
	}
	for i, from := range lists {
		from.Limit = 1
		page, err := w.svc.List(w.ctx, "acme", from)
		w.is.NoErr(err)
		w.is.True(page.NextCursor != "")
		for j, to := range lists {
			to.Cursor = page.NextCursor
			_, err := w.svc.List(w.ctx, "acme", to)
			w.is.Equal(errors.Is(err, invitation.ErrInvalidCursor), i != j)
		}
	}
}

// The order of roles, and repetitions, make no other list.
func TestCursorsOfTheSameRoles(t *testing.T) {
	w := filtered(t)
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{
		Roles: []invitation.Role{"org:admin", "org:member"}, Limit: 1,
	})
	w.is.NoErr(err)
	page, err = w.svc.List(w.ctx, "acme", invitation.ListParams{
		Roles: []invitation.Role{"org:member", "org:admin", "org:member"}, Limit: 1, Cursor: page.NextCursor,
	})
	w.is.NoErr(err)
	w.is.Equal(ids(page.Data), []string{"i3"})
}

func TestParseListFilters(t *testing.T) {
	w := setup(t, nil)
	p, err := invitation.ParseListParams(url.Values{
		"role": {"org:admin", "", "org:member"}, "inviter_user_id": {"ann"},
		"created_at_from": {"0"}, "created_at_before": {" 1772366400123 "}, "expires_at_from": {""},
		"expires_at_before": {"-1"},
	})
	w.is.NoErr(err)
	w.is.Equal(p, invitation.ListParams{
		Roles: []invitation.Role{"org:admin", "org:member"}, InviterUserID: "ann",
		CreatedFrom: time.UnixMilli(0).UTC(), CreatedBefore: noon.Add(123 * time.Millisecond),
		ExpiresBefore: time.UnixMilli(-1).UTC(),
	})
	_, err = invitation.ParseListParams(url.Values{
		"limit": {"x"}, "created_at_from": {"2026-03-01"}, "created_at_before": {"1.5"},
		"expires_at_from": {"9223372036854775807"}, "expires_at_before": {"-99999999999999"},
	})
	w.is.True(errors.Is(err, invitation.ErrInvalid))
	want := []refusal{{422, "form_param_value_invalid", "limit"}}
	for _, param := range []string{"created_at_from", "created_at_before", "expires_at_from", "expires_at_before"} {
		want = append(want, refusal{422, "form_param_value_invalid", param})
	}
	w.is.Equal(refusals(err), want)
}

// older is a store that does not know the newer fields of storage.Filter.
type older struct{ storage.Storage }

func (s older) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	q.Roles, q.CreatedFrom, q.CreatedBefore, q.ExpiresFrom, q.ExpiresBefore =
		nil, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return s.Storage.List(ctx, q)
}

func TestAnOlderStoreIsFoundOut(t *testing.T) {
	w := filtered(t)
	svc := w.svc.WithStorage(older{w.host.Storage()})
	_, err := svc.List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	for _, p := range []invitation.ListParams{
		{Roles: []invitation.Role{"org:admin"}}, {CreatedFrom: noon.Add(time.Hour)}, {CreatedBefore: noon.Add(time.Hour)},
		{ExpiresFrom: noon.Add(100 * time.Hour)}, {ExpiresBefore: noon.Add(100 * time.Hour)},
	} {
		_, err := svc.List(w.ctx, "acme", p)
		w.is.True(err != nil && strings.Contains(err.Error(), "does not know a field of storage.Filter"))
		w.is.Equal(refusals(err), nil)
	}
}
