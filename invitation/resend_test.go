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

// A missing organization takes precedence over a role that may not be granted.
func TestResendWithoutOrganization(t *testing.T) {
	w := setup(t, nil)
	w.host.AddMember("gone", "ann", invitation.RoleAdmin)
	w.host.AddOrganization(invitation.Organization{ID: "gone"})
	inv, err := w.svc.Create(w.ctx, "gone", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
	w.is.NoErr(err)
	w.clock.Set(inv.ExpiresAt)
	w.host.RemoveMember("gone", "ann")
	w.svc = w.service(&failing{Host: w.host, memberEmails: invitation.ErrNotFound}, nil)
	w.refuses(invitation.ErrNotFound, []refusal{
		{404, "resource_not_found", "organization_id"},
	}, func() error { _, err := w.resend(inv, ""); return err })
}

// ladder returns three roles, each of which grants the roles below it.
func ladder(t testing.TB) *invitation.Roles {
	t.Helper()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{
			Key: "org:owner", Manages: true, Grants: []invitation.Role{"org:owner", invitation.RoleAdmin, invitation.RoleMember},
		},
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Manages: true, Grants: []invitation.Role{invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleMember})
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

func (w *world) resend(inv invitation.Invitation, user string) (invitation.Invitation, error) {
	return w.svc.Resend(w.ctx, inv.OrganizationID, inv.ID, invitation.ResendParams{RequestingUserID: user})
}

func TestResend(t *testing.T) {
	w := setup(t, nil)
	old := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Resend(w.ctx, "acme", old.ID, invitation.ResendParams{ExpiresIn: 48 * time.Hour})
	w.is.NoErr(err)
	want := old
	want.URL, want.Terms = got.URL, got.Terms
	w.is.True(got.Terms != old.Terms) // nobody accepts what they were shown before
	want.UpdatedAt, want.SentAt, want.ExpiresAt = noon.Add(time.Hour), noon.Add(time.Hour), noon.Add(49*time.Hour)
	w.is.Equal(got, want)
	w.is.True(got.URL != old.URL)
	told := want
	told.URL = ""
	w.is.Equal(w.get(old), told)
	w.is.Equal(w.events, []invitation.Event{
		{Type: invitation.EventResent, At: noon.Add(time.Hour), Notify: true, Invitation: told},
	})

	w.refuses(invitation.ErrInvalidTicket, []refusal{
		{400, "ticket_invalid_code", ""},
	}, func() error { return w.accept(byTicket(t, old, "carl")) })
	_, err = w.svc.Preview(w.ctx, ticketOf(t, old))
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket)) // the old link is void
	link, err := w.svc.Link(w.ctx, "acme", old.ID)
	w.is.NoErr(err)
	w.is.Equal(link, got.URL) // the new one is current
	w.is.NoErr(w.accept(byTicket(t, got, "carl")))
}

// The user who resends becomes the inviter. The back end keeps the inviter, who must still be allowed to grant the
// role.
func TestResendChangesTheInviter(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.clock.Advance(time.Hour)
	got, err := w.resend(inv, "bob")
	w.is.NoErr(err)
	w.is.Equal(got.InviterUserID, "bob")
	w.is.Equal(w.events[len(w.events)-1].ActorID, "bob")
	w.host.RemoveMember("acme", "ann")
	w.clock.Advance(time.Hour)
	got, err = w.resend(inv, "")
	w.is.NoErr(err)
	w.is.Equal(got.InviterUserID, "bob")
	w.host.RemoveMember("acme", "bob")
	w.clock.Advance(time.Hour)
	w.refuses(invitation.ErrForbidden, []refusal{
		{403, "not_allowed_access", ""},
	}, func() error { _, err := w.resend(inv, ""); return err })
	w.svc = w.service(w.host, &invitation.Config{IgnoreInviterAuthority: true})
	_, err = w.resend(inv, "")
	w.is.NoErr(err)
}

// Resend of a pending invitation ignores to whom the address belongs by now. Only an expired one is invited again.
func TestResendOfPendingIgnoresMembers(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("dora@example.com")
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	host := &counting{failing: failing{Host: w.host}}
	svc := w.service(host, nil)
	_, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.True(errors.Is(err, invitation.ErrTooSoon))
	w.clock.Advance(time.Minute)
	_, err = svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	w.is.Equal(host.asked, 0)
}

func TestResendRefusesInOrder(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t)})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.host.AddMember("acme", "eve", invitation.RoleMember)
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com",
		Role:          invitation.RoleAdmin,
		InviterUserID: "ann", ExpiresIn: time.Second})
	w.is.NoErr(err)
	w.clock.Advance(time.Second)
	allowed, seats := false, 0
	cfg := &invitation.Config{Roles: ladder(t), MaxPending: 1,
		AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error {
			if !allowed {
				return fmt.Errorf("no: %w", invitation.ErrForbidden)
			}
			return nil
		},
		Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
			return invitation.SeatsResult{Members: seats, Limit: 2}, nil
		},
	}
	w.svc = w.service(w.host, cfg)
	org, id, user := "other", strings.Repeat("i", 65), "\x00"
	step := func(sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error {
			_, err := w.svc.Resend(w.ctx, org, id, invitation.ResendParams{
				RequestingUserID: user, ExpiresIn: time.Duration(len(id)-len(inv.ID)) * -time.Hour,
			})
			return err
		})
	}
	step(invitation.ErrInvalid, refusal{
		422, "form_param_exceeds_allowed_size", "invitation_id",
	}, refusal{422, "form_param_format_invalid", "requesting_user_id"},
		refusal{422, "form_param_value_invalid", "expires_in_days"})
	id, user = inv.ID, "carl"
	step(invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "requesting_user_id"})
	w.host.AddMember("other", "eve", invitation.RoleMember)
	user = "eve"
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "requesting_user_id"})
	user = "zoe"
	step(invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"}) // of another organization (C06)
	org, user = "acme", "bob"
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", ""}) // an admin may not grant admin (C08)
	user = "ann"
	step(invitation.ErrForbidden, refusal{403, "not_allowed_access", "email_address"})
	allowed = true
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	step(invitation.ErrAlreadyMember, refusal{400, "already_a_member_in_organization", "email_address"})
	w.host.RemoveMember("acme", "dora")
	fresh, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	step(invitation.ErrDuplicate, refusal{400, "organization_invitation_not_unique", ""})
	_, err = w.svc.Revoke(w.ctx, "acme", fresh.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	step(invitation.ErrTooSoon, refusal{429, "too_many_requests", ""})
	w.clock.Advance(time.Minute)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "else@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // MaxPending
	n, err := w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: []string{"ELSE@example.com"}})
	w.is.NoErr(err)
	w.is.Equal(n, 1)
	seats = 2
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // seats
	seats = 1
	got, err := w.resend(inv, "ann")
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusPending)
	w.clock.Advance(time.Minute)
	seats = 2 // a pending one holds its seat already
	_, err = w.resend(inv, "ann")
	w.is.NoErr(err)
	_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	step(invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
}

// Resend revives an expired invitation, whether or not its expiry is stored, and even if another one has expired in its
// slot.
func TestResendRevives(t *testing.T) {
	for _, swept := range []bool{false, true} {
		t.Run(fmt.Sprint("swept ", swept), func(t *testing.T) {
			w := setup(t, &invitation.Config{MaxPending: 1})
			first := w.invite("carl@example.com")
			w.clock.Set(first.ExpiresAt)
			second := w.invite("carl@example.com") // stores the expiry of the first
			w.clock.Set(second.ExpiresAt)
			if swept {
				_, err := w.svc.ExpireDue(w.ctx, 10)
				w.is.NoErr(err)
			}
			before := w.get(first)
			w.events = nil
			got, err := w.resend(first, "")
			w.is.NoErr(err)
			w.is.Equal(got.Status, invitation.StatusPending)
			w.is.Equal(got.ResolvedAt, time.Time{})
			w.is.Equal(got.ResolvedBy, "")
			w.is.True(got.Terms != before.Terms)
			w.is.Equal(w.get(second).Status, invitation.StatusExpired)
			want := []invitation.EventType{invitation.EventResent}
			if !swept {
				want = []invitation.EventType{invitation.EventExpired, invitation.EventResent}
			}
			w.is.Equal(eventTypes(w.events), want)
			w.is.NoErr(w.accept(byTicket(t, got, "carl")))
			_, err = w.svc.Preview(w.ctx, ticketOf(t, second))
			w.is.True(errors.Is(err, invitation.ErrExpired))
		})
	}
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Set(inv.ExpiresAt)
	before := w.get(inv)
	w.events = nil
	got, err := w.resend(inv, "") // holds its own slot; its expiry is not stored yet
	w.is.NoErr(err)
	w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventExpired, invitation.EventResent})
	w.is.Equal(w.events[0].Invitation, before)
	w.is.True(got.Terms != before.Terms) // the expired one that was shown had other terms
}

// Resend locks both rows in the order of their ids, as every operation does, even if it learns only from the first that
// it needs the second.
func TestResendLocksInOrder(t *testing.T) {
	next := 9
	w := setup(t, &invitation.Config{NewID: func() string { next--; return fmt.Sprint("i", next) }})
	first := w.invite("carl@example.com")
	w.clock.Set(first.ExpiresAt)
	second := w.invite("carl@example.com") // stores the expiry of the first, and has the smaller id
	w.clock.Set(second.ExpiresAt)
	var locked [][]string // by each run
	st := hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			locked = append(locked, slices.Sorted(slices.Values(q.IDs)))
		}
	}}
	_, err := w.svc.WithStorage(st).Resend(w.ctx, "acme", first.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	w.is.Equal(w.get(second).Status, invitation.StatusExpired)
	both := []string{second.ID, first.ID}
	w.is.Equal(locked, [][]string{{first.ID}, both, both[:1]}) // the last one again, now that it is the holder
}

// Without a pause, an invitation is sent again even if the clock has gone back.
func TestResendAtOnce(t *testing.T) {
	w := setup(t, &invitation.Config{ResendAfter: -1})
	inv := w.invite("carl@example.com")
	w.clock.Advance(-time.Minute) // the clock of another server
	_, err := w.resend(inv, "")
	w.is.NoErr(err)
}

// A silent Resend issues the link like any other, and says that no mail is to be sent.
func TestResendSilently(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	got, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{Silent: true})
	w.is.NoErr(err)
	w.is.Equal(got.SentAt, noon.Add(time.Hour))
	w.is.True(got.URL != inv.URL)
	last := w.events[len(w.events)-1]
	w.is.Equal(last.Type, invitation.EventResent)
	w.is.True(!last.Notify)
}

// Resend may change the role, as Update may: the user must be able to grant the old and the new one.
func TestResendWithAnotherRole(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t), ResendAfter: -1})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	inv := w.invite("carl@example.com")
	resend := func(user string, role invitation.Role) func() error {
		return func() error {
			_, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{RequestingUserID: user, Role: role})
			return err
		}
	}
	notAdmin := []refusal{{403, "not_an_admin_in_organization", ""}}
	for _, expired := range []bool{false, true} {
		if expired {
			w.clock.Set(w.get(inv).ExpiresAt)
		}
		w.refuses(invitation.ErrForbidden, notAdmin, resend("bob", "org:owner"))
		w.refuses(invitation.ErrInvalid, []refusal{{404, "resource_not_found", "role"}}, resend("ann", "org:king"))
		w.events = nil
		w.is.NoErr(resend("ann", "org:owner")())
		w.is.Equal(w.get(inv).Role, invitation.Role("org:owner"))
		if expired { // it expired with its old role
			w.is.Equal(w.events[0].Type, invitation.EventExpired)
			w.is.Equal(w.events[0].Invitation.Role, invitation.RoleMember)
		}
		w.refuses(invitation.ErrForbidden, notAdmin, resend("bob", invitation.RoleMember)) // the old role
		w.is.NoErr(resend("", invitation.RoleMember)())                                    // ann grants it
		w.is.Equal(w.get(inv).Role, invitation.RoleMember)
	}
	w.host.AddMember("acme", "ann", invitation.RoleAdmin)
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", ""}}, resend("", "org:owner"))
}

// If the role of an invitation no longer exists, Resend and Update say so, and take a new one. Only the new role must
// be granted then.
func TestRoleThatNoLongerExists(t *testing.T) {
	gone := []refusal{{403, "not_allowed_access", "role"}}
	for _, expired := range []bool{false, true} {
		w := setup(t, &invitation.Config{Roles: ladder(t), ResendAfter: -1})
		w.host.AddMember("acme", "ann", "org:owner")
		w.host.AddMember("acme", "bob", invitation.RoleAdmin)
		create := func(email string) invitation.Invitation {
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: email, Role: "org:owner", InviterUserID: "ann",
			})
			w.is.NoErr(err)
			return inv
		}
		resent, updated := create("carl@example.com"), create("dora@example.com")
		if expired {
			w.clock.Set(resent.ExpiresAt)
		}
		w.svc = w.service(w.host, &invitation.Config{ResendAfter: -1}) // org:owner is gone
		for _, user := range []string{"", "bob"} {
			w.refuses(invitation.ErrForbidden, gone, func() error { _, err := w.resend(resent, user); return err })
		}
		_, err := w.svc.Resend(w.ctx, "acme", resent.ID, invitation.ResendParams{
			RequestingUserID: "bob", Role: invitation.RoleMember,
		})
		w.is.NoErr(err)
		w.is.Equal(w.get(resent).Role, invitation.RoleMember)
		if expired {
			continue // Update needs a pending one
		}
		update := func(user string, role invitation.Role) func() error {
			return func() error {
				_, err := w.svc.Update(w.ctx, "acme", updated.ID, invitation.UpdateParams{
					RequestingUserID: user, Role: role, PublicMetadata: mustMetadata(t, `{"team":"x"}`),
				})
				return err
			}
		}
		w.refuses(invitation.ErrForbidden, gone, update("bob", ""))
		w.is.NoErr(update("", "")()) // the back end may edit the metadata, as before
		w.is.NoErr(update("bob", invitation.RoleAdmin)())
		w.is.Equal(w.get(updated).Role, invitation.RoleAdmin)
	}
}
