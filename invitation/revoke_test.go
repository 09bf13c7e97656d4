package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

func TestRevoke(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusRevoked)
	w.is.Equal(got.ResolvedBy, "ann")
	w.is.Equal(got.ResolvedAt, noon.Add(time.Hour))
	w.is.Equal(got.Terms, inv.Terms) // what was shown has not changed
	w.is.Equal(got, w.get(inv))
	w.is.Equal(w.events, []invitation.Event{
		{Type: invitation.EventRevoked, At: noon.Add(time.Hour), ActorID: "ann", Invitation: got},
	})
	w.invite("carl@example.com") // the address is free again
}

func TestRevokeRefusesInOrder(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	step := func(svc *invitation.Service, org, id, user string, sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error {
			_, err := svc.Revoke(w.ctx, org, id, invitation.RevokeParams{RequestingUserID: user})
			return err
		})
	}
	step(w.svc.As(""), "", "", "", invitation.ErrForbidden, refusal{401, "not_allowed_access", "user_id"})
	step(w.svc, "", strings.Repeat("i", 65), "\x00", invitation.ErrInvalid, refusal{
		422, "form_param_missing", "organization_id",
	},
		refusal{
			422, "form_param_exceeds_allowed_size", "invitation_id",
		}, refusal{422, "form_param_format_invalid", "requesting_user_id"})
	step(w.svc, "other", inv.ID, "carl", invitation.ErrNotMember, refusal{
		403, "not_a_member_in_organization", "requesting_user_id",
	})
	step(w.svc, "acme", inv.ID, "bob", invitation.ErrForbidden, refusal{
		403, "not_an_admin_in_organization", "requesting_user_id",
	})
	step(w.svc, "other", inv.ID, "zoe", invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"}) // C06
	step(w.svc, "acme", "orginv_missing", "ann", invitation.ErrNotFound, refusal{
		404, "resource_not_found", "invitation_id",
	})
	w.clock.Set(inv.ExpiresAt)
	step(w.svc, "acme", inv.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
	w.clock.Set(noon)
	_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err) // the back end needs no member
	step(w.svc, "acme", inv.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
	other := w.invite("dora@example.com")
	w.is.NoErr(w.accept(byIDs(other, "dora")))
	step(w.svc, "acme", other.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
}

// A manager may revoke an invitation into a role that they may not grant.
func TestRevokeNeedsNoGrant(t *testing.T) {
	roles, err := invitation.NewRoles(invitation.RoleDefinition{Key: invitation.RoleAdmin}, invitation.RoleDefinition{
		Key: "org:clerk", Manages: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t, &invitation.Config{Roles: roles})
	w.host.AddMember("acme", "bob", "org:clerk")
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleAdmin,
	})
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleAdmin, InviterUserID: "bob",
	})
	w.is.True(errors.Is(err, invitation.ErrForbidden))
	_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "bob"})
	w.is.NoErr(err)
}

// RevokeAll locks each organization that it finds something in, once, in the order that everybody keeps, and no other.
func TestRevokeAllLocksInOrder(t *testing.T) {
	w := setup(t, nil)
	for i, org := range []string{"other", "acme", "other", "beta", "acme"} {
		w.host.AddOrganization(invitation.Organization{ID: org})
		w.clock.Advance(time.Minute)
		_, err := w.svc.Create(
			w.ctx, org, with(func(p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@example.com", i) }),
		)
		w.is.NoErr(err)
	}
	var emails []string
	for i := range 4 {
		emails = append(emails, fmt.Sprintf("u%d@example.com", i))
	}
	for want, p := range map[string]invitation.RevokeAllParams{
		"acme beta other": {EmailAddresses: emails},
		"acme":            {EmailAddresses: []string{"u4@example.com"}},
		"nowhere":         {EmailAddresses: emails, OrganizationID: "nowhere"},
	} {
		var locked []string
		svc := w.service(w.host, &invitation.Config{MaxPending: 9}).WithStorage(watched{w.host.Storage(), &locked})
		_, err := svc.RevokeAll(w.ctx, p)
		w.is.NoErr(err)
		w.is.Equal(strings.Join(locked, " "), want)
	}
}

// meanwhile is a storage on which others are at work: the first read does not see the organization late yet, or what is
// locked first was revoked just before. One of the three reads may fail, or the write.
type meanwhile struct {
	storage.Storage
	reads *int
	late  string
	locks *[]string // ids, in order
	fails int       // which of them does
}

var errBroken = errors.New("broken")

func (s meanwhile) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if *s.reads++; *s.reads == s.fails {
		return nil, errBroken
	}
	if q.ForUpdate {
		if len(*s.locks) == 0 && s.late == "" {
			r, err := s.Get(ctx, q.Filter.IDs[0])
			if err != nil {
				return nil, err
			}
			r.Status, r.ResolvedAt = string(invitation.StatusRevoked), r.CreatedAt
			if err := s.Update(ctx, r); err != nil {
				return nil, err
			}
		}
		*s.locks = append(*s.locks, q.Filter.IDs...)
	}
	found, err := s.Storage.List(ctx, q)
	if *s.reads == 1 {
		found = slices.DeleteFunc(found, func(r storage.Record) bool { return r.OrganizationID == s.late })
	}
	return found, err
}

func (s meanwhile) Update(ctx context.Context, records ...storage.Record) error {
	if s.fails == 4 {
		return errBroken
	}
	return s.Storage.Update(ctx, records...)
}

func (s meanwhile) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, meanwhile{tx, s.reads, s.late, s.locks, s.fails})
	})
}

// What comes into an organization that is not locked is left alone, and what somebody else resolved is passed over.
func TestRevokeAllBesideOthers(t *testing.T) {
	for _, late := range []string{"other", ""} {
		w := setup(t, nil)
		n := 9
		w.svc = w.service(w.host, &invitation.Config{NewID: func() string { n--; return fmt.Sprint("i", n) }}) // descending
		for _, org := range []string{"acme", "other"} {
			for _, email := range []string{"c@example.com", "d@example.com"} {
				_, err := w.svc.Create(w.ctx, org, with(func(p *invitation.CreateParams) { p.EmailAddress = email }))
				w.is.NoErr(err)
			}
		}
		var reads int
		var locks []string
		got, err := w.svc.WithStorage(meanwhile{
			w.host.Storage(), &reads, late, &locks, 0,
		}).RevokeAll(w.ctx, invitation.RevokeAllParams{
			EmailAddresses: []string{"c@example.com", "d@example.com"}})
		w.is.NoErr(err)
		if late != "" {
			w.is.Equal(got, 2)
			w.is.Equal(locks, []string{"i7", "i8"}) // in the order in which everybody locks rows
		} else {
			w.is.Equal(got, 3)
			w.is.Equal(locks, []string{"i5", "i6", "i7", "i8"})
		}
	}
}

// A read that fails is no empty answer, and a write that fails none that is counted.
func TestRevokeAllFailsWithItsStore(t *testing.T) {
	w := setup(t, nil)
	w.invite("carl@example.com")
	for fails := 1; fails <= 4; fails++ {
		var reads int
		var locks []string
		w.refuses(errBroken, nil, func() error {
			n, err := w.svc.WithStorage(meanwhile{
				w.host.Storage(), &reads, "other", &locks, fails,
			}).RevokeAll(w.ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
			w.is.Equal(n, 0)
			return err
		})
		w.is.Equal(reads, min(fails, 3))
	}
}

// RevokeAll locks and reads nothing before it has checked the acting user.
func TestRevokeAllChecksActorFirst(t *testing.T) {
	w := setup(t, nil)
	w.invite("dora@example.com")
	reads := 0
	svc := w.svc.WithStorage(hooked{Storage: w.host.Storage(), list: func(storage.Query) { reads++ }})
	_, err := svc.As("carl").RevokeAll(w.ctx, invitation.RevokeAllParams{
		OrganizationID: "acme", EmailAddresses: []string{"dora@example.com"},
	})
	w.is.True(errors.Is(err, invitation.ErrNotMember))
	w.is.Equal(reads, 0)
}

func TestRevokeAll(t *testing.T) {
	populate := func() *world {
		w := setup(t, nil)
		w.host.AddMember("acme", "bob", invitation.RoleAdmin)
		w.host.AddMember("other", "bob", invitation.RoleAdmin)
		for _, org := range []string{"acme", "other"} {
			for _, p := range []invitation.CreateParams{
				{EmailAddress: "c1@example.com", InviterUserID: "bob"}, {EmailAddress: "c2@example.com", InviterUserID: "bob"},
				{EmailAddress: "c3@example.com"}, {EmailAddress: "c4@example.com", InviterUserID: "bob", ExpiresIn: time.Second},
				{EmailAddress: "c5@example.com", InviterUserID: "bob"},
			} {
				p.Role = invitation.RoleMember
				inv, err := w.svc.Create(w.ctx, org, p)
				w.is.NoErr(err)
				if p.EmailAddress == "c5@example.com" {
					_, err = w.svc.Revoke(w.ctx, org, inv.ID, invitation.RevokeParams{})
					w.is.NoErr(err)
				}
			}
		}
		w.clock.Advance(time.Hour)
		w.events = nil
		return w
	}
	for name, tt := range map[string]struct {
		p    invitation.RevokeAllParams
		want int
	}{
		"an inviter's, everywhere": {invitation.RevokeAllParams{InviterUserID: "bob"}, 4},
		"an inviter's, in one":     {invitation.RevokeAllParams{InviterUserID: "bob", OrganizationID: "acme"}, 2},
		"an address's, everywhere": {invitation.RevokeAllParams{
			EmailAddresses: []string{"C3@EXAMPLE.com", "c1@example.com"},
		}, 4},
		"an address's, by a manager": {invitation.RevokeAllParams{
			EmailAddresses: []string{"c3@example.com"}, OrganizationID: "acme", RequestingUserID: "ann",
		}, 1},
		"both": {invitation.RevokeAllParams{
			InviterUserID: "bob", EmailAddresses: []string{"c3@example.com", "c1@example.com"},
		}, 2},
		"nobody's":                       {invitation.RevokeAllParams{InviterUserID: "carl"}, 0},
		"an address nobody invited":      {invitation.RevokeAllParams{EmailAddresses: []string{"x@example.com"}}, 0},
		"an organization without any":    {invitation.RevokeAllParams{InviterUserID: "bob", OrganizationID: "nowhere"}, 0},
		"an inviter's, no address given": {invitation.RevokeAllParams{InviterUserID: "bob", EmailAddresses: []string{}}, 4},
	} {
		for _, limits := range []invitation.Config{{}, {MaxPending: 100}} {
			t.Run(fmt.Sprint(name, limits.MaxPending), func(t *testing.T) {
				w := populate()
				w.in(t)
				w.svc = w.service(w.host, &limits)
				n, err := w.svc.RevokeAll(w.ctx, tt.p)
				w.is.NoErr(err)
				w.is.Equal(n, tt.want)
				w.is.Equal(len(w.events), n)
				for _, e := range w.events {
					w.is.Equal(e.Type, invitation.EventRevoked)
					w.is.Equal(e.ActorID, tt.p.RequestingUserID)
					w.is.Equal(w.get(e.Invitation), e.Invitation)
					w.is.Equal(e.Invitation.Status, invitation.StatusRevoked)
				}
				again, err := w.svc.RevokeAll(w.ctx, tt.p)
				w.is.NoErr(err)
				w.is.Equal(again, 0)
			})
		}
	}
	w := populate()
	for name, tt := range map[string]struct {
		p        invitation.RevokeAllParams
		sentinel error
		want     []refusal
	}{
		"no criterion": {invitation.RevokeAllParams{OrganizationID: "acme"}, invitation.ErrInvalid, []refusal{
			{422, "form_param_missing", "inviter_user_id"},
		}},
		"a manager of what": {invitation.RevokeAllParams{
			InviterUserID: "bob", RequestingUserID: "ann",
		}, invitation.ErrInvalid,
			[]refusal{{422, "form_param_missing", "organization_id"}}},
		"all at once": {invitation.RevokeAllParams{
			OrganizationID: "\x00", InviterUserID: strings.Repeat("u", 129), EmailAddresses: []string{"a@example.com", "x"},
		}, invitation.ErrInvalid,
			[]refusal{{
				422, "form_param_format_invalid", "organization_id",
			}, {422, "form_param_exceeds_allowed_size", "inviter_user_id"},
				{422, "form_param_format_invalid", "email_addresses[1]"}}},
		"a stranger": {invitation.RevokeAllParams{
			InviterUserID: "bob", OrganizationID: "acme", RequestingUserID: "zoe",
		}, invitation.ErrNotMember,
			[]refusal{{403, "not_a_member_in_organization", "requesting_user_id"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error { _, err := w.svc.RevokeAll(w.ctx, tt.p); return err })
		})
	}
}
